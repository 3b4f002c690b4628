//! The body of an answer as it arrives: decompressed if it is gzip, and never longer than a limit.

use std::io::{self, Write as _};
use std::mem;

use flate2::write::MultiGzDecoder;
use zeroize::Zeroize as _;

/// The first two bytes of every gzip stream (RFC 1952). No JSON, XML or HTML begins with them.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Why a body is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// The body is longer than the limit, decompressed.
    TooLarge,
    /// The body is gzip that is truncated or damaged.
    Damaged,
}

/// Collects a body and decompresses it if it is gzip.
///
/// The bytes decide whether they are gzip, and no header: proxies send `GZIP` and `x-gzip`, drop the header, or keep it on a
/// body that they have decompressed. A stream of several members is one body (RFC 1952 §2.2).
#[derive(Debug)]
pub struct Inflating(State);

/// Whether the body is compressed, as far as its first bytes show.
#[derive(Debug)]
enum State {
    /// Fewer than two bytes have arrived.
    Unknown(Bounded),
    Plain(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
}

/// Bytes up to a limit.
#[derive(Debug)]
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
    overflows: bool,
}

impl Inflating {
    /// Creates a collector for a body of at most `limit` bytes, with room for `expected` of them.
    pub fn new(limit: usize, expected: usize) -> Self {
        Self(State::Unknown(Bounded::new(limit, expected)))
    }

    /// Adds the next bytes that arrived.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        match &mut self.0 {
            State::Plain(body) => body.write_all(chunk).map_err(|_| BodyError::TooLarge),
            State::Gzip(body) => body.write_all(chunk).map_err(|_| failure(body.get_ref().overflows)),
            State::Unknown(begun) => {
                begun.write_all(chunk).map_err(|_| BodyError::TooLarge)?;
                if begun.bytes.len() < MAGIC.len() {
                    return Ok(());
                }
                let limit = begun.limit;
                let begun = mem::replace(begun, Bounded::new(limit, 0));
                if !begun.bytes.starts_with(&MAGIC) {
                    self.0 = State::Plain(begun);
                    return Ok(());
                }
                let body = Bounded::new(limit, begun.bytes.capacity());
                self.0 = State::Gzip(Box::new(MultiGzDecoder::new(body)));
                self.push(&begun.bytes)
            }
        }
    }

    /// Ends the body and returns it.
    pub fn finish(self) -> Result<Vec<u8>, BodyError> {
        match self.0 {
            State::Unknown(body) | State::Plain(body) => Ok(body.into_bytes()),
            State::Gzip(mut body) => {
                let ended = body.try_finish();
                let overflows = body.get_ref().overflows;
                ended.and_then(|()| body.finish()).map(Bounded::into_bytes).map_err(|_| failure(overflows))
            }
        }
    }
}

fn failure(overflows: bool) -> BodyError {
    if overflows { BodyError::TooLarge } else { BodyError::Damaged }
}

impl Bounded {
    fn new(limit: usize, expected: usize) -> Self {
        Self { bytes: Vec::with_capacity(expected.min(limit)), limit, overflows: false }
    }

    fn into_bytes(mut self) -> Vec<u8> {
        mem::take(&mut self.bytes)
    }
}

/// A body that is not returned may be half of a token answer.
impl Drop for Bounded {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            self.overflows = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn collected(bytes: &[u8], chunk: usize, limit: usize) -> Result<Vec<u8>, BodyError> {
        let mut body = Inflating::new(limit, 64);
        for chunk in bytes.chunks(chunk) {
            body.push(chunk)?;
        }
        body.finish()
    }

    #[test]
    fn a_body_is_read_plain_or_packed_in_members_whatever_the_chunks() {
        let text = b"{\"QueryResponse\":{}}".repeat(50);
        let (one, other) = text.split_at(333);
        let members = [gzip(one), gzip(b""), gzip(other)].concat();
        for bytes in [text.clone(), gzip(&text), members] {
            for chunk in [1, 2, 7, 1000, 100_000] {
                assert_eq!(collected(&bytes, chunk, 1000).unwrap(), text, "{chunk}");
            }
        }
        for short in [&b""[..], b"{", b"\x1f"] {
            assert_eq!(collected(short, 1, 10).unwrap(), short);
        }
    }

    #[test]
    fn what_is_too_long_or_damaged_is_refused() {
        let bomb = gzip(&vec![b' '; 10 << 20]);
        for chunk in [1000, usize::MAX] {
            assert_eq!(collected(&bomb, chunk, 1 << 20), Err(BodyError::TooLarge));
        }
        assert_eq!(collected(&[b' '; 11], 3, 10), Err(BodyError::TooLarge));
        assert_eq!(collected(&[b' '; 10], 3, 10).unwrap().len(), 10);
        let whole = gzip(b"{\"QueryResponse\":{}}");
        for cut in [3, 12, whole.len() - 1] {
            assert_eq!(collected(&whole[..cut], 5, 1000), Err(BodyError::Damaged), "{cut}");
        }
        let mut flipped = whole;
        flipped[14] ^= 0x55;
        assert_eq!(collected(&flipped, 5, 1000), Err(BodyError::Damaged));
    }
}
