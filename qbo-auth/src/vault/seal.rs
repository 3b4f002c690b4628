//! The seal: XChaCha20-Poly1305 over the contents, bound to the format's own first lines.
//!
//! ```text
//! qbo-backfill vault 2\n      authenticated, not encrypted
//! key file\n                  or `argon2id m=… t=… p=… salt=…`: what opens it; authenticated too
//! 24 bytes                    nonce, new for every writing
//! the rest                    ciphertext and 16-byte tag
//! ```
//!
//! A nonce of 24 random bytes may be drawn anew for every writing without ever repeating. Version 1 had no
//! second line; it is read, and written again as version 2.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::VaultErrorKind;
use super::passphrase::{KEY_BYTES, Stretch};

const MAGIC: &[u8] = b"qbo-backfill vault ";
const VERSION_1: &[u8] = b"qbo-backfill vault 1\n";
const VERSION_2: &[u8] = b"qbo-backfill vault 2\n";
const KEY_FILE_LINE: &[u8] = b"key file\n";
const KEY_HEADER: &str = "qbo-backfill vault key 1\n";
const NONCE_BYTES: usize = 24;

/// The key of one vault.
pub(super) struct VaultKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    /// How these bytes are derived from a passphrase; `None` for a generated key.
    stretch: Option<Stretch>,
}

impl VaultKey {
    /// Generates a key.
    pub(super) fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(bytes.as_mut())?;
        Ok(Self { bytes, stretch: None })
    }

    /// Derives a vault's key from its passphrase. This takes a good part of a second, and the memory that `stretch` sets.
    pub(super) fn of_passphrase(passphrase: &str, stretch: Stretch) -> Result<Self, VaultErrorKind> {
        Ok(Self { bytes: stretch.key(passphrase)?, stretch: Some(stretch) })
    }

    /// The text of a key file.
    pub(super) fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(128));
        text.push_str(KEY_HEADER);
        STANDARD.encode_string(self.bytes.as_slice(), &mut text);
        text.push('\n');
        text
    }

    /// Reads the text of a key file.
    pub(super) fn from_text(text: &[u8]) -> Result<Self, VaultErrorKind> {
        let encoded = text.strip_prefix(KEY_HEADER.as_bytes()).ok_or(VaultErrorKind::BadKey)?;
        let decoded =
            Zeroizing::new(STANDARD.decode(encoded.trim_ascii_end()).map_err(|_| VaultErrorKind::BadKey)?);
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        if decoded.len() != KEY_BYTES {
            return Err(VaultErrorKind::BadKey);
        }
        bytes.copy_from_slice(&decoded);
        Ok(Self { bytes, stretch: None })
    }

    /// Seals `plain` into the bytes of a vault file.
    pub(super) fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, getrandom::Error> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)?;
        let header = match &self.stretch {
            None => [VERSION_2, KEY_FILE_LINE].concat(),
            Some(stretch) => [VERSION_2, stretch.to_string().as_bytes(), b"\n"].concat(),
        };
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &header })
            .expect("contents are far shorter than the cipher's limit of 256 GiB");
        Ok([&header, nonce.as_slice(), &sealed].concat())
    }

    /// Opens the bytes of a vault file.
    pub(super) fn open(&self, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultErrorKind> {
        let sealed = Sealed::parse(bytes)?;
        match (&self.stretch, &sealed.stretch) {
            (None, Some(_)) => return Err(VaultErrorKind::NeedsPassphrase),
            (Some(_), None) => return Err(VaultErrorKind::NeedsKeyFile),
            _ => {}
        }
        let (nonce, body) =
            sealed.body.split_first_chunk::<NONCE_BYTES>().ok_or(VaultErrorKind::Undecipherable)?;
        self.cipher()
            .decrypt(&XNonce::from(*nonce), Payload { msg: body, aad: sealed.header })
            .map(Zeroizing::new)
            .map_err(|_| VaultErrorKind::Undecipherable)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.bytes).into())
    }
}

