//! Resolves the settings of a command: options override the settings file, which overrides defaults. Only this module
//! reads the environment; it reads no secrets.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use backfill_core::{Catalog, Settle, Thresholds, did_you_mean, nearest};
use qbo_auth::{Endpoints, Environment, RealmId};
use qbo_client::RatePolicy;
use raw_store::SchemaName;

use super::{proxy, trusted};
use crate::args::secret_args;
use crate::args::{Allowance, CustomFields, Global, Lifeline, Output, Rate};
use crate::config::profile::{File, MonthlyCalls, Profile, SHARED_VAULT};
use crate::output::exit::Exit;

/// Calls per month of Intuit's Builder tier, over all companies and apps of a developer's workspace (Intuit App Partner
/// Program).
const BUILDER_TIER: u64 = 500_000;

/// The settings of a command, resolved before it touches anything.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The settings file that was read.
    pub(crate) file: Option<PathBuf>,
    pub(crate) environment: Option<Environment>,
    pub(crate) realm: Option<RealmId>,
    pub(crate) database: Option<String>,
    pub(crate) schema: SchemaName,
    pub(crate) vault: Place,
    pub(crate) vault_key: Place,
    /// Folder where systemd mounts the credentials of a service.
    pub(crate) credentials: Option<PathBuf>,
    pub(crate) secrets: Option<PathBuf>,
    pub(crate) lifeline: Option<Lifeline>,
    pub(crate) endpoints: TestEndpoints,
    pub(crate) rate_policy: Option<RatePolicy>,
    /// Calls per month, over all processes; `None` for no limit.
    pub(crate) monthly_calls: Option<u64>,
    /// Whether runs wait for windows that ended too near to now, unless an option says otherwise.
    pub(crate) settle: Settle,
    /// Thresholds from which validation reports a finding.
    pub(crate) thresholds: Thresholds,
    pub(crate) time_zone: Option<String>,
    pub(crate) catalog: Catalog,
    /// The user's catalogue file, if the profile names one.
    pub(crate) catalog_file: Option<PathBuf>,
    pub(crate) output: Output,
    pub(crate) no_progress: bool,
    pub(crate) ask: bool,
    #[cfg_attr(
        not(feature = "embedded"),
        expect(dead_code, reason = "there is no private server in this build")
    )]
    pub(crate) private: PrivateServer,
    pub(crate) passfile: Option<PathBuf>,
}

/// The private PostgreSQL, which is used if no database is named.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "embedded"), expect(dead_code, reason = "there is no private server in this build"))]
pub(crate) struct PrivateServer {
    /// Folder of its data; an error if there is no home folder.
    pub(crate) folder: Result<PathBuf, Exit>,
    pub(crate) database: String,
    /// Whether the server and its data are removed at the end of this process.
    pub(crate) temporary: bool,
}

/// A path, and whether the user named it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) named: bool,
}

/// URLs of an emulator.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestEndpoints {
    pub(crate) api: Option<String>,
    pub(crate) oauth: Option<String>,
}

impl Place {
    /// Whether the vault is in the database, to share it between hosts.
    pub(crate) fn is_shared(&self) -> bool {
        self.named && self.path == Path::new(SHARED_VAULT)
    }
}

impl PrivateServer {
    /// Name of the database for this user's companies.
    pub(crate) const DATABASE: &str = "qbo";
}

impl TestEndpoints {
    /// The endpoints to use in an environment.
    pub(crate) fn over(&self, environment: Environment) -> Result<Endpoints, Exit> {
        let refused = |flag: &str, error: &dyn std::fmt::Display| {
            Exit::usage(
                format!("{flag}: {error}"),
                "this option is for an emulator on this machine; leave it out for QuickBooks",
            )
        };
        let mut endpoints = Endpoints::of(environment);
        if let Some(api) = &self.api {
            endpoints = endpoints.with_api(api).map_err(|error| refused("--api-url", &error))?;
        }
        if let Some(oauth) = &self.oauth {
            endpoints = endpoints.with_oauth(oauth).map_err(|error| refused("--oauth-url", &error))?;
        }
        Ok(endpoints)
    }
}

