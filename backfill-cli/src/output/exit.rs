//! The documented exit codes, and the one line on stderr that comes with every code except 0.

use backfill_report::untrusted::Untrusted;
use serde_json::json;
use std::process::ExitCode;

use backfill_core::{Failure, ReportError, RunError, TooManyWindows, UnknownPipeline};
use qbo_auth::AuthError;
use raw_store::{StoreError, StoreErrorKind};

use crate::output::event;
use crate::output::next_step::{after_auth, after_store};
use crate::output::print;
use crate::output::print::say;

/// Everything requested was done.
pub(crate) const DONE: u8 = 0;
/// Wrong usage or configuration; nothing was touched.
pub(crate) const USAGE: u8 = 2;
/// The run finished, but some windows failed or some records are in quarantine.
pub(crate) const INCOMPLETE: u8 = 3;
/// A person must consent again.
pub(crate) const REAUTHORISE: u8 = 4;
/// QuickBooks refuses the company or the app.
pub(crate) const REFUSED: u8 = 5;
/// The source is unavailable or throttled.
pub(crate) const SOURCE: u8 = 6;
/// The destination is unavailable, refuses, or has the wrong schema.
pub(crate) const DESTINATION: u8 = 7;
/// The vault cannot be used.
pub(crate) const VAULT: u8 = 8;
/// Another process holds the pipeline or the vault.
pub(crate) const HELD: u8 = 9;
/// The program broke one of its own invariants: a bug.
pub(crate) const BUG: u8 = 70;
/// The output could not be written: `EX_IOERR` of sysexits(3).
pub(crate) const OUTPUT: u8 = 74;
/// Stopped cleanly by SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;
/// Stopped cleanly by SIGTERM.
pub(crate) const TERMINATED: u8 = 143;

/// The exit code of a command that did not end with 0, and its one line.
#[derive(Clone, Debug)]
pub(crate) struct Exit {
    pub(crate) code: u8,
    /// What happened, where, and what is safe.
    pub(crate) what: String,
    /// What to do next.
    pub(crate) next: String,
}

impl Exit {
    pub(crate) fn new(code: u8, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { code, what: what.into(), next: next.into() }
    }

    pub(crate) fn usage(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(USAGE, what, next)
    }

    /// Formats the line for people.
    pub(crate) fn line(&self) -> String {
        // Messages may contain untrusted text, so line breaks and control characters are removed.
        let text = if self.next.is_empty() {
            self.what.clone()
        } else {
            let stop = if self.what.ends_with(['?', '.']) { "" } else { "." };
            format!("{}{stop} Next: {}", self.what, self.next)
        };
        Untrusted(&text.split_whitespace().collect::<Vec<_>>().join(" ")).to_string()
    }
}

/// Formats an error and its causes as one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Makes panics print their place only, because their message may quote a secret or a payload.
pub(crate) fn hide_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place =
            panic.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        say(&format!("a broken invariant{place}"));
        print::settle();
    }));
}

/// Runs a command. A panic ends it with the exit code of a bug.
pub(crate) fn guarded(command: impl FnOnce() -> Result<u8, Exit>) -> Result<u8, Exit> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(command)).unwrap_or_else(|_| {
        Err(Exit::new(
            BUG,
            "a broken invariant stopped this command; committed data and the vault are sound",
            "run the same command again, and report the place named above",
        ))
    })
}

/// Turns a command's outcome into an exit code, prints its line, and waits until all output is written. If the output
/// cannot be written, a command that succeeded ends with [`OUTPUT`].
pub(crate) fn report(outcome: Result<u8, Exit>) -> ExitCode {
    let code = match outcome {
        Ok(code) => code,
        Err(exit) => {
            tell(&exit);
            if !exit.what.is_empty() {
                print::last_word(&format!("error: {}", exit.line()));
            }
            exit.code
        }
    };
    let Some(kind) = print::finish() else { return ExitCode::from(code) };
    let unwritten = Exit::new(
        OUTPUT,
        format!("the output could not be written in full: {kind}; the command itself did its work"),
        "make room, or send the output elsewhere; to see the result of a run again: qbo-backfill report",
    );
    let word = if code == DONE { "error" } else { "note" };
    print::last_word(&format!("{word}: {}", unwritten.line()));
    let _ = print::finish();
    ExitCode::from(if code == DONE { OUTPUT } else { code })
}

/// Builds the error for a result file that cannot be written.
pub(crate) fn unwritten(file: &std::path::Path, error: &std::io::Error) -> Exit {
    use std::io::ErrorKind;
    let what = format!("{}: {error}", file.display());
    match error.kind() {
        ErrorKind::NotFound
        | ErrorKind::PermissionDenied
        | ErrorKind::IsADirectory
        | ErrorKind::NotADirectory
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::InvalidInput
        | ErrorKind::InvalidFilename => Exit::usage(what, "name a file that can be written with --out"),
        _ => Exit::new(OUTPUT, what, "make room, or name another file with --out"),
    }
}