impl fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VaultKey(redacted)")
    }
}

/// The parts of a vault file. No part is authenticated yet.
#[derive(Debug)]
pub(super) struct Sealed<'a> {
    header: &'a [u8],
    /// How the key is derived from this vault's passphrase; `None` if a key file opens it.
    pub(super) stretch: Option<Stretch>,
    body: &'a [u8],
}

impl<'a> Sealed<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, VaultErrorKind> {
        if let Some(body) = bytes.strip_prefix(VERSION_1) {
            return Ok(Self { header: VERSION_1, stretch: None, body });
        }
        let Some(rest) = bytes.strip_prefix(VERSION_2) else {
            return Err(unknown_header(bytes));
        };
        let line_length = rest.iter().position(|b| *b == b'\n').ok_or(VaultErrorKind::Undecipherable)? + 1;
        let (line, body) = rest.split_at(line_length);
        let (header, _) = bytes.split_at(VERSION_2.len() + line_length);
        if line == KEY_FILE_LINE {
            return Ok(Self { header, stretch: None, body });
        }
        let stretch = std::str::from_utf8(line).ok().and_then(|line| line.trim_end().parse().ok());
        let stretch = stretch.ok_or(VaultErrorKind::Undecipherable)?;
        Ok(Self { header, stretch: Some(stretch), body })
    }
}

fn unknown_header(bytes: &[u8]) -> VaultErrorKind {
    let version = bytes
        .strip_prefix(MAGIC)
        .and_then(|rest| rest.split(|b| *b == b'\n').next())
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse::<u32>().ok());
    match version {
        Some(version) if version > 2 => VaultErrorKind::NewerVersion,
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
        fn a_flipped_bit_a_missing_byte_and_one_too_many_are_noticed(
            plain in proptest::collection::vec(any::<u8>(), 0..300),
            place: proptest::sample::Index,
            bit in 0_u8..8,
        ) {
            let key = VaultKey::generate().unwrap();
            let sealed = key.seal(&plain).unwrap();
            let place = place.index(sealed.len());
            let mut flipped = sealed.clone();
            flipped[place] ^= 1 << bit;
            prop_assert!(key.open(&flipped).is_err());
            prop_assert!(key.open(&sealed[..place]).is_err());
            prop_assert!(key.open(&[&sealed[..], b"x"].concat()).is_err());
        }

        #[test]
        fn arbitrary_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let key = VaultKey::generate().unwrap();
            prop_assert!(key.open(&bytes).is_err());
            prop_assert!(key.open(&[VERSION_1, &bytes].concat()).is_err());
            prop_assert!(key.open(&[VERSION_2, KEY_FILE_LINE, &bytes].concat()).is_err());
            prop_assert!(key.open(&[VERSION_2, &bytes].concat()).is_err());
            prop_assert!(VaultKey::from_text(&bytes).is_err());
        }
    }

    #[test]
    fn a_newer_version_is_told_from_a_broken_file() {
        let key = VaultKey::generate().unwrap();
        assert_eq!(key.open(b"qbo-backfill vault 3\nanything"), Err(VaultErrorKind::NewerVersion));
        assert_eq!(key.open(b"qbo-backfill vault x\nanything"), Err(VaultErrorKind::Undecipherable));
        assert_eq!(key.open(b""), Err(VaultErrorKind::Undecipherable));
    }

    #[test]
    fn a_vault_of_the_first_version_is_still_opened() {
        let key = VaultKey::generate().unwrap();
        let nonce = [7; NONCE_BYTES];
        let payload = Payload { msg: b"false contents", aad: VERSION_1 };
        let sealed = key.cipher().encrypt(&XNonce::from(nonce), payload).unwrap();
        let bytes = [VERSION_1, &nonce, &sealed].concat();
        assert_eq!(&**key.open(&bytes).unwrap(), b"false contents");
    }
}
