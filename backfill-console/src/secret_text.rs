//! A secret that a form sends.

use std::fmt;

use qbo_auth::SecretString;
use serde::{Deserialize, Deserializer};

/// A secret that a form sends. It goes into memory that is wiped, and is not shown.
pub(crate) struct SecretText(SecretString);

impl SecretText {
    pub(crate) fn into_secret(self) -> SecretString {
        self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText")
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(SecretString::from(text)))
    }
}
