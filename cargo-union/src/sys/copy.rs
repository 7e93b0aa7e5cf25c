//! Copying a stream, with an error that distinguishes source and destination.

use std::io::{Error, Read, Write};

/// Bytes that are copied at a time.
const CHUNK: usize = 1 << 18;

/// Which side of a copy failed.
#[derive(Debug)]
pub(crate) enum CopyError {
    /// The source could not be read.
    Read(Error),
    /// The destination could not be written.
    Write(Error),
}

/// Copies everything. `inspect` is called with each chunk before it is written.
pub(crate) fn copy(
    from: &mut impl Read,
    to: &mut impl Write,
    mut inspect: impl FnMut(&[u8]),
) -> Result<(), CopyError> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer).map_err(CopyError::Read)? {
            0 => return Ok(()),
            count => {
                inspect(&buffer[..count]);
                to.write_all(&buffer[..count]).map_err(CopyError::Write)?;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io;

    use super::*;

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(Error::other("broken"))
        }
    }

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(Error::other("broken"))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn copy_error_names_the_side_that_failed() {
        assert!(matches!(
            copy(&mut Broken, &mut Vec::new(), |_| ()),
            Err(CopyError::Read(_))
        ));
        assert!(matches!(
            copy(&mut &b"a"[..], &mut Broken, |_| ()),
            Err(CopyError::Write(_))
        ));
    }

    #[test]
    fn copy_shows_every_byte_to_inspect() {
        let (content, mut seen, mut copied) = (vec![7; CHUNK + 1], Vec::new(), Vec::new());
        copy(&mut content.as_slice(), &mut copied, |chunk| {
            seen.extend_from_slice(chunk)
        })
        .unwrap();
        assert!(seen == content && copied == content);
    }
}
