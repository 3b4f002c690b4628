//! The command `doctor`: checks configuration, vault, consent, database, clocks and QuickBooks before a run.

use std::num::NonZeroUsize;
use std::sync::Arc;

use backfill_report::fold::hang;
use backfill_report::instant::utc;
use backfill_report::style::{Style, paint, state};
use backfill_report::untrusted::Untrusted;
use backfill_report::width::Width;
use qbo_auth::{ClientSecret, Clock as _, SecretName, SystemClock, TokenSet, TokenVault as _};
use raw_store::PgStore;
use serde_json::json;
use time::Duration;

use super::auth::SOON;
use super::company_info::company_info;
use crate::app::{Database, company, let_it_age, open_database};
use crate::args::{DoctorArgs, Output};
use crate::config::file_system;
use crate::config::settings::Settings;
use crate::output::exit::{DESTINATION, DONE, Exit, REAUTHORISE};
use crate::output::print::{out, out_json};
use crate::output::screen_width;
use crate::secrets::Secrets;
use crate::secrets::lineage;
use crate::secrets::unlock;
use crate::shutdown::Stop;

/// Hosts whose clocks differ by more than this are reported: windows end by QuickBooks' clock, ages and expiries by
/// this host's.
const SKEW: Duration = Duration::seconds(30);

/// `doctor`: checks everything that a run needs, and changes nothing except that it may refresh the access token.
pub(crate) async fn doctor(settings: &Settings, arguments: &DoctorArgs) -> Result<u8, Exit> {
    let stop = Stop::waiting()?;
    let findings = stop.or_done(async { Ok(look(settings, arguments, &stop).await) }).await?;
    match settings.output {
        Output::Json => out_json(&findings.lines.iter().map(Finding::json).collect()),
        Output::Text => {
            let width = screen_width::of_stdout();
            findings.lines.iter().for_each(|finding| out(&finding.text(width)));
        }
    }
    match findings.failed {
        None => Ok(DONE),
        Some(exit) => Err(exit),
    }
}

async fn look(settings: &Settings, arguments: &DoctorArgs, stop: &Stop) -> Findings {
    let mut findings = Findings::default();
    findings.fine(
        "configuration",
        format!(
            "schema {}, vault {}, {}",
            settings.schema,
            settings.vault.path.display(),
            settings.told_by()
        ),
    );
    if let Some(mut secrets) = vault(&mut findings, settings).await {
        lifetime(&mut findings, settings, &secrets).await;
        let database = database(&mut findings, settings, &secrets).await;
        if !arguments.offline && findings.failed.is_none() {
            let budget = database.as_ref().filter(|(_, is_set_up)| *is_set_up);
            let store = budget.map(|(database, _)| &database.store);
            let asked = ask(settings, &mut secrets, stop, store).await;
            quickbooks(&mut findings, asked);
        }
        if let Some((database, _)) = database {
            let closed = database.close().await;
            findings.take("database", closed);
        }
    }
    findings
}

/// The results, in the order of the checks.
#[derive(Debug, Default)]
struct Findings {
    lines: Vec<Finding>,
    /// The first failure: the command ends with its code.
    failed: Option<Exit>,
}

/// One line of the result: what was checked, its state, and the remedy.
#[derive(Debug)]
struct Finding {
    subject: &'static str,
    state: &'static str,
    what: String,
    remedy: String,
}

impl Findings {
    fn fine(&mut self, subject: &'static str, what: impl Into<String>) {
        self.lines.push(Finding { subject, state: "ok", what: what.into(), remedy: String::new() });
    }

    fn warning(&mut self, subject: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.lines.push(Finding { subject, state: "warning", what: what.into(), remedy: remedy.into() });
    }

    fn failure(&mut self, subject: &'static str, exit: Exit) {
        self.lines.push(Finding {
            subject,
            state: "failed",
            what: exit.what.clone(),
            remedy: exit.next.clone(),
        });
        self.failed.get_or_insert(exit);
    }

