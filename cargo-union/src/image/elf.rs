//! Parses the ELF headers that decide whether a program can start.
//!
//! Uses the program headers, like the loader, because some files have no section headers. Malformed files cause neither
//! panics nor more use of memory and time than a large library.

use std::collections::BTreeMap;

use object::elf as raw;
use object::read::ReadRef;
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _};
use serde::{Deserialize, Serialize};

use super::machine::MachineType;

/// The relevant headers of an executable or a shared library. Serialized names are short, because a file index has
/// hundreds of libraries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elf {
    /// `e_machine`, class and byte order.
    #[serde(rename = "m")]
    pub machine: MachineType,
    /// `PT_INTERP`: the path of the dynamic loader.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<String>,
    /// `DT_SONAME`: the name by which other files need it.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub soname: Option<String>,
    /// `DT_NEEDED`: the libraries that it needs, in order.
    #[serde(rename = "n", default, skip_serializing_if = "Vec::is_empty")]
    pub needed: Vec<String>,
    /// `DT_RPATH`: directories to search first for its libraries and their dependencies; `None` if it has a `runpath`.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub rpath: Option<String>,
    /// `DT_RUNPATH`: directories to search for its own libraries.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub runpath: Option<String>,
    /// `DT_VERNEED`: the symbol versions that it needs, by library, without weak ones.
    #[serde(rename = "v", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub versions_needed: BTreeMap<String, Vec<String>>,
    /// `DT_VERDEF`: the symbol versions that it defines.
    #[serde(rename = "d", default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
}

/// Why a file cannot be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// The magic number is missing.
    #[error("it is not an ELF file")]
    NotElf,
    /// An object file or a core dump.
    #[error("it is an ELF file, but neither an executable nor a shared library")]
    NotLinked,
    /// It is inconsistent or truncated.
    #[error("it is a damaged ELF file")]
    Damaged,
}

/// The maximum number of strings of a file; the largest libraries have a few hundred.
const NAMES: usize = 4096;
/// The maximum length of a string.
const LENGTH: u64 = 4096;
/// The maximum size of the dynamic section.
const DYNAMIC: u64 = 1 << 20;
/// The maximum number of segments; files usually have about a dozen.
const SEGMENTS: u16 = 1024;

impl Elf {
    /// Parses a file, of which only small parts are read.
    ///
    /// # Errors
    /// When a loader would not accept the file.
    pub fn read<'data>(data: impl ReadRef<'data>) -> Result<Self, ElfError> {
        let ident = data.read_bytes_at(0, 5).map_err(|()| ElfError::NotElf)?;
        let class = ident.strip_prefix(&raw::ELFMAG).ok_or(ElfError::NotElf)?;
        match raw::FileClass(class[0]) {
            raw::ELFCLASS32 => {
                ElfReader::<raw::FileHeader32<object::Endianness>, _>::new(data)?.parse()
            }
            raw::ELFCLASS64 => {
                ElfReader::<raw::FileHeader64<object::Endianness>, _>::new(data)?.parse()
            }
            _ => Err(ElfError::Damaged),
        }
    }

    /// Whether a file could be a shared library, by its first 18 bytes.
    pub fn may_be_a_library(start: &[u8]) -> bool {
        let kind = start
            .get(16..18)
            .filter(|_| start.starts_with(&raw::ELFMAG));
        kind.is_some_and(|kind| {
            kind == raw::ET_DYN.0.to_le_bytes() || kind == raw::ET_DYN.0.to_be_bytes()
        })
    }

    /// Whether it needs neither a loader nor libraries.
    pub fn is_static(&self) -> bool {
        self.interpreter.is_none() && self.needed.is_empty()
    }
}

struct ElfReader<'data, H: FileHeader, R> {
    data: R,
    header: &'data H,
    endian: H::Endian,
    segments: &'data [H::ProgramHeader],
    /// Start and end of the string table in the file.
    names: (u64, u64),
    /// The remaining number of strings that may be read.
    remaining: usize,
}

