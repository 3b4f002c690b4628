//! The settings file: its profiles and their keys.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use backfill_core::{Thresholds, TomlProblem, did_you_mean, nearest};
use qbo_auth::{Environment, RealmId};
use raw_store::{DatabaseOptions, SchemaName};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// The value of `vault` that keeps the vault in the database.
pub(crate) const SHARED_VAULT: &str = "postgres";

/// The content of the settings file: profiles by name.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    #[serde(default)]
    pub(crate) profile: BTreeMap<String, Profile>,
}

/// The settings of one company. Each value is checked while it is parsed, so that an error names its line.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Profile {
    #[serde(deserialize_with = "environment")]
    pub(crate) environment: Option<Environment>,
    #[serde(deserialize_with = "parsed")]
    pub(crate) realm: Option<RealmId>,
    #[serde(deserialize_with = "database")]
    pub(crate) database: Option<String>,
    #[serde(deserialize_with = "parsed")]
    pub(crate) schema: Option<SchemaName>,
    pub(crate) vault: Option<PathBuf>,
    pub(crate) vault_key_file: Option<PathBuf>,
    #[serde(deserialize_with = "time_zone")]
    pub(crate) time_zone: Option<String>,
    pub(crate) catalog: Option<PathBuf>,
    pub(crate) rate: Option<NonZeroU32>,
    pub(crate) monthly_calls: Option<MonthlyCalls>,
    pub(crate) settle: Option<bool>,
    /// Whether all custom fields are requested: `"all"` or `"some"`.
    #[serde(rename = "custom_fields", deserialize_with = "all_or_some")]
    pub(crate) all_custom_fields: Option<bool>,
    pub(crate) validation: Thresholds,
}

/// The value of `monthly_calls`: a number, or `"off"`, which is `None`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "toml::Value")]
pub(crate) struct MonthlyCalls(pub(crate) Option<NonZeroU64>);

impl TryFrom<toml::Value> for MonthlyCalls {
    type Error = &'static str;

    fn try_from(value: toml::Value) -> Result<Self, &'static str> {
        let calls = value.as_integer().and_then(|calls| NonZeroU64::new(calls.try_into().ok()?));
        match (calls, value.as_str()) {
            (Some(calls), _) => Ok(Self(Some(calls))),
            (None, Some("off")) => Ok(Self(None)),
            (None, Some(word)) if word.parse::<NonZeroU64>().is_ok() => Ok(Self(word.parse().ok())),
            _ => Err("give calls per month, at least 1, or \"off\""),
        }
    }
}

impl File {
    pub(crate) fn read(text: &str) -> Result<Self, TomlProblem> {
        toml::from_str(text).map_err(|error| TomlProblem::new(text, &error))
    }
}

impl Profile {
    /// Resolves the paths of a profile, which are relative to the file.
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

/// Parses a value from its text.
fn parsed<'de, D, T>(source: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    String::deserialize(source)?.parse().map(Some).map_err(D::Error::custom)
}

fn environment<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Environment>, D::Error> {
    let text = String::deserialize(source)?;
    let unknown = |error| {
        D::Error::custom(with_suggestion(&error, nearest(&text, Environment::ALL.map(Environment::as_str))))
    };
    text.parse().map(Some).map_err(unknown)
}

fn all_or_some<'de, D: Deserializer<'de>>(source: D) -> Result<Option<bool>, D::Error> {
    match String::deserialize(source)?.as_str() {
        "all" => Ok(Some(true)),
        "some" => Ok(Some(false)),
        other => Err(D::Error::unknown_variant(other, &["all", "some"])),
    }
}

/// Checks a database URL. The error does not repeat the URL, which may hold a password.
fn database<'de, D: Deserializer<'de>>(source: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(source)?;
    text.parse::<DatabaseOptions>().map_err(D::Error::custom)?;
    Ok(Some(text))
}

fn time_zone<'de, D: Deserializer<'de>>(source: D) -> Result<Option<String>, D::Error> {
    let zone = String::deserialize(source)?;
    if jiff::tz::db().get(&zone).is_err() {
        let known: Vec<_> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        let near = nearest(&zone, known.iter().map(String::as_str));
        return Err(D::Error::custom(with_suggestion(&format!("there is no time zone {zone:?}"), near)));
    }
    Ok(Some(zone))
}

fn with_suggestion(problem: &dyn Display, near: Option<&str>) -> String {
    format!("{problem}{}", did_you_mean(near))
}
