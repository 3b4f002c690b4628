//! One run: how far it is, or how it ended.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use raw_store::{CallBudget, PipelineProgress, RunFilter, RunId, RunProgress, RunStatus};
use serde::Deserialize;
use time::OffsetDateTime;

use crate::company::OpenCompany;
use crate::facts::{Progress, progress};
use crate::pages::answer::page;
use crate::pages::frame::{Area, Every, Frame};
use crate::pages::runs::tone::tone;
use crate::pages::trouble::{Told, nothing_page, trouble_page};
use crate::plain::Plain;
use crate::trouble::Trouble;
use crate::visit::CompanyVisit;
use crate::when::Both;

/// What the address asks for.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    /// `ask` to ask whether the run shall stop.
    stop: Option<String>,
}

/// What the page is computed from.
#[derive(Debug)]
struct Known {
    now: OffsetDateTime,
    run: RunProgress,
    budget: CallBudget,
    /// Whether a process works on the run.
    is_live: bool,
    trigger: Option<String>,
}

/// One pipeline of the run.
struct Line {
    href: String,
    name: String,
    /// The instant that was reached.
    cursor: String,
    windows: String,
    inserted: String,
    updated: String,
    unchanged: String,
    quarantined: String,
    pages: String,
    failed: u64,
}

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    frame: Frame,
    stale: Option<(Told, String)>,
    base: String,
    id: String,
    status: &'static str,
    tone: &'static str,
    begun: Both,
    ended: Option<Both>,
    range: String,
    trigger: Option<String>,
    /// Share of the windows that are closed, while the run is in progress.
    percent: Option<u64>,
    details: String,
    message: Option<Plain>,
    /// What the run waits for, and who asked it to stop.
    notes: Vec<String>,
    can_stop: bool,
    asks_to_stop: bool,
    lines: Vec<Line>,
}

