//! Frames of a stream: one byte of flags, four of length, and a payload, however the line cuts them.

use std::io::Read as _;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// The largest message that is read, and the largest that one may become when it is unpacked.
pub(super) const LARGEST: usize = 64 << 20;

const HEAD: usize = 5;
const COMPRESSED: u8 = 1;
const END: u8 = 2;

/// A frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EnvelopeFrame {
    /// A message.
    Message(Bytes),
    /// The end of the stream, as JSON.
    End(Bytes),
}

/// The bytes of a stream that have not become frames yet.
#[derive(Debug, Default)]
pub(super) struct Frames(BytesMut);

impl Frames {
    /// Takes what the line has brought.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next frame that is whole.
    ///
    /// # Errors
    /// What the backend did wrong, as a sentence's end.
    pub(super) fn next(&mut self) -> Result<Option<EnvelopeFrame>, String> {
        let Some(head) = self.0.get(..HEAD) else { return Ok(None) };
        let (flags, length) = (head[0], u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize);
        if length > LARGEST {
            return Err(format!("sends a message of {length} bytes, where {LARGEST} are the most"));
        }
        if self.0.len() < HEAD + length {
            return Ok(None);
        }
        self.0.advance(HEAD);
        let payload = self.0.split_to(length).freeze();
        let payload = if flags & COMPRESSED != 0 { unpack(&payload)? } else { payload };
        Ok(Some(if flags & END != 0 { EnvelopeFrame::End(payload) } else { EnvelopeFrame::Message(payload) }))
    }

    /// Whether a frame has begun and not ended.
    pub(super) fn is_torn(&self) -> bool {
        !self.0.is_empty()
    }
}

/// One message as a frame.
pub(super) fn wrap(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEAD + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("no request is larger than four gigabytes"));
    frame.put_slice(message);
    frame.freeze()
}

/// Unpacks gzip, the one compression that is asked for.
///
/// # Errors
/// What the backend did wrong, as a sentence's end.
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
        [&[flags][..], &u32::try_from(payload.len()).unwrap().to_be_bytes(), payload].concat()
    }

    #[test]
    fn frames_come_out_whole_however_they_are_cut() {
        let line = [frame(0, b"one"), frame(1, &gzip(b"two")), frame(0, b""), frame(2, b"{}")].concat();
        for size in 1..line.len() {
            let (mut frames, mut seen) = (Frames::default(), Vec::new());
            for chunk in line.chunks(size) {
                frames.feed(chunk);
                while let Some(frame) = frames.next().unwrap() {
                    seen.push(frame);
                }
            }
            let message = |text: &'static str| EnvelopeFrame::Message(Bytes::from_static(text.as_bytes()));
            assert_eq!(seen, [message("one"), message("two"), message(""), EnvelopeFrame::End(Bytes::from_static(b"{}"))]);
            assert!(!frames.is_torn());
        }
    }

    #[test]
    fn what_is_too_large_or_not_gzip_is_an_error_before_it_is_read() {
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
    fn a_request_is_one_frame() {
        assert_eq!(&wrap(b"abc")[..], frame(0, b"abc"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_frames_or_refused(
            bytes in union_tests::arbitrary::bytes(64),
            framed in proptest::collection::vec((proptest::prelude::any::<u8>(), union_tests::arbitrary::bytes(16)), 0..4),
            size in 1..9_usize,
        ) {
            let framed: Vec<u8> = framed.iter().flat_map(|(flags, payload)| frame(*flags, payload)).collect();
            for line in [bytes, framed] {
                let mut frames = Frames::default();
                for chunk in line.chunks(size) {
                    frames.feed(chunk);
                    while let Ok(Some(EnvelopeFrame::Message(payload) | EnvelopeFrame::End(payload))) = frames.next() {
                        drop((super::super::status::end(&payload), super::super::status::error(&payload)));
                    }
                }
            }
        }
    }
}
