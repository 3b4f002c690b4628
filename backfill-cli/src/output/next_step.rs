//! The next step of a person for each error of the libraries. It names commands of this program, which the libraries do
//! not know.

use qbo_auth::{AuthError, ConsentError, TokenErrorKind, VaultErrorKind};
use raw_store::StoreErrorKind;

/// The next step if no access token can be obtained.
pub(crate) fn after_auth(error: &AuthError) -> &'static str {
    match error {
        AuthError::Vault(error) => after_vault(error.kind()),
        AuthError::NoToken => "consent with `qbo-backfill auth login`",
        AuthError::NeedsConsent(_) => "consent again: `qbo-backfill auth login`",
        AuthError::Refused => "supply a new access token",
        AuthError::Endpoint(error) => after_endpoint(error.kind()),
        AuthError::Interrupted => "run the same command again",
        _ => LATER,
    }
}

fn after_endpoint(kind: &TokenErrorKind) -> &'static str {
    match kind {
        TokenErrorKind::InvalidGrant => "consent again: `qbo-backfill auth login`",
        TokenErrorKind::InvalidClient => {
            "check that the keys belong to this environment, then `qbo-backfill secrets set QBO_CLIENT_ID` and \
             `qbo-backfill secrets set QBO_CLIENT_SECRET`"
        }
        TokenErrorKind::Setup => "check the token address",
        TokenErrorKind::InvalidRequest { .. } => {
            "run the same command later; the stored token is unchanged; if the failure persists, report it with the error code"
        }
        TokenErrorKind::Throttled { .. } => {
            "run the same command later; if throttling persists, the app's monthly allowance of calls is used up"
        }
        TokenErrorKind::Insecure(_) | TokenErrorKind::Redirect => {
            "check the proxy, if there is one, and the system's root certificates; the stored token is unchanged"
        }
        TokenErrorKind::Html { .. } => {
            "check for a proxy or a login page of the network between this machine and Intuit"
        }
        TokenErrorKind::Unavailable { .. } | TokenErrorKind::Transport | TokenErrorKind::Protocol(_) => {
            "run the same command later; the stored token is unchanged"
        }
        _ => LATER,
    }
}

/// The next step if the vault cannot be used.
pub(crate) fn after_vault(kind: VaultErrorKind) -> &'static str {
    match kind {
        VaultErrorKind::Missing => {
            "check the path, or create a new vault and its key: `qbo-backfill secrets init`"
        }
        VaultErrorKind::AlreadyExists => "choose another path, or move the existing file away first",
        VaultErrorKind::Exposed => "run `chmod 600` on the file; if others may have read it, consent again",
        VaultErrorKind::ForeignOwner => "run as the user who owns the file, or `chown` it to this user",
        VaultErrorKind::NotAFile => "give the path of the file itself",
        VaultErrorKind::BadKey => {
            "give the key file that `qbo-backfill secrets init` created with this vault"
        }
        VaultErrorKind::NeedsPassphrase => "leave --vault-key-file out and type the passphrase",
        VaultErrorKind::NeedsKeyFile => "give the key file: --vault-key-file FILE",
        VaultErrorKind::Undecipherable => {
            "give this vault's own key or passphrase; a damaged file is restored to the state before its last change, \
                 unless that is damaged, too: then create a new vault, `qbo-backfill secrets init`"
        }
        VaultErrorKind::NewerVersion => "update qbo-backfill",
        VaultErrorKind::Busy => "wait for the other process to end, then run the same command again",
        VaultErrorKind::Overtaken => {
            "run the same command again; if the error persists, look for a second host that uses this vault"
        }
        VaultErrorKind::Unreachable => "check the connection, then run the same command again",
        VaultErrorKind::LockLost => "run the same command again; the stored token is unchanged",
        VaultErrorKind::Restored => "put the newer vault back, or consent again: qbo-backfill auth login",
        VaultErrorKind::SecondCopy => {
            "work with the other vault, or give this one a consent of its own: qbo-backfill auth login; to share one \
                 vault between hosts: --vault postgres"
        }
        VaultErrorKind::TooLarge => "give only the secret, which is shorter than 16 KiB",
        VaultErrorKind::KeyInDoubt => {
            "keep both keys; qbo-backfill auth status with each shows which one opens the vault"
        }
        VaultErrorKind::Io => "check free space and permissions of the vault's folder",
        _ => LATER,
    }
}

/// The next step if a login brought no consent.
pub(crate) fn after_consent(error: &ConsentError) -> &'static str {
    match error {
        ConsentError::Denied("access_denied") => {
            "run `qbo-backfill auth login` again, and connect the company on the page"
        }
        ConsentError::Denied(_) => "check the app's redirect addresses and scopes at developer.intuit.com",
        ConsentError::WrongAddress => {
            "paste the whole address of the page that Intuit sent you to, or register this login's redirect address"
        }
        _ => "run `qbo-backfill auth login` again, and use the page it opens",
    }
}

