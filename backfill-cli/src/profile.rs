//! What the settings file may say.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};

use backfill_core::Thresholds;
use serde::Deserialize;

/// The name of the vault that lies in the database.
pub(crate) const SHARED_VAULT: &str = "postgres";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    #[serde(default)]
    pub(crate) profile: BTreeMap<String, Profile>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    pub(crate) environment: Option<String>,
    pub(crate) realm: Option<String>,
    pub(crate) database: Option<String>,
    pub(crate) schema: Option<String>,
    pub(crate) vault: Option<PathBuf>,
    pub(crate) vault_key_file: Option<PathBuf>,
    pub(crate) time_zone: Option<String>,
    pub(crate) catalog: Option<PathBuf>,
    pub(crate) rate: Option<NonZeroU32>,
    pub(crate) monthly_calls: Option<MonthlyCalls>,
    #[serde(default)]
    pub(crate) validation: Thresholds,
}

/// `monthly_calls = 500000`, or `"off"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum MonthlyCalls {
    Number(NonZeroU64),
    Word(String),
}

impl File {
    pub(crate) fn read(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

impl Profile {
    /// Paths in the file are relative to the file.
    pub(crate) fn beside(mut self, file: &Path) -> Self {
        let folder = file.parent().unwrap_or(Path::new(""));
        for path in [&mut self.vault, &mut self.vault_key_file, &mut self.catalog].into_iter().flatten() {
            if *path != Path::new(SHARED_VAULT) {
                *path = folder.join(&*path);
            }
        }
        self
    }
}
