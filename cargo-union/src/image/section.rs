//! Appends a section to an ELF file, without reading more of the file than its headers.
//!
//! The section is not loaded by the program. The content of the file is not moved. The section, a new table of section
//! names and a new section header table are appended, and the file header refers to them.

use object::elf as raw;
use object::read::ReadRef;
use object::read::elf::{FileHeader, ProgramHeader as _, SectionHeader as _};

use super::elf::ElfError;

/// What has to be written to a file so that it has a further section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendedSection {
    /// Replaces the first bytes of the file.
    pub header: Vec<u8>,
    /// Follows the last byte of the file.
    pub tail: Vec<u8>,
}

/// Why a section cannot be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SectionError {
    /// It is not an ELF file, or a damaged one.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// More sections would need another form of the file header.
    #[error("it is an ELF file with {0} sections; at most {MAX_SECTIONS} are supported")]
    TooMany(usize),
    /// An offset would not fit into a header of 32 bits.
    #[error("it is a 32-bit ELF file of almost 4 GB")]
    TooLarge,
}

/// The largest number of sections of a file, below the reserved numbers and with space for two more.
const MAX_SECTIONS: usize = raw::SHN_LORESERVE as usize - 2;
/// The maximum size of the table of section names.
const MAX_NAMES: u64 = 16 << 20;
/// Section header tables are aligned for their widest field.
const ALIGNMENT: u64 = 8;

/// The bytes that append a section with this name and content to a file; `None` when the file has a section of that
/// name.
///
/// # Errors
/// When the file is not a consistent executable or shared library, or has no place for a further section.
pub fn append_section<'data>(
    data: impl ReadRef<'data>,
    name: &str,
    content: &[u8],
) -> Result<Option<AppendedSection>, SectionError> {
    let ident = data.read_bytes_at(0, 5).map_err(|()| ElfError::NotElf)?;
    let class = ident.strip_prefix(&raw::ELFMAG).ok_or(ElfError::NotElf)?;
    match raw::FileClass(class[0]) {
        raw::ELFCLASS32 => append::<raw::FileHeader32<object::Endianness>, _>(data, name, content),
        raw::ELFCLASS64 => append::<raw::FileHeader64<object::Endianness>, _>(data, name, content),
        _ => Err(ElfError::Damaged.into()),
    }
}

fn damaged<E>(_: E) -> SectionError {
    ElfError::Damaged.into()
}

fn append<'data, H: FileHeader<Endian = object::Endianness>, R: ReadRef<'data>>(
    data: R,
    name: &str,
    content: &[u8],
) -> Result<Option<AppendedSection>, SectionError> {
    let header = H::parse(data).map_err(damaged)?;
    let endian = header.endian().map_err(damaged)?;
    if !matches!(header.e_type(endian), raw::ET_EXEC | raw::ET_DYN) {
        return Err(ElfError::NotLinked.into());
    }
    let count = header.shnum(endian, data).map_err(damaged)? as usize;
    if count > MAX_SECTIONS {
        return Err(SectionError::TooMany(count));
    }
    let length = data.len().map_err(damaged)?;
    let sections = header.section_headers(endian, data).map_err(damaged)?;
    check_ranges(header, endian, data, sections, length)?;
    let names_index = match header.e_shstrndx(endian) {
        raw::SHN_UNDEF => 0,
        _ => header.shstrndx(endian, data).map_err(damaged)? as usize,
    };
    let names = match (names_index, sections.get(names_index)) {
        (0, _) => None,
        (_, Some(section)) => Some(section),
        (_, None) => return Err(ElfError::Damaged.into()),
    };
    let old_names = match names {
        Some(section) if section.sh_size(endian).into() > MAX_NAMES => {
            return Err(ElfError::Damaged.into());
        }
        Some(section) => section.data(endian, data).map_err(damaged)?,
        None => &[],
    };
    let has_name = |section: &H::SectionHeader| {
        let start = section.sh_name(endian) as usize;
        old_names
            .get(start..)
            .and_then(|rest| rest.split(|byte| *byte == 0).next())
            == Some(name.as_bytes())
    };
    if sections.iter().any(has_name) {
        return Ok(None);
    }

    let fields = HeaderFormat {
        is_64: header.is_class_64(),
        is_little: header.is_little_endian(),
    };
    let mut tail = content.to_vec();
    let names_offset = length + tail.len() as u64;
    // The first byte of the table is the empty name.
    let mut new_names = match old_names.last() {
        Some(0) => old_names.to_vec(),
        Some(_) => [old_names, &[0]].concat(),
        None => vec![0],
    };
    let mut add_name = |text: &str| {
        let start = new_names.len() as u64;
        new_names.extend_from_slice(text.as_bytes());
        new_names.push(0);
        start
    };
    let name_start = add_name(name);
    let names_start = match names {
        Some(section) => section.sh_name(endian).into(),
        None => add_name(".shstrtab"),
    };
    let names_header = fields.section(
        names_start,
        raw::SHT_STRTAB.0,
        names_offset,
        new_names.len() as u64,
    )?;
    let section_header = fields.section(
        name_start,
        raw::SHT_PROGBITS.0,
        length,
        content.len() as u64,
    )?;
    tail.extend_from_slice(&new_names);
    let end = length + tail.len() as u64;
    tail.resize(
        tail.len() + (end.next_multiple_of(ALIGNMENT) - end) as usize,
        0,
    );
    let table_offset = length + tail.len() as u64;

    let mut table = object::pod::bytes_of_slice(sections).to_vec();
    let size = names_header.len();
    if table.is_empty() {
        table.resize(size, 0);
    }
    if names.is_none() {
        // Without a table of names these numbers have no meaning.
        table
            .chunks_exact_mut(size)
            .for_each(|header| header[..4].fill(0));
    }
    table.extend_from_slice(&section_header);
    let names_index = match names {
        Some(_) => {
            table[names_index * size..][..size].copy_from_slice(&names_header);
            names_index
        }
        None => {
            table.extend_from_slice(&names_header);
            table.len() / size - 1
        }
    };
    let count = table.len() / size;
    tail.extend_from_slice(&table);
    let mut header = object::pod::bytes_of(header).to_vec();
    fields.patch(&mut header, table_offset, size, count, names_index)?;
    Ok(Some(AppendedSection { header, tail }))
}

