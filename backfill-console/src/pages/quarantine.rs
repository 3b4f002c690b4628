//! The quarantine: what could not become a row, and why, without its bytes.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use raw_store::{AsOf, QuarantineFilter, QuarantineKey, Quarantined};
use serde::Deserialize;
use time::OffsetDateTime;

use crate::pages::answer::page;
use crate::pages::choice::{Choice, entities};
use crate::pages::field::given;
use crate::pages::frame::{Area, Every, Frame};
use crate::pages::trouble::{Told, trouble_page};
use crate::plain::Plain;
use crate::route::Route;
use crate::visit::CompanyVisit;
use crate::when::Both;

/// Documents on one page.
const PAGE: u32 = 100;

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::page("/c/{profile}/quarantine", show)]
}

/// What the address asks for.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    entity: Option<String>,
    state: Option<String>,
    after: Option<String>,
}

/// One document.
struct Line {
    entity: String,
    digest: Plain,
    record_id: Option<Plain>,
    reason: Plain,
    state: &'static str,
    tone: &'static str,
    /// Who accepted it and why.
    accepted: Option<(Plain, Plain)>,
    from: Both,
    to: Both,
    seen: Both,
    run: Option<(String, String)>,
}

#[derive(Template)]
#[template(path = "quarantine.html")]
struct QuarantinePage {
    frame: Frame,
    stale: Option<(Told, String)>,
    entities: Vec<Choice>,
    only_open: bool,
    is_filtered: bool,
    lines: Vec<Line>,
    first: Option<String>,
    next: Option<String>,
}

async fn show(visit: CompanyVisit, Query(asked): Query<Asked>) -> Response {
    let title = visit.visit.words().records.quarantine;
    let only_open = asked.state.as_deref() == Some("open");
    let filter =
        QuarantineFilter { entity_name: given(asked.entity.as_ref()).map(Into::into), open: only_open };
    let after = asked.after.as_deref().and_then(read_key);
    let address = format!("quarantine {filter:?} {after:?}");
    let (own, place) = (filter.clone(), after.clone());
    let read = visit.view(&address, async move |open| {
        Ok(open.store.page_of_quarantine(&own, place.as_ref(), PAGE).await?)
    });
    let seen = match read.await {
        Ok(seen) => seen,
        Err(trouble) => return trouble_page(&visit, Area::Records, title, &trouble),
    };
    let AsOf { now, value: found }: &AsOf<Vec<Quarantined>> = &seen.value;
    let is_full = found.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
    let kept = kept(&filter);
    let stale = Told::stale(&visit, &seen);
    let status = if stale.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let template = QuarantinePage {
        frame: Frame::of(&visit, Area::Records, title, Every::HalfMinute),
        stale,
        entities: entities(&visit, filter.entity_name.as_deref()),
        only_open,
        is_filtered: filter != QuarantineFilter::default() || after.is_some(),
        lines: found.iter().map(|one| line(&visit, one, *now)).collect(),
        first: after.is_some().then(|| format!("?{kept}")),
        next: found.last().filter(|_| is_full).map(|one| format!("?{kept}after={}", write_key(one))),
    };
    page(&visit.visit, status, &template)
}

/// The part of the address that stays from page to page.
fn kept(filter: &QuarantineFilter) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(name) = &filter.entity_name {
        query.append_pair("entity", name);
    }
    if filter.open {
        query.append_pair("state", "open");
    }
    let query = query.finish();
    if query.is_empty() { query } else { format!("{query}&") }
}

fn write_key(one: &Quarantined) -> String {
    let key = format!("{}.{}", one.digest, one.entity_name);
    url::form_urlencoded::byte_serialize(key.as_bytes()).collect()
}

fn read_key(text: &str) -> Option<QuarantineKey> {
    let (digest, entity) = text.split_once('.')?;
    let is_digest = !digest.is_empty() && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_name = !entity.contains('\0');
    (is_digest && is_name).then(|| QuarantineKey { entity_name: entity.into(), digest: digest.into() })
}

fn line(visit: &CompanyVisit, one: &Quarantined, now: OffsetDateTime) -> Line {
    let w = &visit.visit.words().records;
    let moment = |at| visit.when.moment(at, now);
    let (state, tone) = match one {
        _ if one.is_open() => (w.is_open, "bad"),
        Quarantined { accepted: Some(_), .. } => (w.is_accepted, "warn"),
        Quarantined { resolved_at: Some(_), .. } => (w.is_resolved, "good"),
        _ => (w.has_row, ""),
    };
    Line {
        entity: Plain::new(&visit.visit.language().entity(&one.entity_name)).to_string(),
        digest: Plain::new(&one.digest),
        record_id: one.record_id.as_deref().map(Plain::new),
        reason: Plain::new(&one.reason),
        state,
        tone,
        accepted: one
            .accepted
            .as_ref()
            .map(|accepted| (Plain::new(&accepted.by), Plain::new(&accepted.reason))),
        from: moment(one.window.start()),
        to: moment(one.window.end()),
        seen: moment(one.last_seen_at),
        run: one.run.as_ref().map(|run| (format!("{}/runs/{run}", visit.base()), run.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_digest_and_a_pipeline() {
        let key = read_key("3f9a1c.invoices").unwrap();
        assert_eq!((&*key.digest, &*key.entity_name), ("3f9a1c", "invoices"));
        for wrong in ["", "x", ".invoices", "3f'.invoices"] {
            assert_eq!(read_key(wrong), None, "{wrong}");
        }
    }
}
