//! The page of one trigger.

use askama::Template;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use raw_store::TriggerName;
use serde::Deserialize;

use crate::facts::Due;
use crate::local_time::as_field;
use crate::pages::answer::page;
use crate::pages::frame::{Area, Every, Frame};
use crate::pages::triggers::known::{One, one};
use crate::pages::triggers::one::Shown;
use crate::pages::triggers::told::{Switch, who};
use crate::pages::trouble::{Told, nothing_page, trouble_page};
use crate::pages::typed_time::TypedTime;
use crate::plain::Plain;
use crate::visit::CompanyVisit;
use crate::when::Both;

/// What the address asks for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    /// `ask` to ask for a time before the trigger is armed again.
    on: Option<String>,
    /// The time that was typed for that.
    at: Option<String>,
    /// What became of an act that led here.
    told: Option<String>,
}

/// The question when the trigger shall fire, with what was typed.
#[derive(Clone, Debug, Default)]
pub(super) struct Question {
    at: String,
    problem: Option<String>,
    kind: &'static str,
    seen: u32,
    hint: String,
    /// The time that was understood: in both zones, how long from now, and as the button sends it.
    understood: Option<(Both, String, String)>,
    /// That the clocks show the time twice, and which of both is meant.
    twice: Option<String>,
}

#[derive(Template)]
#[template(path = "trigger.html")]
struct TriggerPage {
    frame: Frame,
    stale: Option<(Told, String)>,
    base: String,
    one: Shown,
    notice: Option<String>,
    refusal: Option<String>,
    question: Option<Question>,
}

pub(super) async fn show(
    visit: CompanyVisit,
    Path((_, name)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Response {
    let w = &visit.visit.words().triggers;
    let address = format!("trigger {name}");
    let seen = match visit.view(&address, async |open| one(&open, &name).await).await {
        Ok(seen) => seen,
        Err(trouble) => return trouble_page(&visit, Area::Triggers, w.title, &trouble),
    };
    let known = match &*seen.value {
        Ok(known) => known,
        Err(nearest) => return unknown(&visit, nearest),
    };
    let stale = Told::stale(&visit, &seen);
    let notice = match asked.told.as_deref() {
        Some("before") => known.last_arming().map(|arming| {
            (w.armed_before)(&visit.when.ago(arming.at, known.now), &who(&visit, Some(&arming)))
        }),
        Some("running") => Some(w.runs_already.to_owned()),
        _ => None,
    };
    let may_ask = matches!(Switch::new(&visit, &known.trigger, known.now), Switch::Ask | Switch::On(_));
    let at = Plain::new(asked.at.as_deref().unwrap_or_default().trim()).to_string();
    let question = (asked.on.as_deref() == Some("ask") && may_ask).then(|| Question::new(at, None));
    let status = if stale.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let template = TriggerPage { stale, notice, ..template(&visit, known, question) };
    page(&visit.visit, status, &template)
}

/// Says that there is no such trigger, and which there are.
pub(super) fn unknown(visit: &CompanyVisit, nearest: &[TriggerName]) -> Response {
    let link = |name: &TriggerName| (format!("{}/triggers/{name}", visit.base()), name.to_string());
    let nearest = nearest.iter().map(link).collect();
    nothing_page(visit, Area::Triggers, visit.visit.words().triggers.no_such, nearest)
}

/// Answers an act that was refused: why, beside what was typed.
pub(super) fn refused(
    visit: &CompanyVisit,
    known: &One,
    status: StatusCode,
    refusal: Option<String>,
    question: Option<Question>,
) -> Response {
    page(&visit.visit, status, &TriggerPage { refusal, ..template(visit, known, question) })
}

fn template(visit: &CompanyVisit, known: &One, question: Option<Question>) -> TriggerPage {
    let every = match (&question, &known.due) {
        // A question stays until it is answered.
        (Some(_), _) => Every::Never,
        (None, Due::Now | Due::Running) => Every::Second,
        (None, Due::Spent(_)) => Every::HalfMinute,
        (None, _) => Every::FiveSeconds,
    };
    let question = question.map(|question| question.answered(visit, known));
    let one = Shown::new(visit, known);
    TriggerPage {
        frame: Frame::of(visit, Area::Triggers, &one.name, every),
        stale: None,
        base: visit.base(),
        one,
        notice: None,
        refusal: None,
        question,
    }
}

impl Question {
    /// A question to which this was typed, and what is wrong with it.
    pub(super) fn new(at: String, problem: Option<String>) -> Self {
        Self { at, problem, ..Self::default() }
    }

    /// Reads what was typed, so that both times are written out before anything is armed.
    fn answered(mut self, visit: &CompanyVisit, known: &One) -> Self {
        let words = visit.visit.words();
        self.seen = known.trigger.armings;
        self.hint = (words.new.at_hint)(&visit.company.zone);
        if !self.at.is_empty() && self.problem.is_none() {
            match TypedTime::new(visit, known.now).fire_time(&self.at) {
                Ok(read) => {
                    let both = visit.when.exact(read.at);
                    let second = read.second.map(backfill_report::instant::utc);
                    self.twice = second.map(|second| (words.time.twice)(&both.first, &second));
                    let within = visit.when.until(read.at, known.now);
                    self.understood = Some((both, within, backfill_report::instant::utc(read.at)));
                }
                Err(problem) => self.problem = Some(problem),
            }
        }
        let field = as_field(&self.at);
        self.kind = if field.is_some() || self.at.is_empty() { "datetime-local" } else { "text" };
        self.at = field.unwrap_or(self.at);
        self
    }
}