/// The next step after an error of the database.
pub(crate) fn after_store(kind: &StoreErrorKind) -> String {
    use StoreErrorKind as Kind;
    match kind {
        Kind::Unavailable(_) => "check the address and that the server runs, then run the same command again".into(),
        Kind::LoginRefused(code) if &**code == "3D000" => "create the database first (createdb), or name an existing one".into(),
        Kind::LoginRefused(_) => "check user and password: qbo-backfill secrets set PG_PASSWORD".into(),
        Kind::Insecure(_) => "give the server a certificate for its name from a known authority, or use sslrootcert=FILE".into(),
        Kind::Session(_) => "connect to the database directly, or to a port of the pooler in session mode (pgbouncer: pool_mode = session)".into(),
        Kind::Busy(_) => "run the same command again; committed data stays".into(),
        Kind::Full(_) => "make room on the database server, then run the same command again".into(),
        Kind::ReadOnly => {
            "ask the database's provider: the usual reason is a full disk. If this server replicates \
             another one, name that one; then run the same command again"
                .into()
        }
        Kind::Forbidden(_) => "use a role with the missing right; qbo-backfill db check names it".into(),
        Kind::Lacks(statements) => format!("as the owner: {statements}"),
        Kind::NotSetUp(_) | Kind::Older { .. } => "run: qbo-backfill db init".into(),
        Kind::Newer { .. } => "use the newer qbo-backfill that created this schema".into(),
        Kind::Differs(_) => "run: qbo-backfill db init, which restores what is missing; qbo-backfill db check names other differences".into(),
        Kind::LogMoved(_) => "run the same command again: it reads the lost pages again".into(),
        Kind::RowsAltered { table, .. } => format!(
            "remove the trigger, rule or policy of table {table} (psql shows it: \\d {table}), then run the same command again"
        ),
        Kind::OtherCompany { .. } => "use another schema for this company: --schema NAME".into(),
        Kind::SchemaTaken { .. } => "choose another schema for the views: --target-schema NAME; nothing was changed".into(),
        Kind::ViewsInUse(schema) => format!(
            "drop those objects first, as `dbt` can build them again, or by hand: DROP SCHEMA {schema} CASCADE drops all of them; nothing was changed"
        ),
        Kind::LeaseHeld { .. } | Kind::LeaseLost(_) => "wait for the other process, or stop it, then run the same command again".into(),
        Kind::TriggerExists(_) => "choose another --name; the existing trigger stays as it is: qbo-backfill trigger list".into(),
        Kind::ChainExists(_) => "choose another --name: qbo-backfill trigger list".into(),
        Kind::UnknownTrigger(_) => "see: qbo-backfill trigger list".into(),
        Kind::TriggerState { name, state } if state.is_spent() => {
            format!("to arm it again: qbo-backfill trigger rearm {name} --at T")
        }
        Kind::TriggerState { name, .. } => format!("cancel it first: qbo-backfill trigger cancel {name}"),
        Kind::TriggerChanged { name, .. } => format!("see who armed it: qbo-backfill trigger history {name}"),
        Kind::PasswordInAddress => "keep it in the vault: qbo-backfill secrets set PG_PASSWORD".into(),
        Kind::Configuration(_) => "correct the setting and run the same command again".into(),
        Kind::Refused { .. } => "see: qbo-backfill db check".into(),
        _ => LATER.into(),
    }
}

/// The next step for an error without a better one.
const LATER: &str = "run the same command again later";

#[cfg(test)]
mod tests {
    use qbo_auth::{TokenError, VaultError};
    use raw_store::{StoreIdentity, TriggerName, TriggerState};

    use super::*;

