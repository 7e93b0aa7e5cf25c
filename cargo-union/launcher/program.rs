//! Starting the program: the lookup of `execvp`, and the messages when it fails.

use core::ffi::CStr;

use crate::message::Line;
use crate::path::Path;
use crate::processor;
use crate::system::{self, Errno, Kind};
use crate::words::Words;

/// The exit codes of shells for programs that cannot be started.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// The directories that are searched when the environment has no PATH.
const USUAL_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Replaces this process by the program at a position of the arguments. Returns only if that fails: the exit code,
/// after the reason was written to stderr.
pub fn execute(arguments: Words, position: usize, environment: Words) -> u8 {
    let name = arguments.get(position).unwrap_or_default();
    let mut start = Start {
        arguments,
        position,
        environment,
    };
    if name.to_bytes().contains(&b'/') {
        let errno = start.try_path(name);
        return explain(name, errno);
    }
    let search = environment.variable(b"PATH").unwrap_or(USUAL_PATH);
    if name.to_bytes().is_empty() {
        Line::error()
            .text("the name of the program is empty")
            .send();
        return NOT_FOUND;
    }
    // The first file that exists and cannot be started. It is reported if no other directory has the program.
    let mut unusable: Option<(Path, Errno)> = None;
    for directory in search.split(|byte| *byte == b':') {
        let mut path = Path::new();
        // An empty entry is the working directory.
        if path
            .push_bytes(directory)
            .and_then(|()| path.push(name.to_bytes()))
            .is_err()
        {
            continue;
        }
        let errno = start.try_path(path.text());
        let is_there = system::exists(path.text());
        match errno {
            Errno::NOENT | Errno::NOTDIR if !is_there => {}
            Errno::ACCES
            | Errno::NOENT
            | Errno::NOTDIR
            | Errno::STALE
            | Errno::NODEV
            | Errno::TIMEDOUT => {
                // If a directory must not be searched, it is not known whether the program is in it.
                unusable = unusable.or(Some((path, errno)));
            }
            errno => return explain(path.text(), errno),
        }
    }
    match unusable {
        Some((path, errno)) => explain(path.text(), errno),
        None => {
            Line::error()
                .quoted(name.to_bytes())
                .text(" was not found in the PATH ")
                .quoted(search)
                .send();
            NOT_FOUND
        }
    }
}

struct Start {
    arguments: Words,
    position: usize,
    environment: Words,
}

impl Start {
    /// Executes the program at a path, or a shell that runs it if it is a script without `#!`. Returns only if that
    /// fails.
    fn try_path(&mut self, path: &CStr) -> Errno {
        let errno = system::execute(
            path,
            self.arguments.from(self.position),
            self.environment.from(0),
        );
        if errno == Errno::NOEXEC && Header::read(path).is_ok_and(|header| header.is_script()) {
            return self.try_shell(path);
        }
        errno
    }

    /// The word before the program is `--`, which the shell replaces.
    fn try_shell(&mut self, path: &CStr) -> Errno {
        let shell = c_text(b"/bin/sh\0");
        let Some(before) = self.position.checked_sub(1) else {
            return Errno::NOEXEC;
        };
        let mut arguments = self.arguments;
        arguments.set(before, shell);
        // SAFETY: the kernel copies the path before `execute` returns, and the next attempt sets it again.
        arguments.set(self.position, unsafe { CStr::from_ptr(path.as_ptr()) });
        match system::execute(shell, arguments.from(before), self.environment.from(0)) {
            Errno::NOENT => Errno::NOEXEC,
            errno => errno,
        }
    }
}

