//! What an ELF file says about itself, as far as it decides whether a program can start.
//!
//! Read by way of the program headers, as the loader does it: section headers are absent from some
//! files. Whatever the bytes are, nothing here panics, and neither memory nor time grows beyond what
//! a real library needs.

use std::collections::BTreeMap;

use object::elf as raw;
use object::read::ReadRef;
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _};
use serde::{Deserialize, Serialize};

use super::machine::MachineType;

/// The facts of an executable or a shared library. An image has those of hundreds, so their names are
/// short where they are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elf {
    /// What it is made for.
    #[serde(rename = "m")]
    pub machine: MachineType,
    /// The loader that starts it.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<String>,
    /// The name by which others need it.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub soname: Option<String>,
    /// The libraries that it needs, in order.
    #[serde(rename = "n", default, skip_serializing_if = "Vec::is_empty")]
    pub needed: Vec<String>,
    /// Folders in which its libraries, and theirs, are searched first; not when it has a `runpath`.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub rpath: Option<String>,
    /// Folders in which its own libraries are searched.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub runpath: Option<String>,
    /// The symbol versions that it cannot do without, by library.
    #[serde(rename = "v", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub versions_needed: BTreeMap<String, Vec<String>>,
    /// The symbol versions that it has.
    #[serde(rename = "d", default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
}

/// Why there are no facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// The first bytes are others.
    #[error("it is not an ELF file")]
    NotElf,
    /// An object file or a core dump.
    #[error("it is an ELF file, but neither an executable nor a shared library")]
    NotLinked,
    /// It contradicts itself, or it is cut off.
    #[error("it is a damaged ELF file")]
    Damaged,
}

/// How many names a file may have of all kinds together; the largest libraries have some hundreds.
const NAMES: usize = 4096;
/// How long a name, or a row of folders, may be.
const LENGTH: u64 = 4096;
/// How large the table may be that the loader reads first.
const DYNAMIC: u64 = 1 << 20;
/// How many segments there may be; a real file has about a dozen.
const SEGMENTS: u16 = 1024;

impl Elf {
    /// Reads the facts of a file, of which only small pieces are looked at.
    ///
    /// # Errors
    /// When it is not what a loader would take.
    pub fn read<'data>(data: impl ReadRef<'data>) -> Result<Self, ElfError> {
        let ident = data.read_bytes_at(0, 5).map_err(|()| ElfError::NotElf)?;
        let class = ident.strip_prefix(&raw::ELFMAG).ok_or(ElfError::NotElf)?;
        match raw::FileClass(class[0]) {
            raw::ELFCLASS32 => ElfReader::<raw::FileHeader32<object::Endianness>, _>::new(data)?.facts(),
            raw::ELFCLASS64 => ElfReader::<raw::FileHeader64<object::Endianness>, _>::new(data)?.facts(),
            _ => Err(ElfError::Damaged),
        }
    }

    /// Whether a file could be a shared library, by its first 18 bytes.
    pub fn may_be_a_library(start: &[u8]) -> bool {
        let kind = start.get(16..18).filter(|_| start.starts_with(&raw::ELFMAG));
        kind.is_some_and(|kind| kind == raw::ET_DYN.0.to_le_bytes() || kind == raw::ET_DYN.0.to_be_bytes())
    }

    /// Whether it needs neither a loader nor a library.
    pub fn is_static(&self) -> bool {
        self.interpreter.is_none() && self.needed.is_empty()
    }
}

struct ElfReader<'data, H: FileHeader, R> {
    data: R,
    header: &'data H,
    endian: H::Endian,
    segments: &'data [H::ProgramHeader],
    /// Where its names begin and end in the file.
    names: (u64, u64),
    /// How many more names it may have.
    left: usize,
}