    #[test]
    fn every_error_of_tokens_and_vaults_has_a_next_step_on_one_line() {
        let check = |error: AuthError, word: &str| {
            let next = after_auth(&error);
            assert!(next.contains(word) && !next.contains('\n'), "{error}: {next}");
        };
        let endpoint = |kind| AuthError::from(TokenError::new(kind));
        let login = "qbo-backfill auth login";
        check(AuthError::NoToken, login);
        check(AuthError::NeedsConsent(TokenError::new(TokenErrorKind::InvalidGrant)), login);
        check(AuthError::Refused, "new access token");
        check(AuthError::Interrupted, "same command again");
        check(endpoint(TokenErrorKind::InvalidGrant), login);
        check(endpoint(TokenErrorKind::InvalidClient), "qbo-backfill secrets set QBO_CLIENT_ID");
        check(endpoint(TokenErrorKind::Setup), "token address");
        check(endpoint(TokenErrorKind::Throttled { retry_after: None }), "monthly allowance");
        check(endpoint(TokenErrorKind::Unavailable { status: 503 }), "token is unchanged");
        check(endpoint(TokenErrorKind::InvalidRequest { code: "unknown code" }), "error code");
        check(endpoint(TokenErrorKind::Transport), "token is unchanged");
        check(endpoint(TokenErrorKind::Html { status: 200 }), "proxy");
        check(endpoint(TokenErrorKind::Redirect), "proxy");
        check(endpoint(TokenErrorKind::Protocol("no access token")), "token is unchanged");
        let vault = |kind, word: &str| check(AuthError::from(VaultError::new(kind)), word);
        vault(VaultErrorKind::Missing, "qbo-backfill secrets init");
        vault(VaultErrorKind::AlreadyExists, "another path");
        vault(VaultErrorKind::Exposed, "chmod 600");
        vault(VaultErrorKind::ForeignOwner, "chown");
        vault(VaultErrorKind::NotAFile, "file itself");
        vault(VaultErrorKind::BadKey, "qbo-backfill secrets init");
        vault(VaultErrorKind::NeedsPassphrase, "--vault-key-file");
        vault(VaultErrorKind::NeedsKeyFile, "--vault-key-file");
        vault(VaultErrorKind::Undecipherable, "the state before its last change");
        vault(VaultErrorKind::NewerVersion, "update");
        vault(VaultErrorKind::Busy, "other process");
        vault(VaultErrorKind::Overtaken, "second host");
        vault(VaultErrorKind::Unreachable, "connection");
        vault(VaultErrorKind::LockLost, "token is unchanged");
        vault(VaultErrorKind::Restored, login);
        vault(VaultErrorKind::SecondCopy, "--vault postgres");
        vault(VaultErrorKind::TooLarge, "16 KiB");
        vault(VaultErrorKind::KeyInDoubt, "qbo-backfill auth status");
        vault(VaultErrorKind::Io, "free space");
    }

    #[test]
    fn every_error_of_a_consent_has_a_next_step() {
        for (error, word) in [
            (ConsentError::Denied("access_denied"), "qbo-backfill auth login"),
            (ConsentError::Denied("invalid_scope"), "developer.intuit.com"),
            (ConsentError::WrongState, "qbo-backfill auth login"),
            (ConsentError::TooLate, "qbo-backfill auth login"),
            (ConsentError::WrongAddress, "redirect address"),
            (ConsentError::Incomplete("no code"), "qbo-backfill auth login"),
            (ConsentError::NoRandomness, "qbo-backfill auth login"),
        ] {
            assert!(after_consent(&error).contains(word), "{error}");
        }
    }

    #[test]
    fn every_error_of_the_database_has_a_next_step() {
        use StoreErrorKind as Kind;
        let name: TriggerName = "nightly".parse().unwrap();
        let company = |realm: &str| StoreIdentity { realm_id: realm.into(), environment: "sandbox".into() };
        let state = |state| Kind::TriggerState { name: name.clone(), state };
        let since = time::OffsetDateTime::UNIX_EPOCH;
        for (kind, word) in [
            (Kind::Unavailable("".into()), "the server runs"),
            (Kind::LoginRefused("3D000".into()), "createdb"),
            (Kind::LoginRefused("28P01".into()), "qbo-backfill secrets set PG_PASSWORD"),
            (Kind::Insecure("".into()), "sslrootcert"),
            (Kind::Session("".into()), "session mode"),
            (Kind::Busy("".into()), "committed data stays"),
            (Kind::Full("".into()), "make room"),
            (Kind::ReadOnly, "full disk"),
            (Kind::Forbidden("".into()), "qbo-backfill db check"),
            (Kind::Lacks("GRANT SELECT".into()), "as the owner: GRANT SELECT"),
            (Kind::NotSetUp("raw".into()), "run: qbo-backfill db init"),
            (Kind::Older { found: 1, wanted: 2 }, "run: qbo-backfill db init"),
            (Kind::Newer { found: 2, known: 1 }, "newer qbo-backfill"),
            (Kind::Differs("".into()), "qbo-backfill db init"),
            (Kind::LogMoved("".into()), "same command again"),
            (Kind::RowsAltered { table: "qb_items".into(), rows: 1 }, "\\d qb_items"),
            (Kind::OtherCompany { bound: company("1"), asked: company("2") }, "--schema"),
            (Kind::LeaseHeld { entity_name: "".into(), holder: "".into(), since }, "other process"),
            (Kind::LeaseLost("".into()), "other process"),
            (Kind::TriggerExists(name.clone()), "--name"),
            (Kind::ChainExists("".into()), "--name"),
            (Kind::UnknownTrigger(name.clone()), "qbo-backfill trigger list"),
            (state(TriggerState::Done), "qbo-backfill trigger rearm nightly"),
            (state(TriggerState::Armed), "qbo-backfill trigger cancel nightly"),
            (
                Kind::TriggerChanged { name: name.clone(), armings: 2, by: None },
                "qbo-backfill trigger history nightly",
            ),
            (Kind::PasswordInAddress, "qbo-backfill secrets set PG_PASSWORD"),
            (Kind::Configuration("".into()), "correct the setting"),
            (Kind::Refused { sqlstate: "".into(), at: "".into() }, "qbo-backfill db check"),
        ] {
            let next = after_store(&kind);
            assert!(next.contains(word) && !next.contains('\n'), "{kind}: {next}");
        }
    }
}