impl From<AuthError> for Exit {
    fn from(error: AuthError) -> Self {
        use qbo_auth::Advice;
        if let AuthError::Vault(vault) = &error {
            return Self::from(&**vault);
        }
        let code = match error.advice() {
            Advice::RetryAfter(_) => SOURCE,
            // Wrong keys count as a missing consent: no call works until a person corrects them.
            Advice::Reauthorise | Advice::FixConfiguration => REAUTHORISE,
            Advice::Refused => REFUSED,
            Advice::VaultUnusable => VAULT,
            Advice::VaultBusy => HELD,
            _ => BUG,
        };
        Self::new(code, chain(&error), after_auth(&error))
    }
}

impl From<StoreError> for Exit {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

impl From<&StoreError> for Exit {
    fn from(error: &StoreError) -> Self {
        let code = match error.kind {
            StoreErrorKind::PasswordInAddress
            | StoreErrorKind::Configuration(_)
            | StoreErrorKind::TriggerExists(_)
            | StoreErrorKind::ChainExists(_)
            | StoreErrorKind::SchemaTaken { .. }
            | StoreErrorKind::UnknownTrigger(_)
            | StoreErrorKind::TriggerState { .. }
            | StoreErrorKind::TriggerChanged { .. } => USAGE,
            StoreErrorKind::LeaseHeld { .. } | StoreErrorKind::LeaseLost(_) => HELD,
            _ => DESTINATION,
        };
        Self::new(code, error.to_string(), after_store(&error.kind))
    }
}

/// The next step for each reason that QuickBooks gives for a refusal.
fn after_refusal(why: qbo_client::Refusal) -> &'static str {
    use qbo_client::Refusal;
    match why {
        Refusal::Subscription => {
            "renew the company's subscription or fix its billing in QuickBooks, then run the same command again"
        }
        Refusal::NoDestination => {
            "check that the company's subscription is paid and that --environment is the company's, then run the same \
             command again"
        }
        Refusal::Redirect => {
            "check for a proxy or a login page of the network between this machine and QuickBooks, which itself never \
             redirects; then run the same command again"
        }
        Refusal::CompanyLocked => {
            "wait until QuickBooks has unlocked the company, then run the same command again"
        }
        Refusal::CompanyReset => "read the company into a schema of its own: --schema NAME",
        Refusal::Environment => "check --environment, then run the same command again",
        _ => "check --environment, the realm and the app's keys, then run the same command again",
    }
}

impl From<qbo_client::Error> for Exit {
    fn from(error: qbo_client::Error) -> Self {
        use qbo_client::{Advice, BudgetError, ErrorKind};
        let what = error.to_string();
        let advice = error.advice();
        match (error.kind, advice) {
            (ErrorKind::Auth(auth), _) => auth.into(),
            (ErrorKind::Budget(BudgetError::UsedUp { until, .. }), _) => Self::new(
                SOURCE,
                what,
                format!(
                    "run the same command again from {}, or raise --monthly-calls if Intuit allows more",
                    until.date()
                ),
            ),
            (ErrorKind::Budget(BudgetError::Unavailable { source, .. }), _) => {
                match source.downcast_ref::<StoreError>() {
                    Some(error) => Self::new(Self::from(error).code, what, after_store(&error.kind)),
                    None => Self::new(DESTINATION, what, "run the same command again later"),
                }
            }
            (ErrorKind::LastingRefusal { .. }, _) => Self::new(
                SOURCE,
                what,
                "check the app's usage at developer.intuit.com; run the same command again next month, or when other \
                 programs make fewer calls",
            ),
            (_, Advice::Reauthorise) => {
                Self::new(REAUTHORISE, what, "consent again: qbo-backfill auth login")
            }
            (ErrorKind::Insecure(_), _) => Self::new(
                REFUSED,
                what,
                "check the proxy, if there is one, and the system's root certificates, then run the same command again",
            ),
            (ErrorKind::WebPage { .. }, _) => Self::new(
                SOURCE,
                what,
                "check what answers instead of QuickBooks (a firewall, a proxy, a login page of the network, \
                 maintenance), then run the same command again",
            ),
            (ErrorKind::Refused { why, .. }, _) => Self::new(REFUSED, what, after_refusal(why)),
            (_, Advice::Refused) => Self::new(
                REFUSED,
                what,
                "check --environment, the realm and the app's keys, then run the same command again",
            ),
            (_, Advice::TryLater | Advice::AskFewer) => {
                Self::new(SOURCE, what, "run the same command again later")
            }
            (_, Advice::GiveUp | Advice::AskAuth | Advice::AskBudget) => {
                Self::new(INCOMPLETE, what, "see: qbo-backfill report")
            }
        }
    }
}

