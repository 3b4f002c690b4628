//! The list of runs, the newest first.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use raw_store::{AsOf, RunFilter, RunKey, RunRecord, RunStatus};
use serde::Deserialize;
use time::OffsetDateTime;

use crate::pages::answer::page;
use crate::pages::choice::{Choice, entities};
use crate::pages::frame::{Area, Every, Frame};
use crate::pages::runs::tone::tone;
use crate::pages::trouble::{Told, trouble_page};
use crate::plain::Plain;
use crate::visit::CompanyVisit;
use crate::when::Both;

/// Runs on one page.
const PAGE: u32 = 100;

/// The most names before the rest is only counted.
const NAMES: usize = 3;

/// What the address asks for. A value that makes no sense is left out.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    status: Option<String>,
    entity: Option<String>,
    before: Option<String>,
}

/// One run.
struct Line {
    href: String,
    id: String,
    status: &'static str,
    tone: &'static str,
    begun: Both,
    took: String,
    range: String,
    entities: String,
    windows: String,
    records: String,
    calls: String,
    message: Option<Plain>,
}

#[derive(Template)]
#[template(path = "runs.html")]
struct RunsPage {
    frame: Frame,
    stale: Option<(Told, String)>,
    base: String,
    statuses: Vec<Choice>,
    entities: Vec<Choice>,
    is_filtered: bool,
    is_first: bool,
    lines: Vec<Line>,
    earlier: Option<String>,
}

pub(super) async fn show(visit: CompanyVisit, Query(asked): Query<Asked>) -> Response {
    let words = visit.visit.words();
    let title = words.runs.title;
    let status = asked.status.as_deref().and_then(|word| ALL.into_iter().find(|one| one.as_str() == word));
    let filter = RunFilter {
        status,
        entity_name: asked.entity.as_deref().filter(|name| !name.is_empty()).map(Box::from),
    };
    let before = asked.before.as_deref().and_then(read_key);
    let address = format!("runs {filter:?} {before:?}");
    let (own, place) = (filter.clone(), before.clone());
    let read = visit
        .view(&address, async move |open| Ok(open.store.page_of_runs(&own, place.as_ref(), PAGE).await?));
    let seen = match read.await {
        Ok(seen) => seen,
        Err(trouble) => return trouble_page(&visit, Area::Runs, title, &trouble),
    };
    let AsOf { now, value: runs }: &AsOf<Vec<RunRecord>> = &seen.value;
    let is_full = runs.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
    let kept = kept(&filter);
    let earlier = runs.last().filter(|_| is_full).map(|run| format!("?{kept}before={}", write_key(run)));
    let is_running = runs.iter().any(|run| run.status == RunStatus::Running);
    let stale = Told::stale(&visit, &seen);
    let template = RunsPage {
        frame: Frame::of(
            &visit,
            Area::Runs,
            title,
            if is_running { Every::FiveSeconds } else { Every::HalfMinute },
        ),
        base: visit.base(),
        statuses: statuses(&visit, filter.status),
        entities: entities(&visit, filter.entity_name.as_deref()),
        is_filtered: filter != RunFilter::default(),
        is_first: before.is_none(),
        lines: runs.iter().map(|run| line(&visit, run, *now)).collect(),
        earlier,
        stale,
    };
    let status = if template.stale.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    page(&visit.visit, status, &template)
}

const ALL: [RunStatus; 5] =
    [RunStatus::Running, RunStatus::Completed, RunStatus::Incomplete, RunStatus::Failed, RunStatus::Stopped];

fn statuses(visit: &CompanyVisit, chosen: Option<RunStatus>) -> Vec<Choice> {
    let words = visit.visit.words();
    let choice = |status: RunStatus| Choice {
        value: status.as_str().to_owned(),
        text: (words.state.run)(status).to_owned(),
        is_chosen: chosen == Some(status),
    };
    ALL.into_iter().map(choice).collect()
}

/// The part of the address that stays from page to page.
fn kept(filter: &RunFilter) -> String {
    let status = filter.status.map_or_else(String::new, |status| format!("status={}&", status.as_str()));
    let entity = filter.entity_name.as_deref().map_or_else(String::new, |name| {
        let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        format!("entity={name}&")
    });
    format!("{status}{entity}")
}

fn write_key(run: &RunRecord) -> String {
    format!("{}.{}", run.started_at.unix_timestamp_nanos(), run.id)
}

fn read_key(text: &str) -> Option<RunKey> {
    let (nanos, id) = text.split_once('.')?;
    let started_at = OffsetDateTime::from_unix_timestamp_nanos(nanos.parse().ok()?).ok()?;
    Some(RunKey { started_at, id: id.parse().ok()? })
}

fn line(visit: &CompanyVisit, run: &RunRecord, now: OffsetDateTime) -> Line {
    let (words, language) = (visit.visit.words(), visit.visit.language());
    let (opened, closed, records) = run.pipelines.iter().fold((0, 0, 0), |(opened, closed, records), one| {
        let done = one.windows_completed + one.windows_provisional + one.windows_unavailable;
        (opened + one.windows_opened, closed + done, records + one.counts.read())
    });
    let names: Vec<_> =
        run.pipelines.iter().take(NAMES).map(|one| language.entity(&one.entity_name)).collect();
    let rest = u64::try_from(run.pipelines.len().saturating_sub(NAMES)).unwrap_or_default();
    let more = (rest > 0).then(|| (words.today.and_more)(rest));
    let [from, to] = [run.span.start(), run.span.end()].map(backfill_report::instant::short);
    let took = std::time::Duration::try_from(run.finished_at.unwrap_or(now) - run.started_at);
    Line {
        href: format!("{}/runs/{}", visit.base(), run.id),
        id: run.id.to_string(),
        status: (words.state.run)(run.status),
        tone: tone(run.status),
        begun: visit.when.moment(run.started_at, now),
        took: visit.when.duration(took.unwrap_or_default()),
        range: format!(
            "{from} {} {to}, {}",
            words.today.to,
            (words.runs.by_chunk)(&Plain::new(&run.chunk).to_string())
        ),
        entities: names.into_iter().chain(more).collect::<Vec<_>>().join(", "),
        windows: (words.today.of)(&language.number(closed), &language.number(opened)),
        records: language.number(records),
        calls: if run.finished_at.is_some() { language.number(run.calls) } else { "…".to_owned() },
        message: run.message.as_deref().map(Plain::new),
    }
}
