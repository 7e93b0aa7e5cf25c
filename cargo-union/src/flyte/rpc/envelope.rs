//! Frames of the Connect streaming protocol: one byte of flags, four bytes of length, and the payload.

use std::io::Read as _;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// The maximum size of a message, compressed and decompressed.
pub(super) const LARGEST: usize = 64 << 20;

const HEAD: usize = 5;
const COMPRESSED: u8 = 1;
const END: u8 = 2;

/// A frame of a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EnvelopeFrame {
    /// A message.
    Message(Bytes),
    /// The end of the stream, a JSON payload.
    End(Bytes),
}

/// A buffer for received bytes that do not form a complete frame yet.
#[derive(Debug, Default)]
pub(super) struct Frames(BytesMut);

impl Frames {
    /// Appends received bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next complete frame; `None` when more bytes are needed.
    ///
    /// # Errors
    /// The reason, phrased to follow the host's name.
    pub(super) fn next(&mut self) -> Result<Option<EnvelopeFrame>, String> {
        let Some(head) = self.0.get(..HEAD) else {
            return Ok(None);
        };
        let flags = head[0];
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if length > LARGEST {
            return Err(format!(
                "sends a message of {length} bytes, where {LARGEST} are the most"
            ));
        }
        if self.0.len() < HEAD + length {
            return Ok(None);
        }
        self.0.advance(HEAD);
        let payload = self.0.split_to(length).freeze();
        let payload = if flags & COMPRESSED != 0 {
            unpack(&payload)?
        } else {
            payload
        };
        Ok(Some(if flags & END != 0 {
            EnvelopeFrame::End(payload)
        } else {
            EnvelopeFrame::Message(payload)
        }))
    }

    /// Whether the buffer contains an incomplete frame.
    pub(super) fn is_torn(&self) -> bool {
        !self.0.is_empty()
    }
}

/// Encodes a message as a frame.
pub(super) fn wrap(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEAD + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("no request is larger than four gigabytes"));
    frame.put_slice(message);
    frame.freeze()
}

/// Decompresses gzip, the only compression that requests accept.
///
/// # Errors
/// The reason, phrased to follow the host's name.
pub(super) fn unpack(packed: &[u8]) -> Result<Bytes, String> {
    let mut bytes = Vec::new();
    let most = LARGEST as u64 + 1;
    flate2::read::MultiGzDecoder::new(packed)
        .take(most)
        .read_to_end(&mut bytes)
        .map_err(|cause| format!("sends something that is not gzip: {cause}"))?;
    if bytes.len() > LARGEST {
        return Err(format!("sends a message of more than {LARGEST} bytes"));
    }
    Ok(bytes.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn frame(flags: u8, payload: &[u8]) -> Vec<u8> {
        [
            &[flags][..],
            &u32::try_from(payload.len()).unwrap().to_be_bytes(),
            payload,
        ]
        .concat()
    }

    #[test]
    fn frames_are_read_from_chunks_of_any_size() {
        let stream = [
            frame(0, b"one"),
            frame(1, &gzip(b"two")),
            frame(0, b""),
            frame(2, b"{}"),
        ]
        .concat();
        for size in 1..stream.len() {
            let mut frames = Frames::default();
            let mut seen = Vec::new();
            for chunk in stream.chunks(size) {
                frames.feed(chunk);
                while let Some(frame) = frames.next().unwrap() {
                    seen.push(frame);
                }
            }
            let message =
                |text: &'static str| EnvelopeFrame::Message(Bytes::from_static(text.as_bytes()));
            assert_eq!(
                seen,
                [
                    message("one"),
                    message("two"),
                    message(""),
                    EnvelopeFrame::End(Bytes::from_static(b"{}"))
                ]
            );
            assert!(!frames.is_torn());
        }
    }

    #[test]
    fn oversized_and_invalid_frames_are_refused_before_decompression() {
        let mut frames = Frames::default();
        frames.feed(&[0, 0xff, 0xff, 0xff, 0xff]);
        assert!(frames.next().unwrap_err().contains("4294967295 bytes"));
        let mut frames = Frames::default();
        frames.feed(&frame(1, b"plain"));
        assert!(frames.next().unwrap_err().contains("not gzip"));
        let bomb = gzip(&vec![0; LARGEST / 64]).repeat(65);
        assert!(bomb.len() < 1 << 20 && unpack(&bomb).unwrap_err().contains("more than"));
    }

    #[test]
    fn request_is_one_frame() {
        assert_eq!(&wrap(b"abc")[..], frame(0, b"abc"));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_are_frames_or_refused(
            bytes in union_tests::arbitrary::bytes(64),
            framed in proptest::collection::vec((proptest::prelude::any::<u8>(), union_tests::arbitrary::bytes(16)), 0..4),
            size in 1..9_usize,
        ) {
            let framed: Vec<u8> = framed.iter().flat_map(|(flags, payload)| frame(*flags, payload)).collect();
            for stream in [bytes, framed] {
                let mut frames = Frames::default();
                for chunk in stream.chunks(size) {
                    frames.feed(chunk);
                    while let Ok(Some(EnvelopeFrame::Message(payload) | EnvelopeFrame::End(payload))) = frames.next() {
                        drop((super::super::status::end(&payload), super::super::status::error("application/json", &payload)));
                    }
                }
            }
        }
    }
}
