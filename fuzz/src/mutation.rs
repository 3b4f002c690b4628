//! Bytes that are nearly those of the corpus.

use fastrand::Rng;

/// Pieces that mean something to one of the readers.
const WORDS: [&str; 40] = [
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "-",
    "0",
    "1e400",
    "1E-401",
    "\\u0000",
    "\\ud800",
    "\\udc00",
    "\\ud83d\\ude00",
    "{\"Id\":\"1\"}",
    "\"Id\":\"2\",",
    "\"Fault\":{}",
    "\"QueryResponse\":{}",
    "<Error ",
    "code=\"",
    "errorCode=",
    "T24:00:00",
    "9999-12-31T23:59:59-12:00",
    "0000-01-01T00:00:00+14:00",
    ":60Z",
    "+00:00",
    "GMT",
    "18446744073709551616",
    "&code=",
    "&state=STATE",
    "%00",
    "#",
    "\n",
    "\n\n",
    "é",
    "'",
];

/// How much longer than its origin a mutation may grow.
const MOST_GROWTH: usize = 4096;

/// One to eight small changes of `origin`; `other` is a file to take pieces from.
pub fn mutated(rng: &mut Rng, origin: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = origin.to_vec();
    for _ in 0..rng.u8(1..=8) {
        change(rng, &mut bytes, other);
        bytes.truncate(origin.len() + MOST_GROWTH);
    }
    bytes
}

fn change(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = rng.usize(..=bytes.len());
    let piece = stretch(rng, bytes, at);
    match rng.u8(..8) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.u8(..8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = rng.u8(..);
            }
        }
        2 => drop(bytes.splice(at..at, rng.choice(WORDS).unwrap_or_default().bytes())),
        3 => drop(bytes.splice(piece, rng.choice(WORDS).unwrap_or_default().bytes())),
        4 => drop(bytes.drain(piece)),
        5 => {
            let again = bytes[piece].repeat(rng.usize(1..=16));
            drop(bytes.splice(at..at, again));
        }
        6 => {
            let from = rng.usize(..=other.len());
            let foreign = stretch(rng, other, from);
            drop(bytes.splice(at..at, other[foreign].iter().copied()));
        }
        _ => bytes.truncate(at),
    }
}

/// A short range that begins at `from`.
fn stretch(rng: &mut Rng, bytes: &[u8], from: usize) -> std::ops::Range<usize> {
    from..(from + rng.usize(..=32)).min(bytes.len())
}