fn c_text(bytes: &'static [u8]) -> &'static CStr {
    CStr::from_bytes_with_nul(bytes).unwrap_or_default()
}

/// Writes why a file cannot be started, and returns the exit code.
fn explain(path: &CStr, errno: Errno) -> u8 {
    let mut line = Line::error();
    line.quoted(path.to_bytes());
    match errno {
        Errno::NOENT if !system::exists(path) => {
            line.text(" was not found").send();
            NOT_FOUND
        }
        Errno::NOENT => {
            line.text(" was found, but not the ");
            let header = Header::read(path).ok();
            match header
                .as_ref()
                .and_then(|header| Some((header.is_elf(), header.interpreter()?)))
            {
                Some((is_elf, name)) => line
                    .text(if is_elf { "loader " } else { "interpreter " })
                    .quoted(name),
                None => line.text("loader or interpreter"),
            };
            line.text(" that it needs").send();
            NOT_EXECUTABLE
        }
        Errno::ACCES if system::metadata(path).is_ok_and(|(kind, _)| kind == Kind::Directory) => {
            line.text(" is a directory").send();
            NOT_EXECUTABLE
        }
        Errno::NOEXEC => {
            match Header::read(path) {
                Err(errno) => line
                    .text(" is neither a program nor readable as a script: ")
                    .errno(errno),
                Ok(header) if header.bytes().is_empty() => line.text(" is empty"),
                Ok(header) if header.is_of_other_processor() => line
                    .text(" is not a program for this processor (")
                    .text(processor::NAME)
                    .text(")"),
                Ok(header) if header.is_script() => {
                    line.text(" is a script without `#!`, and there is no `/bin/sh` to run it")
                }
                Ok(_) => line.text(" is not a program"),
            };
            line.send();
            NOT_EXECUTABLE
        }
        errno => {
            line.text(" cannot be started: ").errno(errno).send();
            NOT_EXECUTABLE
        }
    }
}

/// The start of a file.
struct Header {
    bytes: [u8; Self::SPACE],
    length: usize,
}

impl Header {
    /// Linkers usually place the name of the loader after the program headers, which are at the start of the file.
    const SPACE: usize = 2048;

    fn read(path: &CStr) -> Result<Self, Errno> {
        let mut header = Self {
            bytes: [0; Self::SPACE],
            length: 0,
        };
        header.length = system::read(&system::open_program(path)?, &mut header.bytes)?;
        Ok(header)
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn is_elf(&self) -> bool {
        self.bytes().starts_with(b"\x7fELF")
    }

    /// Whether a shell may run it: text, as far as it was read.
    fn is_script(&self) -> bool {
        self.length > 0 && !self.bytes().contains(&0)
    }

    fn is_of_other_processor(&self) -> bool {
        self.is_elf() && self.number(18, 2) != Some(u64::from(processor::ELF_MACHINE))
    }

    /// The program that starts this one: of the `#!` line, or the loader of an ELF file.
    fn interpreter(&self) -> Option<&[u8]> {
        if let Some(line) = self.bytes().strip_prefix(b"#!") {
            let mut words = line.split(|byte| matches!(byte, b' ' | b'\t' | b'\n'));
            return words.find(|word| !word.is_empty());
        }
        // Offsets of the 64-bit format: `e_phoff`, `e_phentsize`, `e_phnum`; `p_type`, `p_offset`, `p_filesz`.
        const PT_INTERP: u64 = 3;
        if !self.is_elf() {
            return None;
        }
        let (table, size, count) = (
            self.number(32, 8)?,
            self.number(54, 2)?,
            self.number(56, 2)?,
        );
        for position in 0..count {
            let entry = usize::try_from(table.checked_add(size.checked_mul(position)?)?).ok()?;
            if self.number(entry, 4)? == PT_INTERP {
                let start = usize::try_from(self.number(entry.checked_add(8)?, 8)?).ok()?;
                let length = usize::try_from(self.number(entry.checked_add(32)?, 8)?).ok()?;
                let name = self.bytes().get(start..start.checked_add(length)?)?;
                return name.split(|byte| *byte == 0).next();
            }
        }
        None
    }

    /// A little-endian number at a place.
    fn number(&self, start: usize, length: usize) -> Option<u64> {
        let bytes = self.bytes().get(start..start.checked_add(length)?)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |number, byte| (number << 8) | u64::from(*byte)),
        )
    }
}