/// What stands in the table that the loader reads first.
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
        let segments = header.program_headers(endian, data).map_err(|_| ElfError::Damaged)?;
        Ok(Self { data, header, endian, segments, names: (0, 0), left: NAMES })
    }

    fn facts(mut self) -> Result<Elf, ElfError> {
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
            needed: dynamic.needed.iter().map(|name| self.name(*name)).collect::<Result<_, _>>()?,
            rpath: if runpath.is_some() { None } else { self.optional(dynamic.rpath)? },
            runpath,
            versions_needed: self.versions_needed(dynamic.versions_needed)?,
            versions: self.versions(dynamic.versions)?,
        })
    }

    fn segment(&self, kind: raw::ProgramType, most: u64) -> Result<Option<&'data H::ProgramHeader>, ElfError> {
        match self.segments.iter().find(|segment| segment.p_type(self.endian) == kind) {
            Some(segment) if segment.p_filesz(self.endian).into() > most => Err(ElfError::Damaged),
            segment => Ok(segment),
        }
    }

    fn interpreter(&self) -> Result<Option<String>, ElfError> {
        let Some(segment) = self.segment(raw::PT_INTERP, LENGTH)? else { return Ok(None) };
        let path = segment.interpreter(self.endian, self.data).map_err(|_| ElfError::Damaged)?;
        Ok(path.map(|path| String::from_utf8_lossy(path).into_owned()))
    }

    fn dynamic(&self) -> Result<Dynamic, ElfError> {
        let mut dynamic = Dynamic::default();
        let Some(segment) = self.segment(raw::PT_DYNAMIC, DYNAMIC)? else { return Ok(dynamic) };
        let entries = segment.data_as_array::<H::Dyn, _>(self.endian, self.data).map_err(|()| ElfError::Damaged)?;
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

    fn versions_needed(&mut self, (address, count): (u64, u64)) -> Result<BTreeMap<String, Vec<String>>, ElfError> {
        let mut versions = BTreeMap::<String, Vec<String>>::new();
        let mut at = if count > 0 { self.offset(address)? } else { 0 };
        for _ in 0..count {
            let library: &raw::Verneed<H::Endian> = self.at(at)?;
            let mut names = Vec::new();
            let mut below = step(at, library.vn_aux.get(self.endian))?;
            for _ in 0..library.vn_cnt.get(self.endian) {
                let version: &raw::Vernaux<H::Endian> = self.at(below)?;
                // Read in any case: what a file may name is what bounds these loops.
                let name = self.name(version.vna_name.get(self.endian).into())?;
                if !version.vna_flags.get(self.endian).contains(raw::VER_FLG_WEAK) {
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
            // The first name is the version's own, the others are those that it follows.
            let name: &raw::Verdaux<H::Endian> = self.at(step(at, version.vd_aux.get(self.endian))?)?;
            let name = self.name(name.vda_name.get(self.endian).into())?;
            // One of them is not a version, but the library itself.
            if !version.vd_flags.get(self.endian).contains(raw::VER_FLG_BASE) {
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
        self.left = self.left.checked_sub(1).ok_or(ElfError::Damaged)?;
        let start = self.names.0.saturating_add(index);
        let end = self.names.1.min(start.saturating_add(LENGTH));
        let end = end.min(self.data.len().map_err(|()| ElfError::Damaged)?);
        let name = self.data.read_bytes_at_until(start..end.max(start), 0).map_err(|()| ElfError::Damaged)?;
        Ok(String::from_utf8_lossy(name).into_owned())
    }

    fn at<T: object::Pod>(&self, offset: u64) -> Result<&'data T, ElfError> {
        self.data.read_at(offset).map_err(|()| ElfError::Damaged)
    }

    /// Where in the file something is that the loader finds by its address.
    fn offset(&self, address: u64) -> Result<u64, ElfError> {
        let loaded = self.segments.iter().filter(|segment| segment.p_type(self.endian) == raw::PT_LOAD);
        let mut found = loaded.filter_map(|segment| {
            let (start, size): (u64, u64) = (segment.p_vaddr(self.endian).into(), segment.p_filesz(self.endian).into());
            let inside = address.checked_sub(start).filter(|inside| *inside < size)?;
            segment.p_offset(self.endian).into().checked_add(inside)
        });
        found.next().ok_or(ElfError::Damaged)
    }
}

/// The next entry of a list; its last one says 0, and the count then lets nobody look further.
fn step(at: u64, by: u32) -> Result<u64, ElfError> {
    at.checked_add(by.into()).ok_or(ElfError::Damaged)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
