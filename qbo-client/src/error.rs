//! The errors of this crate, with the advice that each gives to its caller.

use std::fmt;
use std::time::Duration;

use qbo_auth::{AuthError, PageTitle};

use crate::limit::BudgetError;
use crate::query::EntityName;

/// A request to QuickBooks Online that was not answered.
///
/// Displays as one line in this crate's own words. It never contains text of the server: faults have quoted tokens, host names
/// and customers' data.
#[derive(Debug, thiserror::Error)]
#[error("reading {entity}: {kind}{}", Reference(intuit_tid.as_deref()))]
pub struct Error {
    /// Entity that was read.
    pub entity: EntityName,
    /// Intuit's transaction id of the last answer, which their support asks for.
    pub intuit_tid: Option<Box<str>>,
    /// Number of attempts.
    pub attempts: u32,
    /// The cause. It is part of the displayed line, so it is not a `source()` of its own.
    pub kind: ErrorKind,
}

/// Intuit's transaction id as the end of an error message.
struct Reference<'a>(Option<&'a str>);

impl fmt::Display for Reference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |tid| write!(f, " (intuit_tid {tid})"))
    }
}

/// An error and its causes in one line: the displayed line of [`Error`] is the only one that is printed.
struct InFull<'a>(&'a (dyn std::error::Error + 'static));

impl fmt::Display for InFull<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = std::error::Error::source(self.0);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// The cause of an [`Error`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No usable access token could be obtained.
    #[error("{}", InFull(.0))]
    Auth(AuthError),
    /// The access token was refused again after a refresh, or the user who consented left the company.
    #[error("QuickBooks refuses the company's consent")]
    NeedsConsent,
    /// The request failed as often as it may be repeated.
    #[error("gave up after {attempts} attempts: {cause}")]
    Exhausted {
        /// Number of attempts.
        attempts: u32,
        /// Why the last attempt failed.
        cause: Cause,
    },
    /// A web page came in place of an answer at every attempt: from a firewall, a proxy, a CDN, a login page of the network, or
    /// of maintenance. It says nothing about token, company or query.
    #[error(
        "a web page came instead of QuickBooks' answer (HTTP {status}{title}, after {attempts} attempts)"
    )]
    WebPage {
        /// HTTP status of the last page.
        status: u16,
        /// Title of the last page.
        title: PageTitle,
        /// Number of attempts.
        attempts: u32,
    },
    /// The budget allows no call, or it is unknown whether it does.
    #[error("{}", InFull(.0))]
    Budget(BudgetError),
    /// QuickBooks, or its token service, has refused every call for a long time.
    #[error(
        "the monthly allowance of calls seems used up: QuickBooks has refused every call for {} minutes; \
         calls are refused until it resets",
        refused.as_secs() / 60
    )]
    LastingRefusal {
        /// How long every call has been refused.
        refused: Duration,
    },
    /// No answer has arrived for as long as one command waits.
    #[error("QuickBooks has not answered at all for {} minutes", silent.as_secs() / 60)]
    Unanswered {
        /// How long no answer has arrived.
        silent: Duration,
    },
    /// QuickBooks refuses this company or this app.
    #[error("refused by QuickBooks (HTTP {status}): {why}")]
    Refused {
        /// Reason of the refusal.
        why: Refusal,
        /// HTTP status.
        status: u16,
    },
    /// The query itself is invalid.
    #[error("QuickBooks does not accept the query (code {})", or_none(code))]
    BadQuery {
        /// Code of the fault, or empty.
        code: Box<str>,
    },
    /// The company's plan, its country or the user's rights do not include the entity.
    #[error("not available in this company (code {})", or_none(code))]
    EntityUnavailable {
        /// Code of the fault.
        code: Box<str>,
    },
    /// A record in the page makes QuickBooks refuse the whole page.
    #[error("one record makes QuickBooks refuse the page (code {code})")]
    PoisonedPage {
        /// Code of the fault.
        code: Box<str>,
    },
    /// QuickBooks finds the page too large.
    #[error("QuickBooks finds the page too large")]
    PageTooLarge,
    /// The page took longer than an answer may take; a page of fewer records may not.
    #[error("the page took too long")]
    PageTooSlow,
    /// The body is larger than a page can reasonably be.
    #[error("the answer is larger than {limit_mib} MiB")]
    BodyTooLarge {
        /// The limit, in MiB.
        limit_mib: u64,
    },
    /// The connection could not be made as securely as required.
    #[error("no secure connection to QuickBooks ({0})")]
    Insecure(&'static str),
}