    /// Unwraps a result, and adds a finding for an error.
    fn take<T>(&mut self, subject: &'static str, result: Result<T, Exit>) -> Option<T> {
        result.map_err(|exit| self.failure(subject, exit)).ok()
    }
}

impl Finding {
    fn text(&self, width: Width) -> String {
        // The column in which sentences begin.
        const START: usize = 24;
        let remedy = match self.remedy.as_str() {
            "" => String::new(),
            remedy => {
                let line = format!("{:START$}{} {}", "", paint(Style::Aside, "→"), Untrusted(remedy));
                format!("\n{}", hang(&line, width, START + 2))
            }
        };
        let state = state(&format!("{:8}", self.state)).to_string();
        let line = format!("{state}{:14}  {}", self.subject, Untrusted(&self.what));
        format!("{}{remedy}", hang(&line, width, START))
    }

    fn json(&self) -> serde_json::Value {
        json!({"subject": self.subject, "state": self.state, "what": self.what, "remedy": self.remedy})
    }
}

/// Checks that the vault opens, can be written and locked, and has the secrets.
async fn vault(findings: &mut Findings, settings: &Settings) -> Option<Secrets> {
    let secrets = findings.take("vault", Secrets::open(settings).await)?;
    let path = &settings.vault.path;
    if path.exists() || secrets.vault().is_some() {
        // The vault was opened above, so that a passphrase is not asked for twice.
        let locked = match secrets.vault() {
            Some(vault) => vault.lock().await.map(drop),
            None => Ok(()),
        };
        findings.take("vault", locked.map_err(Exit::from))?;
        let is_beside = has_key_beside(settings);
        // Where `secrets init` puts both unasked, that is worth a word, but nothing to correct.
        let is_default = !settings.vault.named && !settings.vault_key.named;
        let beside = if is_beside && is_default { "; its key lies in the same folder" } else { "" };
        findings.fine("vault", format!("{} opens, and can be locked and written{beside}", path.display()));
        if let Some(kind) = file_system::shared(path) {
            findings.warning(
                "vault",
                format!("it lies on a shared file system ({kind}), whose locks may not exclude another host"),
                "put it on a local disk, or run on one host only",
            );
        }
        if is_beside && !is_default {
            findings.warning(
                "vault",
                "vault and key lie in one folder: a copy of the folder is a copy of the secrets",
                "keep the key elsewhere (--vault-key-file), or use a passphrase: qbo-backfill secrets rekey --passphrase",
            );
        }
    } else {
        findings.warning("vault", "there is none yet", "qbo-backfill secrets init");
    }
    for name in [SecretName::QboClientId, SecretName::QboClientSecret, SecretName::QboRealmId] {
        let needed = secrets.need(name, settings).await;
        findings.take("secrets", needed);
    }
    Some(secrets)
}

/// Whether the vault and its key file lie in one folder.
fn has_key_beside(settings: &Settings) -> bool {
    match unlock::for_new(settings) {
        qbo_auth::Unlock::KeyFile(key) => key.exists() && key.parent() == settings.vault.path.parent(),
        _ => false,
    }
}

/// Checks that the consent exists, and how long it lasts.
async fn lifetime(findings: &mut Findings, settings: &Settings, secrets: &Secrets) {
    let Some(vault) = secrets.vault() else {
        return;
    };
    let Some(tokens) = findings.take("consent", vault.load().await.map_err(Exit::from)) else {
        return;
    };
    let Some(tokens) = tokens else {
        if secrets.find(SecretName::QboRefreshToken).await.ok().flatten().is_none() {
            findings.failure(
                "consent",
                Exit::new(REAUTHORISE, "the vault holds no refresh token", "qbo-backfill auth login"),
            );
        }
        return;
    };
    let _ = findings.take("consent", secrets.realm(settings).await);
    let now = SystemClock::new().now_utc();
    ends(findings, &tokens, now);
}

