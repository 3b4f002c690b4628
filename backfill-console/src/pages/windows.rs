//! The windows of the log as a table.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use raw_store::{AsOf, LineFilter, LineKey, LogLine, Window, WindowState};
use serde::Deserialize;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime};

use crate::pages::answer::page;
use crate::pages::choice::{Choice, entities};
use crate::pages::coverage::tone;
use crate::pages::frame::{Area, Every, Frame};
use crate::pages::trouble::{Told, trouble_page};
use crate::plain::Plain;
use crate::route::Route;
use crate::visit::CompanyVisit;
use crate::when::Both;

/// Windows on one page.
const PAGE: u32 = 100;

const STATES: [WindowState; 6] = [
    WindowState::Failed,
    WindowState::Pending,
    WindowState::Running,
    WindowState::Provisional,
    WindowState::Completed,
    WindowState::Unavailable,
];

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::page("/c/{profile}/windows", show)]
}

/// What the address asks for. A value that makes no sense is left out.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    entity: Option<String>,
    state: Option<String>,
    proof: Option<String>,
    run: Option<String>,
    from: Option<String>,
    to: Option<String>,
    after: Option<String>,
}

/// One window.
struct Line {
    name: String,
    /// The day's panel on the coverage page.
    href: String,
    /// Said if it is not the usual one.
    axis: Option<&'static str>,
    /// In UTC, and in the company's own zone.
    window: (String, String),
    state: &'static str,
    tone: &'static str,
    records: String,
    attempts: u32,
    counted: Option<Both>,
    read: Option<Both>,
    run: Option<(String, String)>,
    why: Option<Plain>,
}

#[derive(Template)]
#[template(path = "windows.html")]
struct WindowsPage {
    frame: Frame,
    stale: Option<(Told, String)>,
    entities: Vec<Choice>,
    states: Vec<Choice>,
    only_unconfirmed: bool,
    run: String,
    from: String,
    to: String,
    is_first: bool,
    lines: Vec<Line>,
    first: String,
    next: Option<String>,
}

async fn show(visit: CompanyVisit, Query(asked): Query<Asked>) -> Response {
    let words = visit.visit.words();
    let title = words.runs.windows_title;
    let filter = asked.filter();
    let after = asked.after.as_deref().and_then(read_key);
    let address = format!("windows {filter:?} {after:?}");
    let (own, place) = (filter.clone(), after.clone());
    let read = visit
        .view(&address, async move |open| Ok(open.store.page_of_lines(&own, place.as_ref(), PAGE).await?));
    let seen = match read.await {
        Ok(seen) => seen,
        Err(trouble) => return trouble_page(&visit, Area::Coverage, title, &trouble),
    };
    let AsOf { now, value: lines }: &AsOf<Vec<LogLine>> = &seen.value;
    let is_full = lines.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
    let kept = asked.kept();
    let next = lines.last().filter(|_| is_full).map(|line| format!("?{kept}&after={}", write_key(line)));
    let stale = Told::stale(&visit, &seen);
    let status = if stale.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let template = WindowsPage {
        frame: Frame::of(&visit, Area::Coverage, title, Every::HalfMinute),
        stale,
        entities: entities(&visit, asked.entity.as_deref()),
        states: states(&visit, filter.state),
        only_unconfirmed: filter.unconfirmed,
        run: filter.run.as_ref().map(ToString::to_string).unwrap_or_default(),
        from: Plain::new(asked.from.as_deref().unwrap_or_default()).to_string(),
        to: Plain::new(asked.to.as_deref().unwrap_or_default()).to_string(),
        is_first: after.is_none(),
        lines: lines.iter().map(|one| line(&visit, one, *now)).collect(),
        first: format!("?{kept}"),
        next,
    };
    page(&visit.visit, status, &template)
}

impl Asked {
    fn filter(&self) -> LineFilter {
        let text = |field: &Option<String>| field.as_deref().filter(|text| !text.is_empty()).map(Box::from);
        let from = self.from.as_deref().and_then(instant);
        let to = self.to.as_deref().and_then(instant);
        let start = from.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let end = to.or_else(|| from.and_then(|from| from.checked_add(Duration::days(36_500))));
        LineFilter {
            entity_name: text(&self.entity),
            time_axis: None,
            state: self.state.as_deref().and_then(|word| word.parse().ok()),
            unconfirmed: self.proof.as_deref() == Some("missing"),
            run: self.run.as_deref().and_then(|run| run.parse().ok()),
            span: end.and_then(|end| Window::new(start, end).ok()),
        }
    }

