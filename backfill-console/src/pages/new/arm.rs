//! Arms what the preview showed.

use axum::extract::RawForm;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};
use raw_store::{StoreErrorKind, Trigger, TriggerName, TriggerState};

use crate::company::OpenCompany;
use crate::pages::frame::Area;
use crate::pages::new::beside::Beside;
use crate::pages::new::planned::{Planned, planned};
use crate::pages::new::preview::Ready;
use crate::pages::new::shown::answer;
use crate::pages::new::triggers::is_same;
use crate::pages::new::typed::Typed;
use crate::pages::trouble::trouble_page;
use crate::record::{Act, record};
use crate::trouble::Trouble;
use crate::visit::CompanyVisit;

/// What became of the button.
enum Armed {
    Now,
    /// The same was armed before, such as by the first of two presses.
    Before,
    /// Another trigger or chain has the name.
    NameTaken,
}

/// Arms what the form asks for, and leads to it. A form that was changed since its preview is shown again, and one that cannot
/// be understood has a sentence beside each field; nothing is armed then.
pub(super) async fn arm(visit: CompanyVisit, RawForm(form): RawForm) -> Response {
    match try_arm(&visit, Typed::read(&form)).await {
        Ok(response) => response,
        Err(trouble) => trouble_page(&visit, Area::Elsewhere, visit.visit.words().new.title, &trouble),
    }
}

async fn try_arm(visit: &CompanyVisit, typed: Typed) -> Result<Response, Trouble> {
    let w = &visit.visit.words().new;
    let seen = typed.seen.clone();
    let planned = planned(visit, typed).await?;
    let ready = match &planned.ready {
        Ok(ready) => ready,
        Err(beside) => {
            let why = format!("these fields could not be used: {}", beside.fields().join(", "));
            refused(visit, None, why).await?;
            return Ok(answer(visit, StatusCode::UNPROCESSABLE_ENTITY, planned, Some(w.not_armed)));
        }
    };
    if !seen.is_empty() && seen != planned.typed.digest() {
        return Ok(answer(visit, StatusCode::CONFLICT, planned, Some(w.changed)));
    }
    match add(visit, ready).await? {
        Armed::Now => Ok(lead_to(visit, ready, false)),
        Armed::Before => Ok(lead_to(visit, ready, true)),
        Armed::NameTaken => {
            let why = format!("the name {} is taken", ready.name);
            refused(visit, Some(ready.name.clone()), why).await?;
            let sentence = (w.name_taken)(ready.name.as_str());
            let beside = Beside { name: Some(sentence), ..Beside::default() };
            let typed = Typed { made: String::new(), ..planned.typed };
            let planned = Planned { typed, ready: Err(Box::new(beside)) };
            Ok(answer(visit, StatusCode::CONFLICT, planned, Some(w.not_armed)))
        }
    }
}

/// Arms the triggers: all of them or none.
async fn add(visit: &CompanyVisit, ready: &Ready) -> Result<Armed, Trouble> {
    let open = visit.company.store.open().await?;
    let added = open.store.add(&ready.triggers, &visit.visit.who()).await;
    visit.visit.app.views.refresh();
    match added {
        Ok(()) => Ok(Armed::Now),
        Err(error)
            if matches!(error.kind, StoreErrorKind::TriggerExists(_) | StoreErrorKind::ChainExists(_)) =>
        {
            let stored = open.store.triggers().await?.0;
            let is_there = |new: &raw_store::NewTrigger| {
                let own = stored.iter().find(|one| one.asked.name == new.name);
                own.is_some_and(|one| is_same(one, new, ready.asked.is_now))
            };
            if !ready.triggers.iter().all(is_there) {
                return Ok(Armed::NameTaken);
            }
            again(visit, &open, ready, &stored).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Arms what is there: once more if it was to run now and has ended without reading what it should.
async fn again(
    visit: &CompanyVisit,
    open: &OpenCompany,
    ready: &Ready,
    stored: &[Trigger],
) -> Result<Armed, Trouble> {
    let has_failed = |one: &&Trigger| {
        matches!(one.state, TriggerState::Cancelled | TriggerState::Failed | TriggerState::Expired)
    };
    let [new] = &*ready.triggers else { return Ok(Armed::Before) };
    let spent = stored.iter().find(|one| one.asked.name == new.name).filter(has_failed);
    let Some(spent) = spent.filter(|_| ready.asked.is_now && new.link.is_none()) else {
        return Ok(Armed::Before);
    };
    match open.store.rearm(&new.name, new.fire_at, Some(spent.armings), &visit.visit.who()).await {
        Ok(_) => Ok(Armed::Now),
        // Another person has done it meanwhile.
        Err(error)
            if matches!(
                error.kind,
                StoreErrorKind::TriggerChanged { .. } | StoreErrorKind::TriggerState { .. }
            ) =>
        {
            Ok(Armed::Before)
        }
        Err(error) => Err(error.into()),
    }
}

/// Leads to the trigger, or to the list of the chain's parts.
fn lead_to(visit: &CompanyVisit, ready: &Ready, was_before: bool) -> Response {
    let (base, name) = (visit.base(), &ready.name);
    let told = if was_before { "told=before" } else { "" };
    let address = match &*ready.triggers {
        [one] if one.link.is_none() && was_before => format!("{base}/triggers/{name}?{told}"),
        [one] if one.link.is_none() => format!("{base}/triggers/{name}"),
        _ => format!("{base}/triggers?name={name}.&{told}"),
    };
    (StatusCode::SEE_OTHER, [(LOCATION, address.trim_end_matches('&').to_owned())]).into_response()
}

/// Records that a person was refused.
async fn refused(visit: &CompanyVisit, trigger: Option<TriggerName>, why: String) -> Result<(), Trouble> {
    let open = visit.company.store.open().await?;
    let act = Act { event: "arming refused", trigger, detail: Some(why), is_refused: true, ..Act::default() };
    record(visit, &open, act).await
}