impl ErrorKind {
    /// Stable code for programs that sort logs. It does not change between versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Auth(error) => error.code(),
            Self::NeedsConsent => "auth.needs_consent",
            Self::Exhausted { .. } => "source.exhausted",
            Self::WebPage { .. } => "source.web_page",
            Self::Budget(_) => "source.budget",
            Self::LastingRefusal { .. } => "source.lasting_refusal",
            Self::Unanswered { .. } => "source.unanswered",
            Self::Refused { .. } => "source.refused",
            Self::BadQuery { .. } => "source.bad_query",
            Self::EntityUnavailable { .. } => "source.entity_unavailable",
            Self::PoisonedPage { .. } => "source.poisoned_page",
            Self::PageTooLarge => "source.page_too_large",
            Self::PageTooSlow => "source.page_too_slow",
            Self::BodyTooLarge { .. } => "source.body_too_large",
            Self::Insecure(_) => "source.insecure",
        }
    }
}

fn or_none(code: &str) -> &str {
    if code.is_empty() { "none" } else { code }
}

/// Why a request is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// No connection was made, or it broke, or it timed out.
    Connection,
    /// The server failed (5xx, or a system fault).
    Server,
    /// The server failed with code 10000: a transient failure, or one record that it cannot deliver.
    Application,
    /// The answer took too long, here or at QuickBooks (which cuts at 120 s).
    Timeout,
    /// A web page of a firewall, a proxy or of maintenance came in place of an answer.
    Html,
    /// No server was found for the company (code 7001), for a moment or permanently.
    NoDestination,
    /// The body was empty or truncated.
    Garbled,
    /// What the answer says about its records is not what it holds.
    Contradiction,
    /// Too many calls were made for the company.
    Throttled,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "the connection failed",
            Self::Server => "QuickBooks failed to answer",
            Self::Application => "QuickBooks failed to answer (code 10000)",
            Self::Timeout => "the answer took too long",
            Self::Html => "a web page came instead of an answer",
            Self::NoDestination => "QuickBooks found no server for the company (code 7001)",
            Self::Garbled => "the answer was incomplete",
            Self::Contradiction => "the answer contradicts itself: it holds other records than it says",
            Self::Throttled => "QuickBooks asked to slow down",
        })
    }
}

/// Why QuickBooks refuses a company or an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Code 3100: the app is disconnected, or the keys of one environment were used in the other.
    Application,
    /// Code 130: the company belongs to the other environment.
    Environment,
    /// Code 140: the company is locked.
    CompanyLocked,
    /// Code 6190, or a message that says that the subscription has ended.
    Subscription,
    /// Code 10200: the company was reset; stored ids may now belong to other records.
    CompanyReset,
    /// Status 404 for the company itself.
    UnknownCompany,
    /// Code 7001 at every attempt: the subscription has lapsed, or the company belongs to the other environment.
    NoDestination,
    /// A redirect, which is never followed: the token must not be sent to another host.
    Redirect,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Application => {
                "the app is not connected to this company, or environment and keys do not match"
            }
            Self::Environment => "the company is not in this environment",
            Self::CompanyLocked => "the company is locked",
            Self::Subscription => "the company's subscription has ended or has a billing problem",
            Self::CompanyReset => "the company was reset; its ids may now mean other records",
            Self::UnknownCompany => "there is no such company",
            Self::NoDestination => {
                "it finds no such company here: the subscription has lapsed, or the company is in the other environment (code 7001)"
            }
            Self::Redirect => "it answered with a redirect, which is never followed",
        })
    }
}

