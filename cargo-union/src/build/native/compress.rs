//! Parallel, deterministic compression of layers in bounded memory.
//!
//! A gzip file is a sequence of members (a zstd file of frames) that can be compressed independently. Each has the same
//! number of uncompressed bytes on every machine, so the output does not depend on the number of workers. The queue is
//! bounded: memory does not grow with the file.
//!
//! A gzip member that would hardly become smaller is stored uncompressed: compressing model weights and archives would
//! take fifteen seconds per gigabyte, here and wherever the image is pulled. zstd detects incompressible data by
//! itself.

use std::io::{self, Write};
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use flate2::GzBuilder;
use sha2::{Digest as _, Sha256};
use union_build::spec::Compression;

use crate::sys::digest::{DiffId, Digest};
use crate::sys::error::Result;
use crate::sys::fs::{self, AtomicFile};

/// Version of the encoders and their output. Raise it when the same input gives different bytes, so that layers cached
/// by an older version are not reused.
pub(super) const ENCODER: i64 = 3;

/// A compressing writer that computes the digests of input and output.
pub(super) struct Compressor {
    member: usize,
    buffer: Vec<u8>,
    plain: Sha256,
    jobs: SyncSender<CompressJob>,
    order: SyncSender<Receiver<io::Result<Vec<u8>>>>,
    workers: Vec<JoinHandle<()>>,
    writer: JoinHandle<CompressedFile>,
}

/// A finished blob in a temporary file.
pub(super) struct Compressed {
    pub(super) draft: AtomicFile,
    pub(super) digest: Digest,
    pub(super) diff_id: DiffId,
    pub(super) size: u64,
}

struct CompressJob {
    plain: Vec<u8>,
    reply: SyncSender<io::Result<Vec<u8>>>,
}

struct CompressedFile {
    draft: AtomicFile,
    hash: Sha256,
    size: u64,
    outcome: io::Result<()>,
}

impl Compressor {
    pub(super) fn new(draft: AtomicFile, compression: Compression) -> Self {
        // Limits the memory of a build.
        let count = thread::available_parallelism()
            .map_or(1, NonZero::get)
            .min(6);
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
            // Larger frames compress better, and zstd is fast enough for them.
            Compression::Zstd => 2 << 20,
        };
        Self {
            member,
            buffer: Vec::with_capacity(member),
            plain: Sha256::new(),
            jobs,
            order,
            workers,
            writer,
        }
    }

    /// Compresses the rest and waits for the threads. Reports the cause of an earlier failed write.
    pub(super) fn finish(mut self) -> Result<Compressed> {
        let last = if self.buffer.is_empty() {
            Ok(())
        } else {
            self.send()
        };
        drop((self.jobs, self.order));
        for worker in self.workers {
            worker.join().expect("compressing does not panic");
        }
        let written = self.writer.join().expect("writing does not panic");
        written
            .outcome
            .and(last)
            .map_err(|cause| fs::unwritable(written.draft.path(), cause))?;
        let digest = Digest::from_hasher(written.hash);
        let diff_id = DiffId::from_hasher(self.plain);
        Ok(Compressed {
            draft: written.draft,
            digest,
            diff_id,
            size: written.size,
        })
    }

    fn send(&mut self) -> io::Result<()> {
        let plain = std::mem::replace(&mut self.buffer, Vec::with_capacity(self.member));
        let (reply, result) = sync_channel(1);
        // The receiver of the result is sent to the writer first: a writer that failed has dropped that channel, so
        // that no send blocks forever.
        let closed = || {
            io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the compressed file could not be written",
            )
        };
        self.order.send(result).map_err(|_| closed())?;
        self.jobs
            .send(CompressJob { plain, reply })
            .map_err(|_| closed())
    }
}

impl Write for Compressor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let accepted = &bytes[..bytes.len().min(self.member - self.buffer.len())];
        self.plain.update(accepted);
        self.buffer.extend_from_slice(accepted);
        if self.buffer.len() == self.member {
            self.send()?;
        }
        Ok(accepted.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn work(queue: &Mutex<Receiver<CompressJob>>, compression: Compression) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(CompressJob { plain, reply }) = job else {
            return;
        };
        // The receiver was dropped if the writer has failed.
        let _ = reply.send(compress(&plain, compression));
    }
}

