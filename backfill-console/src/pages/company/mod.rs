//! Company: the consent, the secrets, the workers and what is at work.

mod known;
mod connect;
mod secret;

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use raw_store::WorkerActivity;

use self::known::{ConsentView, Known, SecretView};
use crate::consents::ConsentProgress;
use crate::facts::is_present;
use crate::pages::answer::page;
use crate::pages::frame::{Area, Every, Frame};
use crate::pages::trouble::Told;
use crate::plain::Plain;
use crate::route::Route;
use crate::trouble::Trouble;
use crate::visit::CompanyVisit;
use crate::when::Both;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::page("/c/{profile}/company", show),
        Route::act("/c/{profile}/company/connect", connect::start),
        Route::page("/c/{profile}/company/secrets/{name}", secret::ask),
        Route::act("/c/{profile}/company/secrets/{name}", secret::replace),
        Route::open("/callback", connect::receive),
    ]
}

/// One worker.
struct WorkerLine {
    name: Plain,
    version: Plain,
    seen: String,
    does: String,
    tone: &'static str,
}

/// One pipeline or trigger that a process works on.
struct LeaseLine {
    name: String,
    holder: Plain,
    since: Both,
}

#[derive(Template)]
#[template(path = "company.html")]
struct CompanyPage {
    frame: Frame,
    base: String,
    /// Why the store cannot be read; the rest is shown all the same.
    trouble: Option<Told>,
    profile: String,
    environment: String,
    realm: Option<Plain>,
    zone: String,
    documents: bool,
    consent: ConsentView,
    secrets: SecretView,
    workers: Option<Vec<WorkerLine>>,
    leases: Vec<LeaseLine>,
}

async fn show(visit: CompanyVisit) -> Response {
    let words = visit.visit.words();
    let seen = visit.view("company", known::known).await;
    let (known, trouble) = match &seen {
        Ok(seen) => (Some(Arc::clone(&seen.value)), seen.stale.as_ref()),
        Err(trouble) => (None, Some(trouble)),
    };
    let progress = match &visit.company.consents {
        Some(consents) => consents.progress().await,
        None => ConsentProgress::Idle,
    };
    let every = match progress {
        ConsentProgress::Waiting(_) => Every::Second,
        _ => Every::FiveSeconds,
    };
    let known = known.as_deref();
    let template = CompanyPage {
        frame: Frame::of(&visit, Area::Company, words.company.title, every),
        base: visit.base(),
        trouble: trouble.map(|trouble: &Trouble| Told::new(trouble, words)),
        profile: visit.company.profile.to_string(),
        environment: visit.company.environment.to_string(),
        realm: known.and_then(|known| known.realm.as_deref()).map(Plain::new),
        zone: visit.company.zone.to_string(),
        documents: visit.visit.app.documents,
        consent: ConsentView::new(&visit, progress).await,
        secrets: SecretView::new(&visit).await,
        workers: known.map(|known| workers(&visit, known)),
        leases: known.map_or_else(Vec::new, |known| leases(&visit, known)),
    };
    let status = if template.trouble.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    page(&visit.visit, status, &template)
}

fn workers(visit: &CompanyVisit, known: &Known) -> Vec<WorkerLine> {
    let w = &visit.visit.words().company;
    let line = |worker: &raw_store::WorkerRecord| {
        let is_alive = is_present(worker, known.now);
        let has_ended = worker.activity == WorkerActivity::Ended;
        let (does, tone) = match (has_ended, is_alive) {
            (true, _) => ((w.activity)(worker.activity).to_owned(), ""),
            (false, false) => (w.gone.to_owned(), "bad"),
            (false, true) => {
                let names: Vec<_> = worker.running.iter().map(ToString::to_string).collect();
                let does = (w.activity)(worker.activity);
                (
                    if names.is_empty() { does.to_owned() } else { format!("{does} {}", names.join(", ")) },
                    "good",
                )
            }
        };
        WorkerLine {
            name: Plain::new(&worker.worker),
            version: Plain::new(&worker.version),
            seen: visit.when.ago(worker.seen_at, known.now),
            does,
            tone,
        }
    };
    known.workers.iter().map(line).collect()
}

fn leases(visit: &CompanyVisit, known: &Known) -> Vec<LeaseLine> {
    let language = visit.visit.language();
    let line = |lease: &raw_store::HeldLease| {
        let pipeline = lease.entity_name.as_deref().map(|name| language.entity(name));
        let trigger = || lease.trigger.as_ref().map(ToString::to_string).unwrap_or_default();
        LeaseLine {
            name: pipeline.unwrap_or_else(trigger),
            holder: Plain::new(&lease.holder),
            since: visit.when.moment(lease.since, known.now),
        }
    };
    known.leases.iter().map(line).collect()
}
