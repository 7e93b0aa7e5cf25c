#![allow(clippy::unwrap_used)]

use super::*;

fn layer() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    tar.append_data(&mut header, "./etc/passwd", &b"text"[..])
        .unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    tar.append_link(&mut header, "./bin", "usr/bin").unwrap();
    tar.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

fn read_tar(bytes: Vec<u8>, diff_id: DiffId) -> io::Result<Vec<LayerChange>> {
    let directory = tempfile::tempdir().unwrap();
    read(&bytes[..], diff_id, directory.path())
}

#[test]
fn uncompressed_multi_member_gzip_and_zstd_layers_are_read() {
    let tar = layer();
    let members = [gzip(&tar[..700]), gzip(&tar[700..])].concat();
    for bytes in [tar.clone(), members, zstd::bulk::compress(&tar, 1).unwrap()] {
        let changes = read_tar(bytes, DiffId::of(&tar)).unwrap();
        let text = FsEntry::File(Some(IndexedFile::Text("text".to_owned())));
        let expected = [
            LayerChange::Put("etc/passwd".to_owned(), text),
            LayerChange::Put("bin".to_owned(), FsEntry::Link("usr/bin".to_owned())),
        ];
        assert_eq!(changes, expected);
    }
}

#[test]
fn unpadded_layer_is_read_and_truncated_layer_is_refused() {
    let complete = layer();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    tar.append_data(&mut header, "./etc/passwd", &b"text"[..])
        .unwrap();
    let tar = &tar.get_ref()[..512 + 4];
    let text = FsEntry::File(Some(IndexedFile::Text("text".to_owned())));
    assert_eq!(
        read_tar(tar.to_vec(), DiffId::of(tar)).unwrap(),
        [LayerChange::Put("etc/passwd".to_owned(), text)]
    );
    for end in [0, 100, 512, 514, 516, complete.len() - 1] {
        assert!(
            read_tar(complete[..end].to_vec(), DiffId::of(&complete)).is_err(),
            "{end}"
        );
    }
}

#[test]
fn layer_with_another_diff_id_is_refused() {
    assert!(
        read_tar(layer(), DiffId::of("another"))
            .unwrap_err()
            .to_string()
            .contains("diff ID")
    );
}

#[test]
fn large_libraries_and_hard_links_to_them_are_indexed() {
    let words = ["-shared", "-nostdlib", "-Wl,-soname,liblarge.so.1"];
    let compiler = union_tests::c::CCompiler::default();
    let library =
        std::fs::read(compiler.cc("large.so", "const char large[5000000] = { 1 };\n", &words))
            .unwrap();
    assert!(library.len() > 4 << 20, "more than what is held in memory");
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(library.len() as u64);
    tar.append_data(&mut header, "usr/lib/liblarge.so.1", &library[..])
        .unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Link);
    header.set_size(0);
    tar.append_link(&mut header, "usr/lib/again.so", "usr/lib/liblarge.so.1")
        .unwrap();
    let tar = tar.into_inner().unwrap();
    let changes = read_tar(tar.clone(), DiffId::of(&tar)).unwrap();
    let names = changes.iter().map(|change| match change {
        LayerChange::Put(_, FsEntry::File(Some(IndexedFile::Library(facts)))) => {
            facts.read().unwrap().soname.unwrap()
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(names.collect::<Vec<_>>(), ["liblarge.so.1"; 2]);
}

#[test]
fn packages_and_hard_links_to_them_are_indexed() {
    let mut tar = tar::Builder::new(Vec::new());
    let metadata = b"Name: six\nVersion: 1.16.0\n";
    let mut header = tar::Header::new_gnu();
    header.set_size(metadata.len() as u64);
    let path = "cache/six-1.16.0.dist-info/METADATA";
    tar.append_data(&mut header, path, &metadata[..]).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Link);
    header.set_size(0);
    tar.append_link(&mut header, "opt/six-1.16.0.dist-info/METADATA", path)
        .unwrap();
    let tar = tar.into_inner().unwrap();
    let changes = read_tar(tar.clone(), DiffId::of(&tar)).unwrap();
    let names = changes.iter().map(|change| match change {
        LayerChange::Put(_, FsEntry::File(Some(IndexedFile::Packages(file)))) => {
            file.packages[0].name.as_str()
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(names.collect::<Vec<_>>(), ["six"; 2]);
}

proptest::proptest! {
    #[test]
    fn reading_a_layer_never_panics(changes in proptest::collection::vec((0..2048_usize, proptest::prelude::any::<u8>()), 0..20), end in 0..4096_usize) {
        let mut tar = layer();
        for (at, byte) in changes {
            let at = at % tar.len();
            tar[at] = byte;
        }
        tar.truncate(end);
        for bytes in [gzip(&tar), tar] {
            let _ = read_tar(bytes.clone(), DiffId::of(&bytes));
        }
    }
}

#[test]
fn too_large_extended_attributes_are_refused() {
    let layer = |length: u64| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::XHeader);
        header.set_path("pax").unwrap();
        header.set_size(length);
        header.set_cksum();
        let value = format!("{length} comment=");
        let padding = io::repeat(b'x').take(length - value.len() as u64 - 1);
        let attributes = io::Cursor::new([header.as_bytes(), value.as_bytes()].concat())
            .chain(padding)
            .chain(&b"\n"[..]);
        attributes
            .chain(io::repeat(0).take(length.next_multiple_of(512) - length))
            .chain(io::Cursor::new(self::layer()))
    };
    let directory = tempfile::tempdir().unwrap();
    let diff_id = |length| {
        let mut bytes = Vec::new();
        layer(length).read_to_end(&mut bytes).unwrap();
        DiffId::of(&bytes)
    };
    assert!(read(layer(100_000), diff_id(100_000), directory.path()).is_ok());
    let error = read(layer(64 << 30), diff_id(1000), directory.path()).unwrap_err();
    assert!(
        error.to_string().contains("more than 1048576 bytes"),
        "{error}"
    );
}