    /// The part of the address that stays from page to page.
    fn kept(&self) -> String {
        let fields = [
            ("entity", &self.entity),
            ("state", &self.state),
            ("proof", &self.proof),
            ("run", &self.run),
            ("from", &self.from),
            ("to", &self.to),
        ];
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in fields {
            if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }
}

/// An instant, or the beginning of a day of UTC.
fn instant(text: &str) -> Option<OffsetDateTime> {
    let day = || Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
    OffsetDateTime::parse(text, &Rfc3339).ok().or_else(|| Some(day()?.midnight().assume_utc()))
}

fn write_key(line: &LogLine) -> String {
    let [start, end] = [line.window.start(), line.window.end()].map(OffsetDateTime::unix_timestamp_nanos);
    let key = format!("{start}.{end}.{}.{}", line.time_axis, line.entity_name);
    url::form_urlencoded::byte_serialize(key.as_bytes()).collect()
}

fn read_key(text: &str) -> Option<LineKey> {
    let mut parts = text.splitn(4, '.');
    let mut next = || OffsetDateTime::from_unix_timestamp_nanos(parts.next()?.parse().ok()?).ok();
    let window = Window::new(next()?, next()?).ok()?;
    Some(LineKey { window, time_axis: parts.next()?.into(), entity_name: parts.next()?.into() })
}

fn states(visit: &CompanyVisit, chosen: Option<WindowState>) -> Vec<Choice> {
    let words = visit.visit.words();
    let choice = |state: WindowState| Choice {
        value: state.as_str().to_owned(),
        text: (words.state.window)(state).to_owned(),
        is_chosen: chosen == Some(state),
    };
    STATES.into_iter().map(choice).collect()
}

fn line(visit: &CompanyVisit, line: &LogLine, now: OffsetDateTime) -> Line {
    let (words, language) = (visit.visit.words(), visit.visit.language());
    let moment = |at| visit.when.moment(at, now);
    let (entity, axis) = (&line.entity_name, &line.time_axis);
    let start = line.window.start();
    let length: Duration = line.window.end() - start;
    let middle: OffsetDateTime = start + length.min(Duration::DAY) / 2;
    let day = middle.date();
    Line {
        name: language.entity(entity),
        href: format!("{}/pipelines/{entity}?by={axis}&day={day}#day", visit.base()),
        axis: (&**axis != "updated").then(|| (words.state.axis)(axis)),
        window: visit.when.window(line.window),
        state: (words.state.window)(line.state),
        tone: tone(line.state),
        records: language.number(line.metrics.records_read),
        attempts: line.attempts,
        counted: line.counted_at.map(moment),
        read: line.finished_at.map(moment),
        run: line.run.as_ref().map(|run| (format!("{}/runs/{run}", visit.base()), run.to_string())),
        why: line.error_message.as_deref().map(Plain::new),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn an_address_names_a_span_by_days_or_instants() {
        let asked = |from: &str, to: &str| {
            let (from, to) = (Some(from.to_owned()), Some(to.to_owned()));
            Asked { from, to, ..Asked::default() }.filter().span
        };
        let (start, end) = (datetime!(2026-01-01 0:00 UTC), datetime!(2026-02-01 5:00 UTC));
        assert_eq!(asked("2026-01-01", "2026-02-01T05:00:00Z"), Window::new(start, end).ok());
        assert_eq!(asked("2026-02-01", "2026-01-01"), None);
        assert_eq!(asked("x", "y"), None);
    }

    #[test]
    fn the_place_in_the_log_survives_its_way_through_an_address() {
        let key = "0.86400000000000.updated.invoices";
        let read = read_key(key).unwrap();
        assert_eq!((&*read.time_axis, &*read.entity_name), ("updated", "invoices"));
        assert_eq!(read.window.end() - read.window.start(), Duration::DAY);
        assert_eq!(read_key("x"), None);
    }
}
