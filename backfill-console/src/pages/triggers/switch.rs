//! Switches a trigger off and on.

use axum::Form;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};
use raw_store::{StoreErrorKind, TriggerName, TriggerState};
use serde::Deserialize;
use time::{Duration, OffsetDateTime};

use crate::company::OpenCompany;
use crate::pages::frame::Area;
use crate::pages::triggers::known::{One, one};
use crate::pages::triggers::shown::{Question, refused, unknown};
use crate::pages::triggers::told::who;
use crate::pages::trouble::trouble_page;
use crate::pages::typed_time::TypedTime;
use crate::plain::Plain;
use crate::record::{Act, record};
use crate::trouble::Trouble;
use crate::visit::CompanyVisit;

/// What the form of a switch sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sent {
    /// How often the trigger had been armed when the page was shown.
    seen: String,
    /// `same` for the time that it has, `now`, or `at` for the time that was typed.
    when: String,
    at: String,
    /// `list` to go back to the list.
    back: String,
}

/// Switches a trigger off. One that is off stays so, and one whose run has begun is left to the page that stops runs.
pub(super) async fn off(
    visit: CompanyVisit,
    Path((_, name)): Path<(String, String)>,
    Form(sent): Form<Sent>,
) -> Response {
    match switch_off(&visit, &name, &sent).await {
        Ok(response) => response,
        Err(trouble) => trouble_page(&visit, Area::Triggers, visit.visit.words().triggers.title, &trouble),
    }
}

async fn switch_off(visit: &CompanyVisit, name: &str, sent: &Sent) -> Result<Response, Trouble> {
    let open = visit.company.store.open().await?;
    let known = match one(&open, name).await? {
        Ok(known) => known,
        Err(nearest) => return Ok(unknown(visit, &nearest)),
    };
    let own = &known.trigger.asked.name;
    match known.trigger.state {
        TriggerState::Armed => {
            let cancelled = open.store.cancel(own, &visit.visit.who()).await;
            visit.visit.app.views.refresh();
            match cancelled {
                Ok(_) => {}
                // It has ended meanwhile, so it is off.
                Err(error) if matches!(error.kind, StoreErrorKind::TriggerState { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            Ok(back(visit, own, sent, ""))
        }
        TriggerState::Running => {
            note_refusal(visit, &open, own, "switching off refused", "its run has begun").await?;
            Ok(back(visit, own, &Sent::default(), "?told=running"))
        }
        _ => Ok(back(visit, own, sent, "")),
    }
}

/// Arms a trigger again, unless it was armed since the page was shown.
pub(super) async fn on(
    visit: CompanyVisit,
    Path((_, name)): Path<(String, String)>,
    Form(sent): Form<Sent>,
) -> Response {
    match switch_on(&visit, &name, &sent).await {
        Ok(response) => response,
        Err(trouble) => trouble_page(&visit, Area::Triggers, visit.visit.words().triggers.title, &trouble),
    }
}

async fn switch_on(visit: &CompanyVisit, name: &str, sent: &Sent) -> Result<Response, Trouble> {
    let open = visit.company.store.open().await?;
    let known = match one(&open, name).await? {
        Ok(known) => known,
        Err(nearest) => return Ok(unknown(visit, &nearest)),
    };
    let own = known.trigger.asked.name.clone();
    // A form without the number is one that nobody was shown.
    let seen: u32 = sent.seen.parse().unwrap_or_default();
    if known.trigger.armings != seen || !known.trigger.state.is_spent() {
        return was_changed(visit, &open, &known, sent, seen).await;
    }
    let fire_at = match fire_at(visit, &known, sent) {
        Ok(fire_at) => fire_at,
        Err(problem) => {
            let question = Question::new(Plain::new(sent.at.trim()).to_string(), Some(problem));
            let why = "the time could not be used";
            note_refusal(visit, &open, &own, "arming again refused", why).await?;
            return Ok(refused(visit, &known, StatusCode::UNPROCESSABLE_ENTITY, None, Some(question)));
        }
    };
    let armed = open.store.rearm(&own, fire_at, Some(seen), &visit.visit.who()).await;
    visit.visit.app.views.refresh();
    match armed {
        Ok(_) => Ok(back(visit, &own, sent, "")),
        Err(error)
            if matches!(
                error.kind,
                StoreErrorKind::TriggerChanged { .. } | StoreErrorKind::TriggerState { .. }
            ) =>
        {
            match one(&open, name).await? {
                Ok(known) => was_changed(visit, &open, &known, sent, seen).await,
                Err(nearest) => Ok(unknown(visit, &nearest)),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Answers for a trigger that is not as the page showed it: the second of two presses lands on the first one's page, and what
/// another person did meanwhile is told.
async fn was_changed(
    visit: &CompanyVisit,
    open: &OpenCompany,
    known: &One,
    sent: &Sent,
    seen: u32,
) -> Result<Response, Trouble> {
    let w = &visit.visit.words().triggers;
    let own = &known.trigger.asked.name;
    let arming = known.last_arming();
    let by_self = arming.as_ref().and_then(|arming| arming.by.as_deref()) == Some(&*visit.visit.who());
    let is_second_press = by_self && known.trigger.armings == seen.saturating_add(1);
    let is_on = known.trigger.armings == seen && !known.trigger.state.is_spent();
    if is_second_press || is_on {
        return Ok(back(visit, own, sent, "?told=before"));
    }
    note_refusal(visit, open, own, "arming again refused", "it was armed since the page was shown").await?;
    let when = arming.as_ref().map(|arming| visit.when.ago(arming.at, known.now)).unwrap_or_default();
    let sentence = (w.changed)(&who(visit, arming.as_ref()), &when);
    Ok(refused(visit, known, StatusCode::CONFLICT, Some(sentence), None))
}

/// The time at which the trigger shall fire, or what is wrong with what was sent.
fn fire_at(visit: &CompanyVisit, known: &One, sent: &Sent) -> Result<OffsetDateTime, String> {
    let words = visit.visit.words();
    match &*sent.when {
        "now" => Ok(known.now),
        "at" => TypedTime::new(visit, known.now).fire_time(sent.at.trim()).map(|read| read.at),
        "same" if known.trigger.asked.fire_at > known.now - Duration::MINUTE => {
            Ok(known.trigger.asked.fire_at)
        }
        "same" => Err(words.triggers.time_passed.to_owned()),
        _ => Err(words.new.wrong_when.to_owned()),
    }
}

/// Leads back to where the switch stands.
fn back(visit: &CompanyVisit, name: &TriggerName, sent: &Sent, told: &str) -> Response {
    let base = visit.base();
    let address = match &*sent.back {
        "list" => format!("{base}/triggers"),
        _ => format!("{base}/triggers/{name}{told}"),
    };
    (StatusCode::SEE_OTHER, [(LOCATION, address)]).into_response()
}

async fn note_refusal(
    visit: &CompanyVisit,
    open: &OpenCompany,
    name: &TriggerName,
    event: &str,
    why: &str,
) -> Result<(), Trouble> {
    let (trigger, detail) = (Some(name.clone()), Some(why.to_owned()));
    record(visit, open, Act { event, trigger, detail, is_refused: true, ..Act::default() }).await
}
