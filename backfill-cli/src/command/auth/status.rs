//! The command `auth status`: shows what the vault holds of the consent and when it expires, without calling Intuit.

use backfill_report::instant::utc;
use backfill_report::table::Table;
use qbo_auth::{Clock as _, SystemClock, TokenSet, TokenVault as _};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::args::Output;
use crate::config::settings::Settings;
use crate::output::exit::{DONE, Exit, REAUTHORISE};
use crate::output::print::{out, out_json, say};
use crate::output::screen_width;
use crate::secrets::Secrets;

/// A consent that ends sooner than this gets a warning.
pub(in crate::command) const SOON: Duration = Duration::days(30);

/// `auth status`: shows what the vault knows of the consent, without calling Intuit.
pub(super) async fn status(settings: &Settings) -> Result<u8, Exit> {
    let secrets = Secrets::open(settings).await?;
    let vault = secrets.vault().ok_or_else(no_consent)?;
    let tokens = vault.load().await?.ok_or_else(no_consent)?;
    show(settings, &secrets, &tokens).await?;
    Ok(DONE)
}

/// Shows a consent.
pub(super) async fn show(settings: &Settings, secrets: &Secrets, tokens: &TokenSet) -> Result<(), Exit> {
    let realm = secrets.known_realm(settings).await?;
    let environment = secrets.environment(settings).await?;
    let now = SystemClock::new().now_utc();
    if settings.output == Output::Json {
        let mut shown = consent_json(tokens, now);
        shown["realm"] = realm.map(|realm| realm.as_str().to_owned()).into();
        shown["environment"] = environment.to_string().into();
        out_json(&shown);
        return Ok(());
    }
    let mut table = Table::new(&["consent", ""]);
    let company = realm.map_or_else(|| "not known yet".to_owned(), |realm| realm.to_string());
    table.row(["company".into(), format!("{company} ({environment})")]);
    table.row([
        "generation".into(),
        format!("{}, fingerprint {}", tokens.generation, tokens.refresh.fingerprint()),
    ]);
    table.row([
        "last refresh".into(),
        format!("{}, {} ago", utc(tokens.refreshed_at), length(now - tokens.refreshed_at)),
    ]);
    for (what, end) in [
        ("access token", tokens.access_expires_at),
        ("refresh token, unused", tokens.refresh_expires_at),
        ("consent at the latest", tokens.refresh_hard_expires_at),
    ] {
        let unknown = if tokens.access.is_none() { "known after the first refresh" } else { "end not known" };
        table.row([what.into(), end.map_or_else(|| unknown.into(), |end| ending(end, now))]);
    }
    if let Some(intent) = tokens.intent {
        table.row(["open refresh".into(), format!("began {}, end not known", utc(intent.started_at))]);
    }
    out(&table.fitted(screen_width::of_stdout()));
    warn_if_ending(tokens);
    Ok(())
}

/// Warns in time if a person has to consent again.
pub(in crate::command) fn warn_if_ending(tokens: &TokenSet) {
    let now = SystemClock::new().now_utc();
    if let Some(end) = ends(tokens).min().filter(|end| *end - now < SOON) {
        say(&format!("warning: the consent ends {}; renew it: qbo-backfill auth login", utc(end)));
    }
}

/// The public facts of a consent.
pub(in crate::command) fn consent_json(tokens: &TokenSet, now: OffsetDateTime) -> Value {
    let days = |end: Option<OffsetDateTime>| end.map(|end| (end - now).whole_days());
    json!({"generation": tokens.generation, "fingerprint": tokens.refresh.fingerprint(),
           "last_refresh_utc": utc(tokens.refreshed_at),
           "access_token_ends_utc": tokens.access_expires_at.map(utc),
           "refresh_token_ends_utc": tokens.refresh_expires_at.map(utc),
           "refresh_token_days_left": days(tokens.refresh_expires_at),
           "consent_ends_utc": tokens.refresh_hard_expires_at.map(utc),
           "consent_days_left": days(tokens.refresh_hard_expires_at),
           "refresh_without_known_end_utc": tokens.intent.map(|intent| utc(intent.started_at))})
}

/// The times at which the refresh token and the consent end, as far as they are known.
fn ends(tokens: &TokenSet) -> impl Iterator<Item = OffsetDateTime> {
    [tokens.refresh_expires_at, tokens.refresh_hard_expires_at].into_iter().flatten()
}

fn ending(end: OffsetDateTime, now: OffsetDateTime) -> String {
    if end <= now {
        format!("ended {}", utc(end))
    } else {
        format!("ends {}, in {}", utc(end), length(end - now))
    }
}

fn length(time: Duration) -> String {
    match time {
        time if time.whole_days() > 1 => format!("{} days", time.whole_days()),
        time if time.whole_hours() > 1 => format!("{} h", time.whole_hours()),
        time => format!("{} min", time.whole_minutes().max(0)),
    }
}

/// The error of a vault without a consent.
pub(super) fn no_consent() -> Exit {
    Exit::new(REAUTHORISE, "the vault holds no consent", "qbo-backfill auth login")
}