fn compress(plain: &[u8], compression: Compression) -> io::Result<Vec<u8>> {
    match compression {
        Compression::Gzip => {
            if !is_worthwhile(plain)? {
                return Ok(stored(plain));
            }
            // The header has neither the time nor the operating system (255 is "unknown", RFC 1952).
            let buffer = Vec::with_capacity(plain.len() / 2);
            let mut encoder = GzBuilder::new()
                .mtime(0)
                .operating_system(255)
                .write(buffer, flate2::Compression::new(GZIP));
            encoder.write_all(plain)?;
            encoder.finish()
        }
        Compression::Zstd => zstd::bulk::compress(plain, 3),
    }
}

/// The gzip level. The default of 6 takes 50 % longer for executables that become 3 % smaller.
const GZIP: u32 = 3;

/// Whether a member becomes at least 10 % smaller, estimated from a sample. Uses only integers and a pinned encoder, so
/// that all machines decide alike.
fn is_worthwhile(plain: &[u8]) -> io::Result<bool> {
    let sample = sample(plain);
    if repeats_bytes(&sample) {
        return Ok(true);
    }
    // Level 2 is the fastest one with dynamic Huffman codes, which also compress data with few distinct bytes.
    let buffer = Vec::with_capacity(sample.len() * 2);
    let mut encoder = flate2::write::DeflateEncoder::new(buffer, flate2::Compression::new(2));
    encoder.write_all(&sample)?;
    Ok(encoder.finish()?.len() <= sample.len() - sample.len() / 10)
}

/// Eight evenly spread pieces of a member, or all of a small one.
fn sample(plain: &[u8]) -> Vec<u8> {
    const PIECES: usize = 8;
    const PIECE: usize = 1 << 13;
    let Some(rest) = plain.len().checked_sub(PIECES * PIECE) else {
        return plain.to_vec();
    };
    let begins = (0..PIECES).map(|piece| piece * PIECE + rest * piece / (PIECES - 1));
    begins
        .flat_map(|begin| &plain[begin..begin + PIECE])
        .copied()
        .collect()
}

/// Whether two random bytes are equal at least eight times as often as in noise. Programs and texts are far above that
/// and need no trial compression.
fn repeats_bytes(sample: &[u8]) -> bool {
    let mut counts = [0_u64; 256];
    for byte in sample {
        counts[usize::from(*byte)] += 1;
    }
    let equal_pairs: u64 = counts.iter().map(|count| count * count).sum();
    equal_pairs * 32 >= (sample.len() as u64).pow(2)
}

/// A gzip member of stored blocks, with the header that [`compress`] writes.
fn stored(plain: &[u8]) -> Vec<u8> {
    const LONGEST: usize = u16::MAX as usize;
    let mut member = Vec::with_capacity(plain.len() + 5 * plain.len().div_ceil(LONGEST) + 18);
    member.extend([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    let mut rest = plain;
    loop {
        let (block, after) = rest.split_at(rest.len().min(LONGEST));
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        member.push(u8::from(after.is_empty()));
        member.extend(length.to_le_bytes());
        member.extend((!length).to_le_bytes());
        member.extend(block);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    let mut crc = flate2::Crc::new();
    crc.update(plain);
    member.extend(crc.sum().to_le_bytes());
    member.extend(crc.amount().to_le_bytes());
    member
}

fn write(
    mut draft: AtomicFile,
    results: &Receiver<Receiver<io::Result<Vec<u8>>>>,
) -> CompressedFile {
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut outcome = Ok(());
    for result in results {
        let written = result
            .recv()
            .expect("every job is answered")
            .and_then(|bytes| {
                hash.update(&bytes);
                size += bytes.len() as u64;
                draft.write_all(&bytes)
            });
        if written.is_err() {
            outcome = written;
            break;
        }
    }
    CompressedFile {
        draft,
        hash,
        size,
        outcome,
    }
}

#[cfg(test)]
mod tests;
