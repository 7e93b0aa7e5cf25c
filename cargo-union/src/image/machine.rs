//! Machine types of ELF files, and their names in OCI platforms and in Debian.

use std::fmt;

use object::elf;
use serde::{Deserialize, Serialize};

use super::platform::Platform;

/// Instruction set, word size and byte order. A program and its libraries must agree in all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u16, bool, bool)", into = "(u16, bool, bool)")]
pub struct MachineType {
    /// The instruction set, `e_machine` of the ELF header.
    pub number: u16,
    /// Whether the ELF class is 64-bit.
    pub is_64: bool,
    /// Whether the byte order is little-endian.
    pub is_little: bool,
}

/// OCI architecture, machine type, and Debian multiarch tuple.
const KNOWN: [(&str, MachineType, &str); 9] = [
    (
        "amd64",
        machine(elf::EM_X86_64, true, true),
        "x86_64-linux-gnu",
    ),
    (
        "arm64",
        machine(elf::EM_AARCH64, true, true),
        "aarch64-linux-gnu",
    ),
    (
        "arm",
        machine(elf::EM_ARM, false, true),
        "arm-linux-gnueabihf",
    ),
    ("386", machine(elf::EM_386, false, true), "i386-linux-gnu"),
    (
        "riscv64",
        machine(elf::EM_RISCV, true, true),
        "riscv64-linux-gnu",
    ),
    (
        "ppc64le",
        machine(elf::EM_PPC64, true, true),
        "powerpc64le-linux-gnu",
    ),
    (
        "s390x",
        machine(elf::EM_S390, true, false),
        "s390x-linux-gnu",
    ),
    (
        "loong64",
        machine(elf::EM_LOONGARCH, true, true),
        "loongarch64-linux-gnu",
    ),
    (
        "mips64le",
        machine(elf::EM_MIPS, true, true),
        "mips64el-linux-gnuabi64",
    ),
];

const fn machine(number: elf::Machine, is_64: bool, is_little: bool) -> MachineType {
    MachineType {
        number: number.0,
        is_64,
        is_little,
    }
}

impl MachineType {
    /// The machine type of a platform; `None` for an unknown architecture.
    pub fn of(platform: &Platform) -> Option<Self> {
        KNOWN
            .iter()
            .find(|(architecture, ..)| *architecture == platform.architecture)
            .map(|(_, machine, _)| *machine)
    }

    /// Debian's directory name for libraries of this machine below `/lib` and `/usr/lib`, `x86_64-linux-gnu`.
    pub fn multiarch(self) -> Option<&'static str> {
        KNOWN
            .iter()
            .find(|(_, machine, _)| *machine == self)
            .map(|(.., directory)| *directory)
    }
}

impl fmt::Display for MachineType {
    /// The OCI architecture, such as `arm64`, if it is known, else the number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match KNOWN.iter().find(|(_, machine, _)| machine == self) {
            Some((architecture, ..)) => f.write_str(architecture),
            None => write!(
                f,
                "machine {} of {} bits",
                self.number,
                if self.is_64 { 64 } else { 32 }
            ),
        }
    }
}

impl From<(u16, bool, bool)> for MachineType {
    fn from((number, is_64, is_little): (u16, bool, bool)) -> Self {
        Self {
            number,
            is_64,
            is_little,
        }
    }
}

impl From<MachineType> for (u16, bool, bool) {
    fn from(machine: MachineType) -> Self {
        (machine.number, machine.is_64, machine.is_little)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn platforms_have_machine_types_with_names() {
        let machine = MachineType::of(&"linux/arm64/v8".parse().unwrap()).unwrap();
        assert_eq!(
            (machine.to_string().as_str(), machine.multiarch()),
            ("arm64", Some("aarch64-linux-gnu"))
        );
        assert_eq!(MachineType::of(&"linux/vax".parse().unwrap()), None);
        let x32 = MachineType {
            is_64: false,
            ..MachineType::of(&"linux/amd64".parse().unwrap()).unwrap()
        };
        assert_eq!(
            (x32.to_string().as_str(), x32.multiarch()),
            ("machine 62 of 32 bits", None)
        );
    }
}
