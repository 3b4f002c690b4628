//! Pages that say why there is nothing to show.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use crate::pages::answer::page;
use crate::pages::frame::{Area, Every, Frame};
use crate::plain::Plain;
use crate::trouble::Trouble;
use crate::views::Seen;
use crate::visit::{CompanyVisit, Visit};
use crate::words::Words;

/// A trouble in two sentences, and the program's own message if the sentences are ours.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) what: Plain,
    pub(crate) next: Plain,
    /// Whether these sentences are the program's own, which are English.
    pub(crate) is_english: bool,
    pub(crate) original: Option<Plain>,
}

impl Told {
    /// Why a page shows an earlier state, and how old that is.
    pub(crate) fn stale<T>(visit: &CompanyVisit, seen: &Seen<T>) -> Option<(Self, String)> {
        let words = visit.visit.words();
        let age = visit.when.since(seen.age);
        let trouble = seen.stale.as_ref()?;
        Some((Self::new(trouble, words), (words.trouble.last_known)(&age)))
    }

    pub(crate) fn new(trouble: &Trouble, words: &Words) -> Self {
        let w = &words.trouble;
        let own = |what: &str, next: &str, original: Option<&str>| Self {
            what: what.into(),
            next: next.into(),
            is_english: false,
            original: original.map(Plain::new),
        };
        match trouble {
            Trouble::Closed(problem) => Self { is_english: true, ..own(&problem.what, &problem.next, None) },
            Trouble::Store { what, advice } => own(w.database_away, (w.next)(*advice), Some(what)),
            Trouble::Slow => own(w.slow, w.next_slow, None),
        }
    }
}

#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage {
    frame: Frame,
    told: Told,
}

/// The page of a company that cannot be shown.
pub(crate) fn trouble_page(visit: &CompanyVisit, area: Area, title: &str, trouble: &Trouble) -> Response {
    let frame = Frame::of(visit, area, title, Every::FiveSeconds);
    let told = Told::new(trouble, visit.visit.words());
    page(&visit.visit, StatusCode::SERVICE_UNAVAILABLE, &TroublePage { frame, told })
}

/// Says that the answer to a page or an act takes too long.
pub(crate) fn too_slow(visit: &Visit, is_act: bool) -> Response {
    let w = &visit.words().trouble;
    let told = Told::new(&Trouble::Slow, visit.words());
    let told = if is_act { Told { next: w.next_slow_act.into(), ..told } } else { told };
    let every = if is_act { Every::Never } else { Every::FiveSeconds };
    let frame = Frame { every: every.seconds(), ..Frame::new(visit, w.slow) };
    page(visit, StatusCode::GATEWAY_TIMEOUT, &TroublePage { frame, told })
}

#[derive(Template)]
#[template(path = "nothing.html")]
struct NothingPage {
    frame: Frame,
    what: &'static str,
    /// Addresses that exist, with their names.
    nearest: Vec<(String, String)>,
}

/// Says that something of a company does not exist, and what does.
pub(crate) fn nothing_page(
    visit: &CompanyVisit,
    area: Area,
    what: &'static str,
    nearest: Vec<(String, String)>,
) -> Response {
    let frame = Frame::of(visit, area, what, Every::Never);
    page(&visit.visit, StatusCode::NOT_FOUND, &NothingPage { frame, what, nearest })
}

/// The answer for addresses that no route has.
pub(crate) async fn not_found(visit: Visit) -> Response {
    let what = visit.words().trouble.not_found;
    let frame = Frame::new(&visit, what);
    page(&visit, StatusCode::NOT_FOUND, &NothingPage { frame, what, nearest: Vec::new() })
}
