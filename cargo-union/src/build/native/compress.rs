//! Compression in members of fixed size, on every core, in order, in little memory.
//!
//! A gzip file is a row of members (a zstd file of frames) that can be made independently. Each holds
//! the same number of uncompressed bytes whatever the machine, so the bytes do not depend on how many
//! workers there are. What is in flight is bounded: memory does not grow with the file.

use std::io::{self, Write};
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use flate2::GzBuilder;
use sha2::{Digest as _, Sha256};
use union_build::spec::Compression;

use crate::base::error::Result;
use crate::base::fs::{self, Draft};
use crate::image::digest::{DiffId, Digest};

/// Version of the encoders and of what is written with them. Raise it when the same input gives
/// other bytes: what was packed by an older one is then not taken for what this one would pack.
pub(super) const ENCODER: i64 = 1;

/// A compressed stream: takes plain bytes, writes a blob, and knows the digests of both.
pub(super) struct Compressor {
    member: usize,
    buffer: Vec<u8>,
    plain: Sha256,
    jobs: SyncSender<Job>,
    order: SyncSender<Receiver<io::Result<Vec<u8>>>>,
    workers: Vec<JoinHandle<()>>,
    writer: JoinHandle<Written>,
}

/// A finished blob, still without its name.
pub(super) struct Compressed {
    pub(super) draft: Draft,
    pub(super) digest: Digest,
    pub(super) diff_id: DiffId,
    pub(super) size: u64,
}

struct Job {
    plain: Vec<u8>,
    reply: SyncSender<io::Result<Vec<u8>>>,
}

struct Written {
    draft: Draft,
    hash: Sha256,
    size: u64,
    outcome: io::Result<()>,
}

impl Compressor {
    pub(super) fn new(draft: Draft, compression: Compression) -> Self {
        // More would hold more memory than a build may take.
        let count = thread::available_parallelism().map_or(1, NonZero::get).min(6);
        let (jobs, queue) = sync_channel(count);
        let (order, results) = sync_channel(count);
        let queue = Arc::new(Mutex::new(queue));
        let workers = (0..count)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || work(&queue, compression))
            })
            .collect();
        let writer = thread::spawn(move || write(draft, &results));
        let member = match compression {
            Compression::Gzip => 1 << 20,
            // A larger frame compresses better, and zstd is fast enough to wait for it.
            Compression::Zstd => 2 << 20,
        };
        Self { member, buffer: Vec::with_capacity(member), plain: Sha256::new(), jobs, order, workers, writer }
    }

    /// Writes what is left and waits for the threads. When writing failed, this is what says why.
    pub(super) fn finish(mut self) -> Result<Compressed> {
        let last = if self.buffer.is_empty() { Ok(()) } else { self.send() };
        drop((self.jobs, self.order));
        for worker in self.workers {
            worker.join().expect("compressing does not panic");
        }
        let written = self.writer.join().expect("writing does not panic");
        written.outcome.and(last).map_err(|cause| fs::unwritable(written.draft.path(), cause))?;
        let (digest, diff_id) = (Digest::from_hasher(written.hash), DiffId::from_hasher(self.plain));
        Ok(Compressed { draft: written.draft, digest, diff_id, size: written.size })
    }

    fn send(&mut self) -> io::Result<()> {
        let plain = std::mem::replace(&mut self.buffer, Vec::with_capacity(self.member));
        let (reply, result) = sync_channel(1);
        // The order is taken first: it is what the writer drops when it fails, and then nobody waits.
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the compressed file could not be written");
        self.order.send(result).map_err(|_| gone(()))?;
        self.jobs.send(Job { plain, reply }).map_err(|_| gone(()))
    }
}

impl Write for Compressor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.member - self.buffer.len());
        let taken = &bytes[..taken];
        self.plain.update(taken);
        self.buffer.extend_from_slice(taken);
        if self.buffer.len() == self.member {
            self.send()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn work(queue: &Mutex<Receiver<Job>>, compression: Compression) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { plain, reply }) = job else { return };
        // Nobody waits for the answer once the writer has failed.
        let _ = reply.send(compress(&plain, compression));
    }
}

fn compress(plain: &[u8], compression: Compression) -> io::Result<Vec<u8>> {
    match compression {
        Compression::Gzip => {
            // Neither the time nor the operating system goes into the header: 255 is "unknown".
            let buffer = Vec::with_capacity(plain.len() / 2);
            let mut encoder = GzBuilder::new().mtime(0).operating_system(255).write(buffer, flate2::Compression::new(6));
            encoder.write_all(plain)?;
            encoder.finish()
        }
        Compression::Zstd => zstd::bulk::compress(plain, 3),
    }
}

fn write(mut draft: Draft, results: &Receiver<Receiver<io::Result<Vec<u8>>>>) -> Written {
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut outcome = Ok(());
    for result in results {
        let written = result.recv().expect("every job is answered").and_then(|bytes| {
            hash.update(&bytes);
            size += bytes.len() as u64;
            draft.write_all(&bytes)
        });
        if written.is_err() {
            outcome = written;
            break;
        }
    }
    Written { draft, hash, size, outcome }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn compressed(plain: &[u8], compression: Compression, piece: usize) -> (Compressed, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let mut compressor = Compressor::new(Draft::beside(&folder.path().join("blob")).unwrap(), compression);
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
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as u8
        };
        (0..length).map(|index| if index % 3 == 0 { next() } else { 0 }).collect()
    }

    #[test]
    fn what_is_compressed_comes_back_in_order_with_its_digests() {
        let plain = noise(5_300_000);
        let (blob, bytes) = compressed(&plain, Compression::Gzip, 70_001);
        let mut back = Vec::new();
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut back).unwrap();
        assert!(back == plain);
        assert_eq!((blob.digest, blob.diff_id, blob.size), (Digest::of(&bytes), DiffId::of(&plain), bytes.len() as u64));
        let (_, bytes) = compressed(&plain, Compression::Zstd, 70_001);
        assert!(zstd::stream::decode_all(&bytes[..]).unwrap() == plain);
    }

    #[test]
    fn the_bytes_do_not_depend_on_how_they_arrive() {
        let plain = noise(2_500_000);
        for compression in [Compression::Gzip, Compression::Zstd] {
            let (one, _) = compressed(&plain, compression, 1 << 20);
            let (other, _) = compressed(&plain, compression, 4_097);
            assert_eq!(one.digest, other.digest);
        }
    }

    #[test]
    fn gzip_members_are_one_mebibyte_and_say_neither_time_nor_system() {
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

    /// `/dev/full` is what a full disk looks like to a program.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_ends_with_its_own_code_and_nobody_waits_forever() {
        let folder = tempfile::tempdir().unwrap();
        let mut full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let cause = full.write_all(b"x").unwrap_err();
        let ((order, results), (reply, result)) = (sync_channel(1), sync_channel(1));
        reply.send(Err(cause)).unwrap();
        order.send(result).unwrap();
        drop(order);
        let written = write(Draft::beside(&folder.path().join("blob")).unwrap(), &results);
        let error = fs::unwritable(written.draft.path(), written.outcome.unwrap_err());
        assert_eq!(error.code(), union_build::diag::Code::DiskFull);
    }
}
