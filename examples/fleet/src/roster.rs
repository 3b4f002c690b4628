//! Which companies there are, and where everything is: one file, the same for every process. It holds no secret.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use qbo_auth::{Endpoints, Environment, RealmId};
use raw_store::SchemaName;
use serde::Deserialize;

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    database: String,
    vaults: PathBuf,
    keys: PathBuf,
    #[serde(default, rename = "company")]
    companies: Vec<WrittenCompany>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCompany {
    realm: String,
    environment: String,
    monthly_calls: Option<u64>,
    emulator: Option<String>,
}

/// The file as it is meant.
#[derive(Clone, Debug)]
pub(crate) struct Roster {
    /// The address of the database that has the queue and the companies' schemas, without its password.
    pub(crate) database: String,
    /// The folder of the vaults, each under its company's id, and of one called `fleet` for what all have in common.
    pub(crate) vaults: PathBuf,
    /// The folder of the keys that open them, each under the name of its vault. Somewhere else, for whoever copies the one
    /// should not have the other.
    pub(crate) keys: PathBuf,
    /// The companies by id.
    pub(crate) companies: BTreeMap<RealmId, Member>,
}

/// One company of the fleet.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) environment: Environment,
    pub(crate) endpoints: Endpoints,
    /// Its part of the calls that the app may make in a month.
    pub(crate) monthly_calls: Option<u64>,
    /// Where its records go. A schema holds one company: ids of two collide.
    pub(crate) schema: SchemaName,
}

impl Roster {
    /// Reads the file. Folders in it are as seen from where it lies.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let written: Written =
            toml::from_str(&text).with_context(|| format!("reading {}", file.display()))?;
        let here = file.parent().unwrap_or(Path::new(""));
        let mut companies = BTreeMap::new();
        for company in written.companies {
            let realm: RealmId =
                company.realm.parse().with_context(|| format!("company {}", company.realm))?;
            let member =
                Member::new(&realm, &company).with_context(|| format!("company {}", company.realm))?;
            if companies.insert(realm, member).is_some() {
                bail!("company {} is listed twice", company.realm);
            }
        }
        Ok(Self {
            database: written.database,
            vaults: here.join(written.vaults),
            keys: here.join(written.keys),
            companies,
        })
    }
}

impl Member {
    fn new(realm: &RealmId, company: &WrittenCompany) -> anyhow::Result<Self> {
        let environment: Environment = company.environment.parse()?;
        let intuit = Endpoints::of(environment);
        let endpoints = match &company.emulator {
            Some(url) => intuit.with_api(url)?.with_oauth(url)?,
            None => intuit,
        };
        Ok(Self {
            environment,
            endpoints,
            monthly_calls: company.monthly_calls,
            schema: format!("qbo_{}", realm.as_str()).parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Roster, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("fleet.toml");
        std::fs::write(&file, text).expect("it can be written");
        Roster::read(&file).map_err(|error| format!("{error:#}"))
    }

    const HEAD: &str =
        "database = \"postgres://loader@db/fleet\"\nvaults = \"vaults\"\nkeys = \"/run/keys\"\n";

    fn company(realm: &str, environment: &str) -> String {
        format!("[[company]]\nrealm = \"{realm}\"\nenvironment = \"{environment}\"\n")
    }

    #[test]
    fn folders_are_seen_from_the_file_and_every_company_has_a_schema_of_its_own() {
        let text = [HEAD, &company("17", "production"), &company("18", "sandbox")].concat();
        let roster = read(&text).expect("it is sound");
        assert!(roster.vaults.is_absolute() && roster.vaults.ends_with("vaults"));
        assert_eq!(roster.keys, Path::new("/run/keys"));
        let schemas: Vec<_> = roster.companies.values().map(|member| member.schema.as_str()).collect();
        assert_eq!(schemas, ["qbo_17", "qbo_18"]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_company() {
        let twice = [HEAD, &company("17", "sandbox"), &company("17", "production")].concat();
        assert_eq!(read(&twice).expect_err("twice"), "company 17 is listed twice");
        for wrong in [company("a/b", "sandbox"), company("17", "test")] {
            let error = read(&[HEAD, &wrong].concat()).expect_err("wrong");
            assert!(error.starts_with("company "), "{error}");
        }
        assert!(read("database = \"\"\nvaults = \"\"\nkeys = \"\"\npassword = \"x\"").is_err());
    }
}