/// What a caller can do about an [`Error`]. Every error has an advice, so callers never look at codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The source is down or throttled: stop, and try again later.
    TryLater,
    /// A person must consent again.
    Reauthorise,
    /// The company or app is refused; a person must act at Intuit or in the settings.
    Refused,
    /// The error concerns our own credentials; [`ErrorKind::Auth`] holds the error with its own advice.
    AskAuth,
    /// The budget could not be reached; [`ErrorKind::Budget`] holds the error with the details.
    AskBudget,
    /// This part cannot be read as requested; other parts can.
    GiveUp,
    /// Request fewer records at once: most of them can be read.
    AskFewer,
}

impl Error {
    /// What the caller can do next.
    pub fn advice(&self) -> Advice {
        self.kind.advice()
    }
}

impl ErrorKind {
    fn advice(&self) -> Advice {
        match self {
            Self::Auth(_) => Advice::AskAuth,
            Self::NeedsConsent => Advice::Reauthorise,
            Self::Exhausted { .. }
            | Self::WebPage { .. }
            | Self::Unanswered { .. }
            | Self::LastingRefusal { .. }
            | Self::Budget(BudgetError::UsedUp { .. } | BudgetError::Capped { .. }) => Advice::TryLater,
            Self::Budget(BudgetError::Unavailable { .. }) => Advice::AskBudget,
            Self::Refused { .. } | Self::Insecure(_) => Advice::Refused,
            Self::BadQuery { .. } | Self::EntityUnavailable { .. } => Advice::GiveUp,
            Self::PoisonedPage { .. }
            | Self::PageTooLarge
            | Self::PageTooSlow
            | Self::BodyTooLarge { .. } => Advice::AskFewer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_prints_one_line_and_says_what_to_do() {
        let check = |kind, advice, line: &str| {
            let entity = "Invoice".parse().unwrap();
            let error = Error { entity, intuit_tid: Some("1-abc".into()), attempts: 1, kind };
            assert_eq!(error.advice(), advice);
            assert_eq!(error.to_string(), line);
        };
        check(
            ErrorKind::Exhausted { attempts: 6, cause: Cause::Server },
            Advice::TryLater,
            "reading Invoice: gave up after 6 attempts: QuickBooks failed to answer (intuit_tid 1-abc)",
        );
        check(
            ErrorKind::Budget(BudgetError::UsedUp {
                allowance: 500_000,
                until: time::macros::datetime!(2026-12-01 0:00 UTC),
            }),
            Advice::TryLater,
            "reading Invoice: the monthly allowance of 500000 calls is used up; calls are refused until \
             2026-12-01 UTC (intuit_tid 1-abc)",
        );
        check(
            ErrorKind::LastingRefusal { refused: Duration::from_secs(660) },
            Advice::TryLater,
            "reading Invoice: the monthly allowance of calls seems used up: QuickBooks has refused every call for \
             11 minutes; calls are refused until it resets (intuit_tid 1-abc)",
        );
        check(
            ErrorKind::Refused { why: Refusal::UnknownCompany, status: 404 },
            Advice::Refused,
            "reading Invoice: refused by QuickBooks (HTTP 404): there is no such company (intuit_tid 1-abc)",
        );
        check(
            ErrorKind::WebPage {
                status: 403,
                title: PageTitle::of(b"<title>Access Denied</title>").unwrap(),
                attempts: 3,
            },
            Advice::TryLater,
            "reading Invoice: a web page came instead of QuickBooks' answer (HTTP 403, titled \"Access Denied\", after 3 \
             attempts) (intuit_tid 1-abc)",
        );
        check(
            ErrorKind::BadQuery { code: "4001".into() },
            Advice::GiveUp,
            "reading Invoice: QuickBooks does not accept the query (code 4001) (intuit_tid 1-abc)",
        );
        check(
            ErrorKind::NeedsConsent,
            Advice::Reauthorise,
            "reading Invoice: QuickBooks refuses the company's consent (intuit_tid 1-abc)",
        );
    }
}