pub(super) async fn show(
    visit: CompanyVisit,
    Path((_, id)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Response {
    let title = visit.visit.words().runs.title;
    let address = format!("run {id}");
    let seen = match visit.view(&address, move |open| known(id, open)).await {
        Ok(seen) => seen,
        Err(trouble) => return trouble_page(&visit, Area::Runs, title, &trouble),
    };
    let known = match &*seen.value {
        Ok(known) => known,
        Err(newest) => {
            let nearest = newest.iter().map(|run| (format!("{}/runs/{run}", visit.base()), run.to_string()));
            return nothing_page(&visit, Area::Runs, visit.visit.words().trouble.no_run, nearest.collect());
        }
    };
    let stale = Told::stale(&visit, &seen);
    let status = if stale.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    page(&visit.visit, status, &fill(&visit, known, stale, asked.stop.as_deref() == Some("ask")))
}

/// Reads a run, or the names of the newest ones if the log does not know it.
async fn known(id: String, open: Arc<OpenCompany>) -> Result<Result<Known, Vec<RunId>>, Trouble> {
    let store = &open.store;
    let id = id.parse::<RunId>().ok();
    let found = match &id {
        Some(id) => {
            let answer = store.progress(id).await?;
            answer.value.map(|run| (answer.now, run))
        }
        None => None,
    };
    let Some((now, run)) = found else {
        let newest = store.page_of_runs(&RunFilter::default(), None, 10).await?.value;
        return Ok(Err(newest.into_iter().map(|run| run.id).collect()));
    };
    let leases = store.held_leases().await?.value;
    let is_own = |name: &str| run.run.pipelines.iter().any(|one| &*one.entity_name == name);
    let is_live = run.run.status == RunStatus::Running
        && leases.iter().any(|lease| lease.entity_name.as_deref().is_some_and(is_own));
    let triggers = store.triggers().await?.0;
    let trigger = triggers.iter().find(|trigger| trigger.run.as_ref() == id.as_ref());
    let trigger = trigger.map(|trigger| trigger.asked.name.to_string());
    Ok(Ok(Known { now, budget: store.call_budget().await?.value, run, is_live, trigger }))
}

fn fill(visit: &CompanyVisit, known: &Known, stale: Option<(Told, String)>, asks_to_stop: bool) -> RunPage {
    let words = visit.visit.words();
    let run = &known.run.run;
    let is_running = run.status == RunStatus::Running;
    let sum = progress(&known.run);
    let [from, to] = [run.span.start(), run.span.end()].map(backfill_report::instant::short);
    let chunk = (words.runs.by_chunk)(&Plain::new(&run.chunk).to_string());
    let can_stop = known.is_live && known.run.stop.is_none() && !visit.visit.app.look_only;
    let every = if known.is_live { Every::Second } else { Every::HalfMinute };
    // A question stays until it is answered.
    let every = if asks_to_stop && can_stop { Every::Never } else { every };
    RunPage {
        frame: Frame::of(visit, Area::Runs, run.id.as_str(), every),
        stale,
        base: visit.base(),
        id: run.id.to_string(),
        status: if is_running && !known.is_live {
            words.today.interrupted
        } else {
            (words.state.run)(run.status)
        },
        tone: if is_running && !known.is_live { "bad" } else { tone(run.status) },
        begun: visit.when.moment(run.started_at, known.now),
        ended: run.finished_at.map(|at| visit.when.moment(at, known.now)),
        range: format!("{from} {} {to}, {chunk}", words.today.to),
        trigger: known.trigger.clone(),
        percent: is_running.then(|| sum.percent()),
        details: details(visit, known, sum),
        message: run.message.as_deref().map(Plain::new),
        notes: notes(visit, known),
        can_stop,
        asks_to_stop: asks_to_stop && can_stop,
        lines: known.run.pipelines.iter().map(|pipeline| line(visit, pipeline)).collect(),
    }
}

fn details(visit: &CompanyVisit, known: &Known, sum: Progress) -> String {
    let words = visit.visit.words();
    let run = &known.run.run;
    let end = run.finished_at.unwrap_or(known.now);
    let took = Duration::try_from(end - run.started_at).unwrap_or_default();
    let mut parts = vec![(words.state.pages)(sum.pages), (words.state.records)(sum.records)];
    if run.finished_at.is_some() {
        parts.push((words.state.calls)(run.calls));
        parts.push(visit.when.duration(took));
        if run.retries > 0 {
            parts.push((words.runs.retried)(run.retries));
        }
        let waited = Duration::try_from_secs_f64(run.waited_seconds).unwrap_or_default();
        if waited >= Duration::from_secs(1) {
            parts.push((words.runs.waited)(&visit.when.duration(waited)));
        }
    } else {
        parts.push((words.today.at_least_calls)(sum.pages));
        if let Some(pace) = (sum.records * 60).checked_div(took.as_secs()).filter(|pace| *pace > 0) {
            parts.push((words.runs.rows_per_minute)(pace));
        }
        if let Some(left) = sum.left.filter(|_| known.is_live) {
            let (least, most) = (visit.when.about(left.least), visit.when.about(left.most));
            let same = least == most;
            let w = &words.today;
            parts.push(if same { (w.time_left)(&most) } else { (w.time_left_range)(&least, &most) });
        }
    }
    format!("{}.", parts.join(", "))
}

fn notes(visit: &CompanyVisit, known: &Known) -> Vec<String> {
    let words = visit.visit.words();
    if known.run.run.status != RunStatus::Running {
        return Vec::new();
    }
    let stop = known.run.stop.as_ref().map(|stop| {
        let who = stop
            .by
            .as_deref()
            .map_or_else(|| words.runs.somebody.to_owned(), |by| Plain::new(by).to_string());
        (words.runs.asked_to_stop)(&who, &visit.when.ago(stop.at, known.now))
    });
    let clock = |at| visit.when.exact(at).first;
    let paused = known.budget.paused_until.map(|until| (words.today.paused)(&clock(until)));
    let down = known.budget.down_until.map(|until| (words.today.down)(&clock(until)));
    let interrupted = (!known.is_live).then(|| words.runs.interrupted.to_owned());
    [stop, interrupted, paused, down].into_iter().flatten().collect()
}

fn line(visit: &CompanyVisit, pipeline: &PipelineProgress) -> Line {
    let (words, language) = (visit.visit.words(), visit.visit.language());
    let totals = &pipeline.totals;
    let number = |number| language.number(number);
    let closed = totals.windows_opened.saturating_sub(pipeline.windows_left);
    let cursor = pipeline.cursor.map(|at| visit.when.day(at).to_string());
    Line {
        href: format!("{}/pipelines/{}?by={}", visit.base(), totals.entity_name, pipeline.time_axis),
        name: language.entity(&totals.entity_name),
        cursor: cursor.unwrap_or_default(),
        windows: (words.today.of)(&number(closed), &number(totals.windows_opened)),
        inserted: number(totals.counts.inserted),
        updated: number(totals.counts.updated),
        unchanged: number(totals.counts.unchanged),
        quarantined: number(totals.counts.quarantined),
        pages: number(totals.pages),
        failed: totals.windows_failed,
    }
}