/// The relevant entries of the dynamic section.
#[derive(Default)]
struct Dynamic {
    needed: Vec<u64>,
    soname: Option<u64>,
    rpath: Option<u64>,
    runpath: Option<u64>,
    names: u64,
    names_size: u64,
    /// Address and number of entries.
    versions_needed: (u64, u64),
    versions: (u64, u64),
}

impl<'data, H: FileHeader<Endian = object::Endianness>, R: ReadRef<'data>> ElfReader<'data, H, R> {
    fn new(data: R) -> Result<Self, ElfError> {
        let header = H::parse(data).map_err(|_| ElfError::Damaged)?;
        let endian = header.endian().map_err(|_| ElfError::Damaged)?;
        if !matches!(header.e_type(endian), raw::ET_EXEC | raw::ET_DYN) {
            return Err(ElfError::NotLinked);
        }
        if header.e_phnum(endian) > SEGMENTS {
            return Err(ElfError::Damaged);
        }
        let segments = header
            .program_headers(endian, data)
            .map_err(|_| ElfError::Damaged)?;
        Ok(Self {
            data,
            header,
            endian,
            segments,
            names: (0, 0),
            remaining: NAMES,
        })
    }

    fn parse(mut self) -> Result<Elf, ElfError> {
        let interpreter = self.interpreter()?;
        let dynamic = self.dynamic()?;
        if dynamic.names > 0 {
            let start = self.offset(dynamic.names)?;
            self.names = (start, start.saturating_add(dynamic.names_size));
        }
        let machine = MachineType {
            number: self.header.e_machine(self.endian).0,
            is_64: self.header.is_class_64(),
            is_little: self.header.is_little_endian(),
        };
        let runpath = self.optional(dynamic.runpath)?;
        Ok(Elf {
            machine,
            interpreter,
            soname: self.optional(dynamic.soname)?,
            needed: dynamic
                .needed
                .iter()
                .map(|name| self.name(*name))
                .collect::<Result<_, _>>()?,
            rpath: if runpath.is_some() {
                None
            } else {
                self.optional(dynamic.rpath)?
            },
            runpath,
            versions_needed: self.versions_needed(dynamic.versions_needed)?,
            versions: self.versions(dynamic.versions)?,
        })
    }

    fn segment(
        &self,
        kind: raw::ProgramType,
        max_size: u64,
    ) -> Result<Option<&'data H::ProgramHeader>, ElfError> {
        match self
            .segments
            .iter()
            .find(|segment| segment.p_type(self.endian) == kind)
        {
            Some(segment) if segment.p_filesz(self.endian).into() > max_size => {
                Err(ElfError::Damaged)
            }
            segment => Ok(segment),
        }
    }

    fn interpreter(&self) -> Result<Option<String>, ElfError> {
        let Some(segment) = self.segment(raw::PT_INTERP, LENGTH)? else {
            return Ok(None);
        };
        let path = segment
            .interpreter(self.endian, self.data)
            .map_err(|_| ElfError::Damaged)?;
        Ok(path.map(|path| String::from_utf8_lossy(path).into_owned()))
    }

    fn dynamic(&self) -> Result<Dynamic, ElfError> {
        let mut dynamic = Dynamic::default();
        let Some(segment) = self.segment(raw::PT_DYNAMIC, DYNAMIC)? else {
            return Ok(dynamic);
        };
        let entries = segment
            .data_as_array::<H::Dyn, _>(self.endian, self.data)
            .map_err(|()| ElfError::Damaged)?;
        for entry in entries {
            let value = entry.val(self.endian);
            match entry.tag(self.endian) {
                raw::DT_NULL => break,
                raw::DT_NEEDED => dynamic.needed.push(value),
                raw::DT_SONAME => dynamic.soname = Some(value),
                raw::DT_RPATH => dynamic.rpath = Some(value),
                raw::DT_RUNPATH => dynamic.runpath = Some(value),
                raw::DT_STRTAB => dynamic.names = value,
                raw::DT_STRSZ => dynamic.names_size = value,
                raw::DT_VERNEED => dynamic.versions_needed.0 = value,
                raw::DT_VERNEEDNUM => dynamic.versions_needed.1 = value,
                raw::DT_VERDEF => dynamic.versions.0 = value,
                raw::DT_VERDEFNUM => dynamic.versions.1 = value,
                _ => {}
            }
        }
        Ok(dynamic)
    }

    fn versions_needed(
        &mut self,
        (address, count): (u64, u64),
    ) -> Result<BTreeMap<String, Vec<String>>, ElfError> {
        let mut versions = BTreeMap::<String, Vec<String>>::new();
        let mut at = if count > 0 { self.offset(address)? } else { 0 };
        for _ in 0..count {
            let library: &raw::Verneed<H::Endian> = self.at(at)?;
            let mut names = Vec::new();
            let mut below = step(at, library.vn_aux.get(self.endian))?;
            for _ in 0..library.vn_cnt.get(self.endian) {
                let version: &raw::Vernaux<H::Endian> = self.at(below)?;
                // Read even if it is weak, because the limit of strings bounds these loops.
                let name = self.name(version.vna_name.get(self.endian).into())?;
                if !version
                    .vna_flags
                    .get(self.endian)
                    .contains(raw::VER_FLG_WEAK)
                {
                    names.push(name);
                }
                below = step(below, version.vna_next.get(self.endian))?;
            }
            let file = self.name(library.vn_file.get(self.endian).into())?;
            if !names.is_empty() {
                versions.entry(file).or_default().append(&mut names);
            }
            at = step(at, library.vn_next.get(self.endian))?;
        }
        Ok(versions)
    }

    fn versions(&mut self, (address, count): (u64, u64)) -> Result<Vec<String>, ElfError> {
        let mut versions = Vec::new();
        let mut at = if count > 0 { self.offset(address)? } else { 0 };
        for _ in 0..count {
            let version: &raw::Verdef<H::Endian> = self.at(at)?;
            // The first name is that of the version, the others are its predecessors.
            let name: &raw::Verdaux<H::Endian> =
                self.at(step(at, version.vd_aux.get(self.endian))?)?;
            let name = self.name(name.vda_name.get(self.endian).into())?;
            // One entry is not a version, but the name of the library.
            if !version
                .vd_flags
                .get(self.endian)
                .contains(raw::VER_FLG_BASE)
            {
                versions.push(name);
            }
            at = step(at, version.vd_next.get(self.endian))?;
        }
        Ok(versions)
    }

    fn optional(&mut self, name: Option<u64>) -> Result<Option<String>, ElfError> {
        name.map(|name| self.name(name)).transpose()
    }

    fn name(&mut self, index: u64) -> Result<String, ElfError> {
        self.remaining = self.remaining.checked_sub(1).ok_or(ElfError::Damaged)?;
        let start = self.names.0.saturating_add(index);
        let end = self.names.1.min(start.saturating_add(LENGTH));
        let end = end.min(self.data.len().map_err(|()| ElfError::Damaged)?);
        let name = self
            .data
            .read_bytes_at_until(start..end.max(start), 0)
            .map_err(|()| ElfError::Damaged)?;
        Ok(String::from_utf8_lossy(name).into_owned())
    }

    fn at<T: object::Pod>(&self, offset: u64) -> Result<&'data T, ElfError> {
        self.data.read_at(offset).map_err(|()| ElfError::Damaged)
    }

    /// The offset in the file of a virtual address.
    fn offset(&self, address: u64) -> Result<u64, ElfError> {
        let loaded = self
            .segments
            .iter()
            .filter(|segment| segment.p_type(self.endian) == raw::PT_LOAD);
        let mut offsets = loaded.filter_map(|segment| {
            let start: u64 = segment.p_vaddr(self.endian).into();
            let size: u64 = segment.p_filesz(self.endian).into();
            let relative = address
                .checked_sub(start)
                .filter(|relative| *relative < size)?;
            segment.p_offset(self.endian).into().checked_add(relative)
        });
        offsets.next().ok_or(ElfError::Damaged)
    }
}

/// The offset of the next entry of a list. The last entry has 0, and the count ends the loop there.
fn step(at: u64, by: u32) -> Result<u64, ElfError> {
    at.checked_add(by.into()).ok_or(ElfError::Damaged)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