fn ends(findings: &mut Findings, tokens: &TokenSet, now: time::OffsetDateTime) {
    findings.fine(
        "consent",
        format!("generation {}, last refreshed {}", tokens.generation, utc(tokens.refreshed_at)),
    );
    if tokens.refreshed_at > now + SKEW {
        findings.warning("clock", "the last refresh lies in the future", "correct this host's clock");
    }
    for (end, what) in [
        (tokens.refresh_expires_at, "the refresh token ends, if it is not used before,"),
        (tokens.refresh_hard_expires_at, "the consent ends for good"),
    ] {
        if let Some(end) = end.filter(|end| *end - now < SOON) {
            findings.warning("consent", format!("{what} at {}", utc(end)), "qbo-backfill auth login");
        }
    }
    if let Some(intent) = tokens.intent {
        findings.warning(
            "consent",
            format!("a refresh that began {} has no known end", utc(intent.started_at)),
            "the next run refreshes at once; if Intuit refuses the token: qbo-backfill auth login",
        );
    }
}

/// Checks that the database answers, has the schema, and agrees on the time. Returns it, and whether the schema exists.
async fn database(
    findings: &mut Findings,
    settings: &Settings,
    secrets: &Secrets,
) -> Option<(Database, bool)> {
    let opened = open_database(settings, secrets, NonZeroUsize::MIN).await;
    let database = findings.take("database", opened)?;
    let result = examine(findings, settings, secrets, &database).await;
    let is_set_up = findings.take("database", result).unwrap_or_default();
    Some((database, is_set_up))
}

async fn examine(
    findings: &mut Findings,
    settings: &Settings,
    secrets: &Secrets,
    database: &Database,
) -> Result<bool, Exit> {
    let status = database.store.schema_status().await?;
    let Some(version) = status.found else {
        findings.warning(
            "database",
            format!("it answers, and has no schema {} yet", settings.schema),
            "qbo-backfill db init (a run does it, too)",
        );
        return Ok(false);
    };
    let differences = database.store.check().await?;
    if let Some(first) = differences.first() {
        return Err(Exit::new(
            DESTINATION,
            format!("schema {} differs in {} places, first: {first}", settings.schema, differences.len()),
            "qbo-backfill db check",
        ));
    }
    database.store.ensure_loadable().await?;
    let company = status.identity.map_or_else(|| "no company yet".into(), |identity| identity.to_string());
    findings.fine("database", format!("schema {} version {version}, {company}", settings.schema));
    if let Some(vault) = secrets.vault()
        && let Some(key) = secrets.find(SecretName::QboClientSecret).await?
    {
        lineage::compare(&*database.store, vault, &ClientSecret::new(key)).await?;
    }
    if !status.lz4 {
        findings.warning(
            "database",
            "the server has no lz4 compression, and loads at about half the speed",
            "use a server built with it",
        );
    }
    Ok(true)
}

/// Checks that the consent works for this company and environment, and that QuickBooks agrees on the time.
fn quickbooks(findings: &mut Findings, asked: Result<Option<time::OffsetDateTime>, Exit>) {
    let Some(answered_at) = findings.take("quickbooks", asked) else {
        return;
    };
    findings.fine("quickbooks", "QuickBooks accepts the consent for this company");
    let Some(theirs) = answered_at else { return };
    let skew = SystemClock::new().now_utc() - theirs;
    if skew.abs() > SKEW {
        findings.warning(
            "clock",
            format!("this host's clock differs from QuickBooks' by {} seconds", skew.whole_seconds()),
            "synchronise the system's clock (NTP)",
        );
    } else {
        findings.fine("clock", "agrees with QuickBooks'");
    }
}

/// Makes one call, within the company's call budget if there is one.
async fn ask(
    settings: &Settings,
    secrets: &mut Secrets,
    stop: &Stop,
    store: Option<&Arc<PgStore>>,
) -> Result<Option<time::OffsetDateTime>, Exit> {
    let company = company(settings, secrets, 0).await?;
    stop.keep(&company.tokens);
    let client = company.client(settings, store)?;
    let page = client.fetch_page(&company_info()).await;
    if store.is_none() {
        let_it_age(&*company.clock).await;
    }
    company.tokens.shutdown().await;
    Ok(page?.answered_at())
}
