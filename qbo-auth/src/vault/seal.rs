//! The seal: XChaCha20-Poly1305 over the contents, bound to the format's own first line.
//!
//! ```text
//! qbo-backfill vault 1\n      authenticated, not encrypted
//! 24 bytes                    nonce, new for every writing
//! the rest                    ciphertext and 16-byte tag
//! ```
//!
//! A nonce of 24 random bytes may be drawn anew for every writing without ever repeating.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::VaultErrorKind;

const MAGIC: &[u8] = b"qbo-backfill vault ";
const HEADER: &[u8] = b"qbo-backfill vault 1\n";
const KEY_HEADER: &str = "qbo-backfill vault key 1\n";
const NONCE_BYTES: usize = 24;
const KEY_BYTES: usize = 32;

/// The key of one vault.
pub(super) struct VaultKey(Zeroizing<[u8; KEY_BYTES]>);

impl VaultKey {
    /// Draws a key.
    pub(super) fn generate() -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(key.as_mut())?;
        Ok(Self(key))
    }

    /// The text of a key file.
    pub(super) fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(128));
        text.push_str(KEY_HEADER);
        STANDARD.encode_string(self.0.as_slice(), &mut text);
        text.push('\n');
        text
    }

    /// Reads the text of a key file.
    pub(super) fn from_text(text: &[u8]) -> Result<Self, VaultErrorKind> {
        let encoded = text.strip_prefix(KEY_HEADER.as_bytes()).ok_or(VaultErrorKind::BadKey)?;
        let decoded =
            Zeroizing::new(STANDARD.decode(encoded.trim_ascii_end()).map_err(|_| VaultErrorKind::BadKey)?);
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if decoded.len() != KEY_BYTES {
            return Err(VaultErrorKind::BadKey);
        }
        key.copy_from_slice(&decoded);
        Ok(Self(key))
    }

    /// Seals `plain` into the bytes of a vault file.
    pub(super) fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, getrandom::Error> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)?;
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: HEADER })
            .expect("contents are far shorter than the cipher's limit of 256 GiB");
        Ok([HEADER, &nonce, &sealed].concat())
    }

    /// Opens the bytes of a vault file.
    pub(super) fn open(&self, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultErrorKind> {
        let Some(body) = bytes.strip_prefix(HEADER) else {
            return Err(unknown_header(bytes));
        };
        let (nonce, sealed) =
            body.split_first_chunk::<NONCE_BYTES>().ok_or(VaultErrorKind::Undecipherable)?;
        self.cipher()
            .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: HEADER })
            .map(Zeroizing::new)
            .map_err(|_| VaultErrorKind::Undecipherable)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

impl fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VaultKey(redacted)")
    }
}

fn unknown_header(bytes: &[u8]) -> VaultErrorKind {
    let version = bytes
        .strip_prefix(MAGIC)
        .and_then(|rest| rest.split(|b| *b == b'\n').next())
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse::<u32>().ok());
    match version {
        Some(version) if version > 1 => VaultErrorKind::NewerVersion,
        _ => VaultErrorKind::Undecipherable,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_sealed_is_opened(plain in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let key = VaultKey::generate().unwrap();
            let sealed = key.seal(&plain).unwrap();
            prop_assert_eq!(&*key.open(&sealed).unwrap(), &plain);
            let again = VaultKey::from_text(key.to_text().as_bytes()).unwrap();
            prop_assert_eq!(&*again.open(&sealed).unwrap(), &plain);
            prop_assert_eq!(VaultKey::generate().unwrap().open(&sealed), Err(VaultErrorKind::Undecipherable));
        }

        #[test]
        fn arbitrary_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let key = VaultKey::generate().unwrap();
            prop_assert!(key.open(&bytes).is_err());
            prop_assert!(key.open(&[HEADER, &bytes].concat()).is_err());
            prop_assert!(VaultKey::from_text(&bytes).is_err());
        }
    }

    #[test]
    fn a_newer_version_is_told_from_a_broken_file() {
        let key = VaultKey::generate().unwrap();
        assert_eq!(key.open(b"qbo-backfill vault 2\nanything"), Err(VaultErrorKind::NewerVersion));
        assert_eq!(key.open(b"qbo-backfill vault x\nanything"), Err(VaultErrorKind::Undecipherable));
        assert_eq!(key.open(b""), Err(VaultErrorKind::Undecipherable));
    }
}
