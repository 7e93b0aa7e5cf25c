//! Handwritten files for other machines, damaged ones, and random bytes.

use proptest::prelude::*;

use super::*;

/// A handwritten file for another machine: a header, three segments, and tables.
fn handwritten(is_64: bool, is_little: bool) -> Vec<u8> {
    let mut file = Writer {
        bytes: Vec::new(),
        is_64,
        is_little,
    };
    let (header, segment, entry) = if is_64 { (64, 56, 16) } else { (52, 32, 8) };
    let names = b"\0libfar.so.7\0libnear.so.1\0FAR_1\0NEAR_2\0\0";
    let loader = b"/lib/ld-far.so.1\0\0\0\0";
    let names_at = header + 3 * segment;
    let loader_at = names_at + names.len();
    let needed_at = loader_at + loader.len();
    let versions_at = needed_at + 32;
    let dynamic_at = versions_at + 28;
    let end = dynamic_at + 10 * entry;
    // Addresses differ from offsets.
    let address = |offset: usize| offset + 0x1000;

    file.bytes.extend([
        0x7f,
        b'E',
        b'L',
        b'F',
        1 + u8::from(is_64),
        2 - u8::from(is_little),
        1,
    ]);
    file.bytes.resize(16, 0);
    file.half(3)
        .half(22)
        .word(1)
        .long(0)
        .long(header)
        .long(0)
        .word(0);
    file.half(header)
        .half(segment)
        .half(3)
        .half(0)
        .half(0)
        .half(0);
    for (kind, start, end) in [(1, 0, end), (3, loader_at, needed_at), (2, dynamic_at, end)] {
        file.segment(kind, start, address(start), end - start);
    }
    file.bytes.extend(names);
    file.bytes.extend(loader);
    // Verneed: FAR_1 of libfar.so.7.
    file.half(1).half(1).word(1).word(16).word(0);
    file.word(0).half(0).half(2).word(26).word(0);
    // Verdef: NEAR_2.
    file.half(1)
        .half(0)
        .half(2)
        .half(1)
        .word(0)
        .word(20)
        .word(0)
        .word(32)
        .word(0);
    // Both RPATH and RUNPATH, of which RUNPATH takes precedence.
    for (tag, value) in [
        (1, 1),
        (14, 13),
        (29, 26),
        (15, 32),
        (5, address(names_at)),
        (10, names.len()),
    ] {
        file.long(tag).long(value);
    }
    for (tag, value) in [
        (0x6fff_fffe, address(needed_at)),
        (0x6fff_ffff, 1),
        (0x6fff_fffc, address(versions_at)),
        (0x6fff_fffd, 1),
    ] {
        file.long(tag).long(value);
    }
    assert_eq!(file.bytes.len(), end);
    file.bytes
}

struct Writer {
    bytes: Vec<u8>,
    is_64: bool,
    is_little: bool,
}

impl Writer {
    fn put(&mut self, value: usize, size: usize) -> &mut Self {
        let little = (value as u64).to_le_bytes();
        let mut bytes = little[..size].to_vec();
        if !self.is_little {
            bytes.reverse();
        }
        self.bytes.extend(bytes);
        self
    }

    fn half(&mut self, value: usize) -> &mut Self {
        self.put(value, 2)
    }

    fn word(&mut self, value: usize) -> &mut Self {
        self.put(value, 4)
    }

    fn long(&mut self, value: usize) -> &mut Self {
        self.put(value, if self.is_64 { 8 } else { 4 })
    }

    fn segment(&mut self, kind: usize, offset: usize, address: usize, size: usize) {
        if self.is_64 {
            self.word(kind)
                .word(4)
                .long(offset)
                .long(address)
                .long(0)
                .long(size)
                .long(size)
                .long(1);
        } else {
            self.word(kind)
                .long(offset)
                .long(address)
                .long(0)
                .long(size)
                .long(size)
                .word(4)
                .long(1);
        }
    }
}

#[test]
fn both_word_sizes_and_both_byte_orders_are_read() {
    for (is_64, is_little) in [(true, true), (true, false), (false, true), (false, false)] {
        let elf = Elf::read(&handwritten(is_64, is_little)[..]).unwrap();
        let expected = Elf {
            machine: MachineType {
                number: 22,
                is_64,
                is_little,
            },
            interpreter: Some("/lib/ld-far.so.1".to_owned()),
            soname: Some("libnear.so.1".to_owned()),
            needed: vec!["libfar.so.7".to_owned()],
            rpath: None,
            runpath: Some("FAR_1".to_owned()),
            versions_needed: BTreeMap::from([("libfar.so.7".to_owned(), vec!["FAR_1".to_owned()])]),
            versions: vec!["NEAR_2".to_owned()],
        };
        assert_eq!(elf, expected, "{is_64} {is_little}");
    }
}

/// The offset of the Verneed list of a handwritten file.
fn needed_in(bytes: &[u8]) -> usize {
    bytes
        .windows(8)
        .position(|eight| eight == [1, 0, 1, 0, 1, 0, 0, 0])
        .unwrap()
}

#[test]
fn weak_versions_are_not_needed() {
    let mut bytes = handwritten(true, true);
    let flags = needed_in(&bytes) + 16 + 4;
    bytes[flags] = 2;
    assert_eq!(
        Elf::read(&bytes[..]).unwrap().versions_needed,
        BTreeMap::new()
    );
}

#[test]
fn too_many_segments_are_an_error() {
    let mut bytes = handwritten(true, true);
    bytes.resize(200_000, 0);
    bytes[56..58].copy_from_slice(&3000_u16.to_le_bytes());
    assert_eq!(Elf::read(&bytes[..]), Err(ElfError::Damaged));
}

#[test]
fn endless_lists_of_versions_are_an_error() {
    // Counts of 65535 and more, with entries that refer to themselves.
    let mut bytes = handwritten(true, true);
    let needed = needed_in(&bytes);
    bytes[needed + 2..needed + 4].copy_from_slice(&[0xff, 0xff]);
    assert_eq!(Elf::read(&bytes[..]), Err(ElfError::Damaged));
    let mut bytes = handwritten(true, true);
    let count = bytes
        .windows(4)
        .rposition(|four| four == [0xff, 0xff, 0xff, 0x6f])
        .unwrap()
        + 8;
    bytes[count..count + 8].fill(0xff);
    assert_eq!(Elf::read(&bytes[..]), Err(ElfError::Damaged));
}

proptest! {
    #[test]
    fn parsing_random_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Elf::read(&bytes[..]);
        let _ = Elf::read(&[&b"\x7fELF\x02\x01\x01"[..], &bytes].concat()[..]);
        let _ = Elf::read(&ReadCache::new(std::io::Cursor::new([&b"\x7fELF\x01\x02\x01"[..], &bytes].concat())));
    }

    #[test]
    fn modified_elf_file_is_parsed_or_refused(
        is_64: bool, is_little: bool,
        changes in proptest::collection::vec((0..700_usize, prop_oneof![any::<u8>(), Just(0xff), Just(0)]), 1..12),
        length in 0..900_usize,
    ) {
        let mut bytes = handwritten(is_64, is_little);
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(length);
        let result = Elf::read(&bytes[..]);
        prop_assert_eq!(Elf::read(&ReadCache::new(std::io::Cursor::new(&bytes))), result.clone());
        if let Ok(elf) = result {
            prop_assert!(elf.needed.len() + elf.versions.len() <= NAMES);
        }
    }
}