impl Settings {
    /// Resolves the settings from options, environment and settings file.
    pub(crate) fn resolve(global: &Global) -> Result<Self, Exit> {
        secret_args::environment(|name| variable(name).is_some())?;
        proxy::check(variable)?;
        let profile = profile(global)?;
        let vault = vault(global.vault.clone().or(profile.vault))?;
        let vault_key = vault_key(global.vault_key_file.clone().or(profile.vault_key_file), &vault)?;
        let settings = Self {
            file: settings_file(global),
            environment: global.environment.or(profile.environment),
            realm: global.realm.clone().or(profile.realm),
            database: global.database.clone().or(profile.database),
            schema: global.schema.clone().or(profile.schema).unwrap_or_default(),
            vault,
            vault_key,
            credentials: variable("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            secrets: global.secrets.clone(),
            lifeline: global.lifeline,
            endpoints: TestEndpoints { api: global.api_url.clone(), oauth: global.oauth_url.clone() },
            rate_policy: rate_policy(global, profile.rate)?,
            monthly_calls: monthly_calls(global, profile.monthly_calls),
            settle: settle(profile.settle),
            thresholds: profile.validation,
            time_zone: profile.time_zone,
            catalog: {
                let wanted = global.custom_fields.map(|wanted| wanted == CustomFields::All);
                catalog(profile.catalog.as_deref(), wanted.or(profile.all_custom_fields))?
            },
            catalog_file: profile.catalog,
            output: global.output,
            // A dumb terminal cannot move the cursor.
            no_progress: global.no_progress || variable("TERM").is_some_and(|terminal| terminal == "dumb"),
            ask: !global.yes,
            passfile: passfile(),
            private: PrivateServer {
                folder: data_folder().map(|folder| folder.join("postgres")),
                database: PrivateServer::DATABASE.into(),
                temporary: false,
            },
        };
        settings.endpoints.over(Environment::Sandbox)?;
        Ok(settings)
    }
}

fn vault(named: Option<PathBuf>) -> Result<Place, Exit> {
    Ok(match named {
        Some(path) => Place { path, named: true },
        None => Place { path: data_folder()?.join("vault"), named: false },
    })
}

/// The key file: as named, otherwise in the user's data folder; without a home folder, beside a named vault.
fn vault_key(named: Option<PathBuf>, vault: &Place) -> Result<Place, Exit> {
    let path = match named {
        Some(path) => return Ok(Place { path, named: true }),
        None => match data_folder() {
            Ok(folder) => folder.join("vault.key"),
            Err(_) if vault.named && !vault.is_shared() => vault.path.with_added_extension("key"),
            Err(homeless) => return Err(homeless),
        },
    };
    Ok(Place { path, named: false })
}

impl Settings {
    /// Describes for people which settings file was read.
    pub(crate) fn told_by(&self) -> String {
        match &self.file {
            Some(file) => format!("settings of {}", file.display()),
            None => "no settings file".into(),
        }
    }
}

fn monthly_calls(global: &Global, profile: Option<MonthlyCalls>) -> Option<u64> {
    match (global.monthly_calls, profile) {
        (Some(Allowance(calls)), _) => calls,
        (None, Some(MonthlyCalls(calls))) => calls.map(NonZeroU64::get),
        (None, None) => Some(BUILDER_TIER),
    }
}

fn settle(profile: Option<bool>) -> Settle {
    match profile {
        None => Settle::Soon,
        Some(true) => Settle::Always,
        Some(false) => Settle::Never,
    }
}

fn rate_policy(global: &Global, profile: Option<std::num::NonZeroU32>) -> Result<Option<RatePolicy>, Exit> {
    let rate = global.rate.or(profile.map(|calls| Rate::PerMinute(calls.get())));
    let beyond = match rate {
        None => return Ok(Some(RatePolicy::QBO)),
        Some(Rate::Off) => true,
        Some(Rate::PerMinute(calls)) => calls > RatePolicy::QBO.per_minute,
    };
    if beyond && global.api_url.is_none() {
        let asked = match (global.rate, settings_file(global)) {
            (None, Some(file)) => format!("; {} sets a higher rate", file.display()),
            _ => String::new(),
        };
        return Err(Exit::usage(
            format!("QuickBooks allows 500 calls per minute{asked}"),
            "use --rate 500 or less; a higher rate, or off, needs an emulator (--api-url)",
        ));
    }
    Ok(match rate {
        Some(Rate::PerMinute(calls)) => Some(RatePolicy::per_minute(calls)),
        _ => None,
    })
}

fn profile(global: &Global) -> Result<Profile, Exit> {
    let Some(path) = settings_file(global) else {
        return match &global.profile {
            None => Ok(Profile::default()),
            Some(name) => Err(Exit::usage(
                format!("there is no settings file, so there is no profile {name}"),
                "write ./qbo-backfill.toml with a [profile.NAME] table, or name a file with --config",
            )),
        };
    };
    let mut file = file(&path)?;
    let name = global.profile.as_deref().unwrap_or("default");
    match file.profile.remove(name) {
        Some(profile) => Ok(profile.beside(&path)),
        None if global.profile.is_none() => Ok(Profile::default()),
        None => {
            let near = nearest(name, file.profile.keys().map(String::as_str));
            Err(Exit::usage(
                format!("{} has no profile {name}{}", path.display(), did_you_mean(near)),
                format!(
                    "use one of its profiles: {}",
                    file.profile.into_keys().collect::<Vec<_>>().join(", ")
                ),
            ))
        }
    }
}

/// The names of all profiles of the settings file.
pub(crate) fn profiles(global: &Global) -> Result<Vec<String>, Exit> {
    let none = || {
        Exit::usage(
            "no settings file names a profile",
            "write ./qbo-backfill.toml with a [profile.NAME] table",
        )
    };
    let path = settings_file(global).ok_or_else(none)?;
    let names: Vec<String> = file(&path)?.profile.into_keys().collect();
    if names.is_empty() { Err(none()) } else { Ok(names) }
}

fn file(path: &Path) -> Result<File, Exit> {
    let text = trusted::read_settings(path).map_err(|error| distrusted(path, &error))?;
    File::read(&text)
        .map_err(|problem| Exit::usage(format!("{}: {problem}", path.display()), "correct the settings file"))
}

fn distrusted(path: &Path, error: &trusted::Distrusted) -> Exit {
    Exit::usage(format!("{}: {error}", path.display()), error.remedy(path))
}

fn settings_file(global: &Global) -> Option<PathBuf> {
    if let Some(path) = &global.config {
        return Some(path.clone());
    }
    let here = PathBuf::from("qbo-backfill.toml");
    // Without a home folder, only the current folder is searched.
    let home =
        folder("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("qbo-backfill").join("config.toml"));
    [Some(here), home.ok()].into_iter().flatten().find(|path| path.exists())
}

fn catalog(own: Option<&Path>, all_custom_fields: Option<bool>) -> Result<Catalog, Exit> {
    let catalog = match own {
        Some(path) => extended(path)?,
        None => Catalog::bundled(),
    };
    Ok(if all_custom_fields == Some(false) { catalog.without_custom_fields() } else { catalog })
}

/// The bundled catalogue with the entries of the user's file.
fn extended(path: &Path) -> Result<Catalog, Exit> {
    let unusable = |error: &dyn std::fmt::Display| {
        Exit::usage(format!("{}: {error}", path.display()), "correct the catalogue file")
    };
    let text = trusted::read_settings(path).map_err(|error| distrusted(path, &error))?;
    Catalog::bundled().extended(&text).map_err(|error| unusable(&error))
}

/// Folder of the vault, its key, the private server and the console's key.
pub(crate) fn data_folder() -> Result<PathBuf, Exit> {
    Ok(folder("XDG_DATA_HOME", ".local/share")?.join("qbo-backfill"))
}

fn folder(variable_name: &str, under_home: &str) -> Result<PathBuf, Exit> {
    if let Some(folder) = variable(variable_name) {
        return Ok(folder.into());
    }
    let home = variable("HOME").ok_or_else(|| {
        Exit::usage(
            "there is no home folder (HOME is not set)",
            format!(
                "set HOME or {variable_name}, or name every file: --vault, --vault-key-file and --database"
            ),
        )
    })?;
    Ok(Path::new(&home).join(under_home))
}

/// The password file of libpq's programs.
fn passfile() -> Option<PathBuf> {
    variable("PGPASSFILE").map(PathBuf::from).or_else(|| Some(Path::new(&variable("HOME")?).join(".pgpass")))
}

/// Name of the user, stored with decisions such as an accepted record.
pub(crate) fn user() -> String {
    let name = variable("LOGNAME").or_else(|| variable("USER"));
    let name = name.and_then(|name| name.into_string().ok()).map(|name| name.replace(char::is_control, "?"));
    name.unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()))
}

#[expect(clippy::disallowed_methods, reason = "this module is the one that reads the environment")]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
