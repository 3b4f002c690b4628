//! Derives a key from a passphrase: Argon2id, with its cost and salt in the vault's second line.

use std::fmt;
use std::str::FromStr;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use super::VaultErrorKind;

/// The length of a key for XChaCha20-Poly1305.
pub(super) const KEY_BYTES: usize = 32;

const SALT_BYTES: usize = 16;

/// The cost of one guess: 64 MiB and three passes, the second choice of RFC 9106 §4.
const COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3, lanes: 4 };

/// The highest cost that is accepted. A file that asks for more is no vault of ours: it would only exhaust the machine.
const MOST: Cost = Cost { memory_kib: 1024 * 1024, passes: 16, lanes: 16 };

/// What deriving a key costs in memory and passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// The parameters that turn one vault's passphrase into its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    cost: Cost,
    salt: [u8; SALT_BYTES],
}

impl Stretch {
    /// The present cost, with a new salt.
    pub(super) fn generate() -> Result<Self, getrandom::Error> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt)?;
        Ok(Self { cost: COST, salt })
    }

    /// Derives the key. This takes a good part of a second, and the memory that the cost sets.
    pub(super) fn key(&self, passphrase: &str) -> Result<Zeroizing<[u8; KEY_BYTES]>, VaultErrorKind> {
        let Cost { memory_kib, passes, lanes } = self.cost;
        let parameters = Params::new(memory_kib, passes, lanes, Some(KEY_BYTES));
        let parameters = parameters.map_err(|_| VaultErrorKind::Undecipherable)?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
            .hash_password_into(passphrase.as_bytes(), &self.salt, key.as_mut())
            .map_err(|_| VaultErrorKind::Undecipherable)?;
        Ok(key)
    }
}

impl fmt::Display for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost { memory_kib, passes, lanes } = self.cost;
        let salt = STANDARD_NO_PAD.encode(self.salt);
        write!(f, "argon2id m={memory_kib} t={passes} p={lanes} salt={salt}")
    }
}

impl FromStr for Stretch {
    type Err = VaultErrorKind;

    /// Accepts exactly what [`Stretch`] displays, up to the highest cost.
    fn from_str(line: &str) -> Result<Self, VaultErrorKind> {
        let mut words = line.split(' ');
        let mut next = |prefix: &str| words.next().and_then(|word| word.strip_prefix(prefix));
        let read = (|| {
            next("argon2id").filter(|rest| rest.is_empty())?;
            let cost = Cost {
                memory_kib: next("m=")?.parse().ok()?,
                passes: next("t=")?.parse().ok()?,
                lanes: next("p=")?.parse().ok()?,
            };
            let salt = STANDARD_NO_PAD.decode(next("salt=")?).ok()?.try_into().ok()?;
            Some(Self { cost, salt })
        })();
        let stretch = read.ok_or(VaultErrorKind::Undecipherable)?;
        let Cost { memory_kib, passes, lanes } = stretch.cost;
        let bounded = memory_kib <= MOST.memory_kib && passes <= MOST.passes && lanes <= MOST.lanes;
        if bounded && stretch.to_string() == line { Ok(stretch) } else { Err(VaultErrorKind::Undecipherable) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_read_back_from_its_own_line_and_from_nothing_else() {
        let stretch = Stretch::generate().unwrap();
        let line = stretch.to_string();
        assert_eq!(line.parse(), Ok(stretch));
        for other in [
            line.replace("argon2id", "argon2d"),
            line.replace("m=65536", "m=4294967295"),
            line.replace("t=3", "t=03"),
            format!("{line} "),
            String::new(),
        ] {
            assert_eq!(other.parse::<Stretch>(), Err(VaultErrorKind::Undecipherable), "{other}");
        }
    }
}
