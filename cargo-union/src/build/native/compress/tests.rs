#![allow(clippy::unwrap_used)]

use std::io::Read as _;

use super::*;

fn compressed(plain: &[u8], compression: Compression, piece: usize) -> (Compressed, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let mut compressor = Compressor::new(
        AtomicFile::create_beside(&directory.path().join("blob")).unwrap(),
        compression,
    );
    for piece in plain.chunks(piece) {
        compressor.write_all(piece).unwrap();
    }
    let compressed = compressor.finish().unwrap();
    let bytes = std::fs::read(compressed.draft.path()).unwrap();
    (compressed, bytes)
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as u8
    };
    (0..length)
        .map(|index| if index % 3 == 0 { next() } else { 0 })
        .collect()
}

#[test]
fn compressed_bytes_are_decompressed_unchanged_and_have_the_reported_digests() {
    let plain = noise(5_300_000);
    let (blob, bytes) = compressed(&plain, Compression::Gzip, 70_001);
    let mut decompressed = Vec::new();
    flate2::read::MultiGzDecoder::new(&bytes[..])
        .read_to_end(&mut decompressed)
        .unwrap();
    assert!(decompressed == plain);
    assert_eq!(
        (blob.digest, blob.diff_id, blob.size),
        (Digest::of(&bytes), DiffId::of(&plain), bytes.len() as u64)
    );
    let (_, bytes) = compressed(&plain, Compression::Zstd, 70_001);
    assert!(zstd::stream::decode_all(&bytes[..]).unwrap() == plain);
}

#[test]
fn compression_does_not_depend_on_the_size_of_writes() {
    let plain = noise(2_500_000);
    for compression in [Compression::Gzip, Compression::Zstd] {
        let (one, _) = compressed(&plain, compression, 1 << 20);
        let (other, _) = compressed(&plain, compression, 4_097);
        assert_eq!(one.digest, other.digest);
    }
}

/// Incompressible bytes.
fn weights(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length.div_ceil(8))
        .flat_map(|_| next())
        .take(length)
        .collect()
}

/// When this fails, the encoder has changed: raise `ENCODER`.
#[test]
fn compressed_digests_are_stable_for_this_encoder_version() {
    let compressible = noise(2_500_000);
    let weights = weights(2_500_000);
    for (plain, compression, known) in [
        (
            &compressible,
            Compression::Gzip,
            "sha256:09b346eac5fddc6a020cbc4fca72420b534569d4a3232d609482c155e5d7add3",
        ),
        (
            &compressible,
            Compression::Zstd,
            "sha256:28cab222719e7962cdab108af8269ff16ea69413ffe3d5c6b7c79fda780850b5",
        ),
        (
            &weights,
            Compression::Gzip,
            "sha256:ea8c59c960e9f2388fb923b1a895e84c1f9b4920825ad831b074cbf4553bea70",
        ),
        (
            &weights,
            Compression::Zstd,
            "sha256:255f5679591fa87b77e1d2a35096fa1ccbfae60eda94a4bcef27a0f77860a348",
        ),
    ] {
        assert_eq!(
            compressed(plain, compression, 1 << 20).0.digest.to_string(),
            known,
            "{compression:?}"
        );
    }
}

#[test]
fn incompressible_members_are_stored() {
    let plain = [
        weights(1 << 20),
        noise(1 << 20),
        weights((1 << 20) + 70_000),
    ]
    .concat();
    let (blob, bytes) = compressed(&plain, Compression::Gzip, 1 << 16);
    let mut decompressed = Vec::new();
    flate2::read::MultiGzDecoder::new(&bytes[..])
        .read_to_end(&mut decompressed)
        .unwrap();
    assert!(decompressed == plain);
    assert_eq!(blob.diff_id, DiffId::of(&plain));
    // A stored block starts with 0, or with 1 if it is the last.
    let mut rest = &bytes[..];
    let mut firsts = Vec::new();
    while !rest.is_empty() {
        firsts.push(rest[10]);
        let mut decoder = flate2::bufread::GzDecoder::new(rest);
        io::copy(&mut decoder, &mut io::sink()).unwrap();
        rest = decoder.into_inner();
    }
    assert_eq!(
        (firsts[0], firsts[1] & 6 != 0, firsts[2], firsts[3]),
        (0, true, 0, 0)
    );
    assert!(bytes.len() < plain.len() && stored(&weights(1 << 20)).len() < (1 << 20) + 200);
}

#[test]
fn stored_members_of_any_length_are_decompressed() {
    for length in [0, 1, 65_534, 65_535, 65_536, 131_070, 131_071] {
        let plain = weights(length);
        let mut decompressed = Vec::new();
        flate2::read::GzDecoder::new(&stored(&plain)[..])
            .read_to_end(&mut decompressed)
            .unwrap();
        assert!(decompressed == plain, "{length}");
    }
}

#[test]
fn texts_programs_and_base64_are_compressed() {
    use base64::Engine as _;
    let letters = base64::engine::general_purpose::STANDARD.encode(weights(700_000));
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let repeated = weights(5_000).repeat(200);
    let text = include_str!("../compress.rs").repeat(50);
    for (name, plain) in [
        ("letters", letters.as_bytes()),
        ("program", &program),
        ("repeated", &repeated),
        ("text", text.as_bytes()),
    ] {
        let worthwhile = plain
            .chunks(1 << 20)
            .filter(|member| is_worthwhile(member).unwrap())
            .count();
        assert!(
            worthwhile * 10 >= plain.len().div_ceil(1 << 20) * 9,
            "{name}: {worthwhile}"
        );
    }
    for length in [100, 4_096, 65_536, 1 << 20] {
        assert!(!is_worthwhile(&weights(length)).unwrap(), "{length}");
    }
}

#[test]
fn gzip_members_have_one_mebibyte_without_time_and_system() {
    let plain = noise((2 << 20) + 5);
    let (_, bytes) = compressed(&plain, Compression::Gzip, 1 << 16);
    let mut rest = &bytes[..];
    let mut members = Vec::new();
    while !rest.is_empty() {
        assert_eq!(rest[4..10], [0, 0, 0, 0, 0, 255]);
        let mut decoder = flate2::bufread::GzDecoder::new(rest);
        members.push(io::copy(&mut decoder, &mut io::sink()).unwrap());
        rest = decoder.into_inner();
    }
    assert_eq!(members, [1 << 20, 1 << 20, 5]);
}

/// Writing to `/dev/full` fails as on a full disk.
#[test]
#[cfg(target_os = "linux")]
fn full_disk_is_reported_with_its_own_code_without_blocking() {
    let directory = tempfile::tempdir().unwrap();
    let mut full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let cause = full.write_all(b"x").unwrap_err();
    let (order, results) = sync_channel(1);
    let (reply, result) = sync_channel(1);
    reply.send(Err(cause)).unwrap();
    order.send(result).unwrap();
    drop(order);
    let written = write(
        AtomicFile::create_beside(&directory.path().join("blob")).unwrap(),
        &results,
    );
    let error = fs::unwritable(written.draft.path(), written.outcome.unwrap_err());
    assert_eq!(error.code(), union_build::diag::Code::DiskFull);
}
