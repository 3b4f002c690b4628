//! What stands around every page: the bar above it and the line below it.

use crate::assets::AssetPaths;
use crate::visit::{CompanyVisit, Visit};
use crate::when::Both;
use crate::words::{Language, Words};

/// The entry of the bar that a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Area {
    Today,
    Coverage,
    Triggers,
    Runs,
    Log,
    /// The search box leads to them.
    Records,
    Company,
    /// Pages that the bar does not lead to.
    Elsewhere,
}

/// How a page keeps itself up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Every {
    /// Something runs.
    Second,
    /// Something is about to happen.
    FiveSeconds,
    /// Nothing happens now.
    HalfMinute,
    /// The page has a form, or does not change.
    Never,
}

impl Every {
    /// Seconds between two looks; 0 for a page that is not fetched again.
    pub(crate) fn seconds(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::FiveSeconds => 5,
            Self::HalfMinute => 30,
            Self::Never => 0,
        }
    }
}

/// An entry of the bar.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) href: String,
    pub(crate) text: &'static str,
    pub(crate) is_current: bool,
    /// The key that opens it.
    pub(crate) key: &'static str,
}

/// What the bar says about the company.
#[derive(Clone, Debug)]
pub(crate) struct Where {
    pub(crate) profile: String,
    pub(crate) environment: String,
    pub(crate) href: String,
    pub(crate) clock: Both,
    /// The address with which the two times change places.
    pub(crate) swap: String,
    pub(crate) entries: Vec<Entry>,
    pub(crate) new_run: String,
    pub(crate) records: String,
}

/// What stands around every page.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) w: &'static Words,
    pub(crate) language: Language,
    pub(crate) title: String,
    pub(crate) assets: AssetPaths,
    pub(crate) every: u32,
    pub(crate) company: Option<Where>,
    /// Who looks, and until when; empty on pages for which nobody signs in.
    pub(crate) person: String,
    pub(crate) session: Option<String>,
    pub(crate) look_only: bool,
    pub(crate) fetched: String,
    /// The address of this page in the other language, and what that language calls itself.
    pub(crate) other_language: (String, &'static str, &'static str),
    pub(crate) version: &'static str,
}

impl Frame {
    /// The frame of a page that belongs to no company.
    pub(crate) fn new(visit: &Visit, title: &str) -> Self {
        let (w, language) = (visit.words(), visit.language());
        let when = visit.when("UTC");
        let (code, name) = language.other();
        let session = visit.session.as_ref();
        let until = session.and_then(|session| session.until);
        Self {
            w,
            language,
            title: format!("{title} · qbo-backfill"),
            assets: AssetPaths::new(),
            every: 0,
            company: None,
            person: session.map_or_else(String::new, |session| session.name.to_string()),
            session: until.map(|until| (w.frame.session_until)(&when.clock(until))),
            look_only: visit.app.look_only,
            fetched: when.clock(visit.now() - visit.age()),
            other_language: (with_choice(&visit.address, "lang", code), code, name),
            version: visit.app.version,
        }
    }

    /// The frame of a page of a company.
    pub(crate) fn of(page: &CompanyVisit, area: Area, title: &str, every: Every) -> Self {
        let CompanyVisit { visit, company, when } = page;
        let (w, base) = (&visit.words().frame, page.base());
        let entry = |text, path: &str, own, key| Entry {
            href: format!("{base}{path}"),
            text,
            is_current: area == own,
            key,
        };
        let entries = vec![
            entry(w.today, "/", Area::Today, ""),
            entry(w.coverage, "/pipelines", Area::Coverage, ""),
            entry(w.triggers, "/triggers", Area::Triggers, "t"),
            entry(w.runs, "/runs", Area::Runs, "r"),
            entry(w.log, "/log", Area::Log, "l"),
        ];
        let swapped = if visit.preferences.utc_first { "own" } else { "utc" };
        let place = Where {
            profile: company.profile.to_string(),
            environment: company.environment.to_string(),
            href: format!("{base}/company"),
            clock: when.moment(visit.now(), visit.now()),
            swap: with_choice(&visit.address, "zone", swapped),
            entries,
            new_run: format!("{base}/new"),
            records: format!("{base}/records"),
        };
        let until = visit.session.as_ref().and_then(|session| session.until);
        Self {
            company: Some(place),
            every: every.seconds(),
            session: until.map(|until| (w.session_until)(&when.clock(until))),
            fetched: when.clock(visit.now() - visit.age()),
            ..Self::new(visit, &format!("{title} · {}", company.profile))
        }
    }
}

/// An address with one more choice in its query.
fn with_choice(address: &str, name: &str, value: &str) -> String {
    let separator = if address.contains('?') { '&' } else { '?' };
    format!("{address}{separator}{name}={value}")
}
