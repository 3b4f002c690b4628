//! The command `console`: serves pages in the browser, and works for the same companies meanwhile.

mod consents;
mod key;
mod listen;
mod store;
mod vault;

use std::sync::Arc;
use std::time::Duration;

use backfill_console::{Company, Console, PersonName, sign_in_path};
use qbo_auth::{Clock, Environment, SecretString, SystemClock};
use serde_json::json;

#[cfg(feature = "demo")]
pub(crate) use self::key::make as make_key;

use self::consents::ProfileConsents;
use self::store::ProfileStore;
use self::vault::ProfileVault;
use super::worker::{ended, profiles_of, work_for};
use crate::args::console::{ConsoleArgs, ConsoleCommand, USUAL_ADDRESS};
use crate::args::{Global, Output};
use crate::config::settings::{Settings, user};
use crate::database::shell::word;
use crate::output::event;
use crate::output::exit::{self, DONE, Exit};
use crate::output::print::{out, out_json, say};
use crate::secrets::unlock;
use crate::service::health::Health;
use crate::shutdown::Stop;

/// How long the end of the process waits for a consent that is being exchanged.
const EXCHANGES_WITHIN: Duration = Duration::from_secs(30);

/// `console`: serves the pages until it is stopped, or prints a link to sign in.
pub(crate) async fn console(
    global: &Global,
    settings: &Settings,
    arguments: &ConsoleArgs,
) -> Result<u8, Exit> {
    if let Some(ConsoleCommand::Link { name, at }) = &arguments.command {
        let key = key::read_existing(settings, arguments.key.console_key_file.as_deref())?;
        let name = name.clone().map_or_else(own_name, Ok)?;
        let link = link(&key, &name, &at.to_string())?;
        match settings.output {
            Output::Text => out(&format!("{link}\n")),
            Output::Json => out_json(&json!({"link": link})),
        }
        return Ok(DONE);
    }
    let companies = profiles_of(global, settings, &arguments.profiles)?;
    let stop = Stop::listen()?;
    stop.follow(settings)?;
    serve(companies, settings, arguments, &stop).await
}

/// Serves the pages of some companies, and works for them, until it is stopped.
pub(crate) async fn serve(
    companies: Vec<(String, Settings)>,
    settings: &Settings,
    arguments: &ConsoleArgs,
    stop: &Stop,
) -> Result<u8, Exit> {
    listen::check(&arguments.listen, arguments.public_url.as_ref())?;
    let key = key::read_or_make(settings, arguments.key.console_key_file.as_deref())?;
    // A passphrase is asked for now, and not by a page.
    for (_, settings) in &companies {
        unlock::remember(settings).await?;
    }
    let (listener, address) = listen::bind(&arguments.listen, arguments.public_url.as_ref()).await?;
    let health = Arc::new(Health::new());
    let mut stores = Vec::new();
    let shown = companies.iter().map(|(profile, settings)| {
        let store = Arc::new(ProfileStore::new(settings.clone(), arguments.look_only));
        stores.push(Arc::clone(&store));
        company(profile, settings, store, (arguments, stop))
    });
    let console = Console {
        companies: shown.collect(),
        key: key.clone(),
        look_only: arguments.look_only,
        documents: arguments.documents,
        public_url: arguments.public_url.clone(),
        status: Some(health.clone()),
        clock: Arc::new(SystemClock::new()),
        version: env!("CARGO_PKG_VERSION"),
    };
    tell(settings, &key, address.as_deref(), arguments)?;
    let serving = tokio::spawn(console.serve(listener, stop.token.clone().cancelled_owned()));
    let worked = if arguments.look_only || arguments.no_worker {
        stop.token.cancelled().await;
        ended(stop, None)
    } else {
        work_for(companies, &health, false, stop).await.1
    };
    // Pages end with the work, and answer the requests under way.
    stop.token.cancel();
    let served = serving.await;
    // A code of Intuit's works only once: what is being exchanged for tokens is stored before the process ends.
    drop(tokio::time::timeout(EXCHANGES_WITHIN, stop.exchanging()).await);
    for store in stores {
        store.close().await?;
    }
    if !matches!(served, Ok(Ok(()))) {
        return Err(Exit::new(exit::BUG, "the console's server has ended", "start it again"));
    }
    worked.map_or(Ok(DONE), Err)
}

/// A company of the console.
fn company(
    profile: &str,
    settings: &Settings,
    store: Arc<ProfileStore>,
    (arguments, stop): (&ConsoleArgs, &Stop),
) -> Company {
    let vault = Arc::new(ProfileVault::new(settings.clone()));
    let public_url = arguments.public_url.as_ref();
    let consents = ProfileConsents::new(settings.clone(), Arc::clone(&vault), public_url, stop.clone());
    // What only looks needs no vault, and must not open one.
    let acts = !arguments.look_only;
    Company {
        profile: profile.into(),
        environment: settings.environment.unwrap_or(Environment::Sandbox).to_string().into(),
        zone: settings.time_zone.as_deref().unwrap_or("UTC").into(),
        catalog: settings.catalog.clone(),
        monthly_calls: settings.monthly_calls,
        store,
        consents: acts.then(|| Arc::new(consents) as _),
        secrets: acts.then_some(vault as _),
    }
}

/// Says where the console is, and prints a link for the person who has started it. The log of a console that is published is read by
/// others, and holds none.
fn tell(
    settings: &Settings,
    key: &SecretString,
    address: Option<&str>,
    arguments: &ConsoleArgs,
) -> Result<(), Exit> {
    match (settings.output, address) {
        (Output::Json, address) => event::write("console_started", json!({"address": address})),
        (Output::Text, None) => say("the console serves a reverse proxy at its socket"),
        (Output::Text, Some(address)) if arguments.public_url.is_some() => {
            say(&format!("console: {address}"));
            say(&format!("for a link that signs you in: {} --as NAME", another_link(address, arguments)));
        }
        (Output::Text, Some(address)) => {
            say(&format!("console: {}", link(key, &own_name()?, address)?));
            let another = another_link(address, arguments);
            say(&format!("the link signs you in once, within two minutes; for another one: {another}"));
        }
    }
    Ok(())
}

/// The command that prints another link of this console.
fn another_link(address: &str, arguments: &ConsoleArgs) -> String {
    let key = arguments.key.console_key_file.as_ref();
    let key = key.map(|key| format!(" --console-key-file {}", word(&key.display().to_string())));
    let at = (address != USUAL_ADDRESS).then(|| format!(" --at {address}"));
    format!("qbo-backfill console link{}{}", key.unwrap_or_default(), at.unwrap_or_default())
}

fn link(key: &SecretString, name: &PersonName, address: &str) -> Result<String, Exit> {
    let path = sign_in_path(key, name, SystemClock::new().now_utc());
    let path = path.map_err(|_| {
        Exit::usage("the system provides no random numbers", "check the system's random device")
    })?;
    Ok(format!("{}{path}", address.trim_end_matches('/')))
}

/// The name of this user, under which acts are recorded.
fn own_name() -> Result<PersonName, Exit> {
    // A user without a name has a number, after a space.
    let name = user().replace(' ', "-").parse::<PersonName>();
    name.map_err(|error| Exit::usage(error.to_string(), "give a name: qbo-backfill console link --as NAME"))
}