impl From<RunError> for Exit {
    fn from(error: RunError) -> Self {
        let place = error.to_string();
        let safe = if error.pipeline.is_some() { "; committed data stays" } else { "" };
        let mut exit = match error.failure {
            Failure::Read(error) => Self::from(error),
            Failure::Land(error) => Self::from(error),
            Failure::TooManyWindows(error) => error.into(),
            Failure::Stopped => Self::new(INTERRUPTED, "", "run the same command again to continue"),
            _ => Self::new(BUG, "", "committed data is sound; please report this"),
        };
        exit.what = format!("{place}{safe}");
        exit
    }
}

impl From<TooManyWindows> for Exit {
    fn from(error: TooManyWindows) -> Self {
        Self::usage(error.to_string(), "give a shorter range, or longer windows: --chunk month")
    }
}

impl From<UnknownPipeline> for Exit {
    fn from(error: UnknownPipeline) -> Self {
        Self::usage(error.to_string(), "see: qbo-backfill entities")
    }
}

impl From<ReportError> for Exit {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Store(error) => error.into(),
            other => Self::usage(other.to_string(), "see: qbo-backfill runs"),
        }
    }
}

/// Writes the `error` event for programs, unless the command's value or its last event already states the exit code.
pub(crate) fn tell(exit: &Exit) {
    let is_end_of_help = exit.code == DONE;
    if !is_end_of_help && print::is_for_programs() && !print::has_told(exit.code.into()) {
        event::write(
            "error",
            json!({"kind": kind(exit.code), "exit_code": exit.code, "message": exit.what, "next": exit.next}),
        );
    }
}

/// The `kind` of the `error` event for an exit code.
fn kind(code: u8) -> &'static str {
    match code {
        USAGE => "usage",
        INCOMPLETE => "incomplete",
        REAUTHORISE => "reauthorise",
        REFUSED => "refused",
        SOURCE => "source",
        DESTINATION => "destination",
        VAULT => "vault",
        HELD => "held",
        OUTPUT => "output",
        INTERRUPTED | TERMINATED => "stopped",
        _ => "bug",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "ends badly on purpose; run by the next test"]
    fn a_panic() {
        hide_panics();
        let exit = guarded(|| panic!("{}", "canary-in-a-panic")).unwrap_err();
        println!("it ends with {}", exit.code);
    }

    #[test]
    fn a_panic_does_not_say_what_it_was_about() {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        let ran = command
            .args(["--ignored", "--exact", "output::exit::tests::a_panic", "--nocapture"])
            .output()
            .unwrap();
        let said = [ran.stdout, ran.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains("a broken invariant at") && said.contains("it ends with 70"), "{said}");
        assert!(!said.contains("canary"), "{said}");
    }

    #[test]
    fn a_database_that_keeps_the_vault_fails_as_a_database() {
        let gone = StoreError::new("reading the vault", StoreErrorKind::Unavailable("no connection".into()));
        let vault = qbo_auth::VaultError::new(qbo_auth::VaultErrorKind::Unreachable).because(gone);
        let exit = Exit::from(AuthError::from(vault));
        assert_eq!(exit.code, DESTINATION, "{}", exit.what);
        assert!(exit.next.contains("the server runs"), "{}", exit.next);
        let disk = qbo_auth::VaultError::new(qbo_auth::VaultErrorKind::Io);
        assert_eq!(Exit::from(AuthError::from(disk)).code, VAULT);
    }

    #[test]
    fn each_refusal_has_a_next_step_that_fits() {
        use qbo_client::{Error, ErrorKind, Refusal};
        let exit = |kind| {
            Exit::from(Error { entity: "Invoice".parse().unwrap(), intuit_tid: None, attempts: 1, kind })
        };
        for (why, step, other) in [
            (Refusal::Subscription, "subscription", "keys"),
            (Refusal::NoDestination, "subscription", "keys"),
            (Refusal::Redirect, "proxy", "keys"),
            (Refusal::CompanyLocked, "unlocked", "keys"),
            (Refusal::Application, "keys", "proxy"),
        ] {
            let refused = exit(ErrorKind::Refused { why, status: 403 });
            assert_eq!(refused.code, REFUSED);
            assert!(
                refused.next.contains(step) && !refused.next.contains(other),
                "{why:?}: {}",
                refused.next
            );
        }
        let page =
            exit(ErrorKind::WebPage { status: 401, title: qbo_auth::PageTitle::default(), attempts: 3 });
        assert_eq!(page.code, SOURCE);
        for blamed in ["keys", "consent", "realm", "company", "query"] {
            assert!(!page.line().contains(blamed), "{}", page.line());
        }
    }

    #[test]
    fn a_message_is_one_line_whatever_it_was_made_of() {
        let exit = Exit::usage("two\nlines \u{1b}[31mred.", "do this");
        assert_eq!(exit.line(), "two lines ?[31mred. Next: do this");
    }
}
