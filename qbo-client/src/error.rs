use std::fmt;
use std::time::Duration;

use qbo_auth::{AuthError, PageTitle};

use crate::limit::BudgetError;
use crate::query::EntityName;

/// A question to QuickBooks Online was not answered.
///
/// Prints one line in our own words. Text of the server is never part of it: faults have quoted tokens, host
/// names and customers' data.
#[derive(Debug, thiserror::Error)]
#[error("reading {entity}: {kind}{}", Reference(intuit_tid.as_deref()))]
pub struct Error {
    /// What was read.
    pub entity: EntityName,
    /// Intuit's id of the last answer, which their support asks for.
    pub intuit_tid: Option<Box<str>>,
    /// How often it was asked.
    pub attempts: u32,
    /// What went wrong. Part of the printed line, so not a `source()` of its own.
    pub kind: ErrorKind,
}

struct Reference<'a>(Option<&'a str>);

impl fmt::Display for Reference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |tid| write!(f, " (intuit_tid {tid})"))
    }
}

/// An error and its causes in one line: the printed line of [`Error`] is the only one that will be printed.
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

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No usable access token could be had.
    #[error("{}", InFull(.0))]
    Auth(AuthError),
    /// The access token was refused again after a refresh, or the user who consented left the company.
    #[error("QuickBooks refuses the company's consent")]
    NeedsConsent,
    /// The question was repeated as often as allowed.
    #[error("given up after {attempts} attempts: {cause}")]
    Exhausted {
        /// How often it was asked.
        attempts: u32,
        /// Why the last attempt failed.
        cause: Cause,
    },
    /// A web page came in place of an answer, as often as it was asked: of a firewall, a proxy, a CDN, a login page of the
    /// network, or of maintenance. It says nothing of token, company or query.
    #[error("a web page came in place of QuickBooks' answer (HTTP {status}{title}; asked {attempts} times)")]
    WebPage {
        /// The HTTP status of the last one.
        status: u16,
        /// What the last one calls itself.
        title: PageTitle,
        /// How often it was asked.
        attempts: u32,
    },
    /// No call is allowed, or nobody can say whether one is.
    #[error("{}", InFull(.0))]
    Budget(BudgetError),
    /// QuickBooks, or its token service, has refused every call for a long time.
    #[error(
        "the monthly allowance of calls seems used up: QuickBooks has refused every call for {} minutes; \
         calls are refused until it resets",
        refused.as_secs() / 60
    )]
    LastingRefusal {
        /// For how long.
        refused: Duration,
    },
    /// Nothing has come back for as long as one command waits.
    #[error("QuickBooks has not answered at all for {} minutes", silent.as_secs() / 60)]
    Unanswered {
        /// For how long.
        silent: Duration,
    },
    /// QuickBooks refuses this company or this app.
    #[error("refused by QuickBooks (HTTP {status}): {why}")]
    Refused {
        /// The reason.
        why: Refusal,
        /// The HTTP status.
        status: u16,
    },
    /// The question itself is wrong.
    #[error("QuickBooks does not accept the query (code {})", or_none(code))]
    BadQuery {
        /// The fault's code, or nothing.
        code: Box<str>,
    },
    /// The company's plan, its country or the user's rights do not include the entity.
    #[error("not available in this company (code {})", or_none(code))]
    EntityUnavailable {
        /// The fault's code.
        code: Box<str>,
    },
    /// A record in the page makes QuickBooks refuse the whole page.
    #[error("one record makes QuickBooks refuse the page (code {code})")]
    PoisonedPage {
        /// The fault's code.
        code: Box<str>,
    },
    /// QuickBooks finds the page too large.
    #[error("QuickBooks finds the page too large")]
    PageTooLarge,
    /// The page took longer than an answer may take; one of fewer records may not.
    #[error("the page took too long")]
    PageTooSlow,
    /// The body is larger than a page can reasonably be.
    #[error("the answer is larger than {limit_mib} MiB")]
    BodyTooLarge {
        /// The limit.
        limit_mib: u64,
    },
    /// The connection could not be made as safely as required.
    #[error("no secure connection to QuickBooks ({0})")]
    Insecure(&'static str),
}

impl ErrorKind {
    /// A word for programs that sort logs. It stays as it is from version to version.
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

/// Why a request is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// No connection, or it broke, or time ran out.
    Connection,
    /// The server failed (5xx, or a system fault).
    Server,
    /// The server failed with code 10000: something passing, or one record that it cannot deliver.
    Application,
    /// The answer took too long, here or at QuickBooks (it cuts at 120 s).
    Timeout,
    /// A page of a firewall, a proxy or of maintenance came instead of an answer.
    Html,
    /// No server is found for the company (code 7001): for a moment, or for good.
    NoDestination,
    /// The body was empty or cut short.
    Garbled,
    /// What the answer says of its records is not what it holds.
    Contradiction,
    /// The company was asked too often.
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
            Self::Garbled => "the answer was not whole",
            Self::Contradiction => "the answer contradicts itself: it holds other records than it says",
            Self::Throttled => "QuickBooks asked to slow down",
        })
    }
}

/// Why QuickBooks refuses a company or an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Code 3100: disconnected, or keys of one environment used in the other.
    Application,
    /// Code 130: the company lives elsewhere.
    Environment,
    /// Code 140.
    CompanyLocked,
    /// Code 6190 or words to that effect.
    Subscription,
    /// Code 10200: the company was wiped; stored ids may now mean other records.
    CompanyReset,
    /// 404 for the company itself.
    UnknownCompany,
    /// Code 7001, again and again: the subscription has lapsed, or the company lives in the other environment.
    NoDestination,
    /// A redirect, which is never followed: the token must not travel to another host.
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
                "it finds no such company here: its subscription has lapsed, or it is in the other environment (code 7001)"
            }
            Self::Redirect => "it answered with a redirect, which is never followed",
        })
    }
}

/// What to do about a failed question. Every error says it; callers never look at codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The source is down or throttled: stop, try again later.
    TryLater,
    /// A person must consent again.
    Reauthorise,
    /// The company or app is refused; a person must act at Intuit or in the settings.
    Refused,
    /// Something about our own credentials; [`ErrorKind::Auth`] holds the error that knows more.
    AskAuth,
    /// Whoever keeps the budget could not be asked; [`ErrorKind::Budget`] holds the error that knows more.
    AskBudget,
    /// This part cannot be read as asked; other parts can.
    GiveUp,
    /// Ask for fewer records at once: most of them can be read.
    AskFewer,
}

impl Error {
    /// What to do next.
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
            | Self::Budget(BudgetError::UsedUp { .. }) => Advice::TryLater,
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
            "reading Invoice: given up after 6 attempts: QuickBooks failed to answer (intuit_tid 1-abc)",
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
            "reading Invoice: a web page came in place of QuickBooks' answer (HTTP 403, titled \"Access Denied\"; asked 3 \
             times) (intuit_tid 1-abc)",
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