/// Checks that segments and sections are inside of the file. Otherwise the appended bytes would become their content.
fn check_ranges<'data, H: FileHeader<Endian = object::Endianness>, R: ReadRef<'data>>(
    header: &H,
    endian: H::Endian,
    data: R,
    sections: &[H::SectionHeader],
    length: u64,
) -> Result<(), SectionError> {
    let is_inside = |offset: u64, size: u64| {
        offset
            .checked_add(size)
            .is_some_and(|end| size == 0 || end <= length)
    };
    let segments = header.program_headers(endian, data).map_err(damaged)?;
    let mut segments = segments.iter();
    let mut sections = sections
        .iter()
        .filter(|section| !matches!(section.sh_type(endian), raw::SHT_NULL | raw::SHT_NOBITS));
    let are_inside = segments.all(|segment| {
        is_inside(
            segment.p_offset(endian).into(),
            segment.p_filesz(endian).into(),
        )
    }) && sections.all(|section| {
        is_inside(
            section.sh_offset(endian).into(),
            section.sh_size(endian).into(),
        )
    });
    match are_inside {
        true => Ok(()),
        false => Err(ElfError::Damaged.into()),
    }
}

/// Writes fields of headers with the class and byte order of a file.
#[derive(Clone, Copy)]
struct HeaderFormat {
    is_64: bool,
    is_little: bool,
}

impl HeaderFormat {
    /// The header of a section that is not loaded, without alignment.
    fn section(
        self,
        name: u64,
        kind: u32,
        offset: u64,
        size: u64,
    ) -> Result<Vec<u8>, SectionError> {
        let mut header = Vec::new();
        header.extend(self.word(name)?);
        header.extend(self.word(kind.into())?);
        // Flags, address, offset, size.
        for value in [0, 0, offset, size] {
            header.extend(self.address(value)?);
        }
        // Link, info.
        header.extend(self.word(0)?);
        header.extend(self.word(0)?);
        // Alignment, size of an entry.
        for value in [1, 0] {
            header.extend(self.address(value)?);
        }
        Ok(header)
    }

    /// Sets the fields of a file header that describe the section header table.
    fn patch(
        self,
        header: &mut [u8],
        offset: u64,
        size: usize,
        count: usize,
        names: usize,
    ) -> Result<(), SectionError> {
        // `e_shoff`, and the first of `e_shentsize`, `e_shnum` and `e_shstrndx`, which follow one another.
        let (shoff, shentsize) = if self.is_64 {
            (0x28, 0x3a)
        } else {
            (0x20, 0x2e)
        };
        let mut set = |at: usize, bytes: &[u8]| header[at..][..bytes.len()].copy_from_slice(bytes);
        set(shoff, &self.address(offset)?);
        for (position, value) in [size, count, names].into_iter().enumerate() {
            set(shentsize + 2 * position, &self.half(value)?);
        }
        Ok(())
    }

    fn address(self, value: u64) -> Result<Vec<u8>, SectionError> {
        match (self.is_64, self.is_little) {
            (true, true) => Ok(value.to_le_bytes().to_vec()),
            (true, false) => Ok(value.to_be_bytes().to_vec()),
            (false, _) => self.word(value),
        }
    }

    fn word(self, value: u64) -> Result<Vec<u8>, SectionError> {
        let value = u32::try_from(value).map_err(|_| SectionError::TooLarge)?;
        Ok(if self.is_little {
            value.to_le_bytes().to_vec()
        } else {
            value.to_be_bytes().to_vec()
        })
    }

    fn half(self, value: usize) -> Result<Vec<u8>, SectionError> {
        let value = u16::try_from(value).map_err(|_| SectionError::TooMany(value))?;
        Ok(if self.is_little {
            value.to_le_bytes().to_vec()
        } else {
            value.to_be_bytes().to_vec()
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
