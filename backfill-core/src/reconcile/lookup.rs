//! Looks up transactions at QuickBooks by id, in a limited number of requests.

use std::collections::HashMap;

use qbo_client::report::Amount;
use qbo_client::{ErrorKind, PageSize};
use serde::Deserialize;
use serde_json::value::RawValue;
use time::Date;
use tokio_util::sync::CancellationToken;

use super::request::MOST_LOOKUPS;
use crate::answer::unless_stopped;
use crate::catalog::{EntitySpec, IDS_AT_ONCE, RequestPart};
use crate::engine::Engine;
use crate::error::RunError;

/// Looks up transactions by id.
pub(super) struct Lookup<'a> {
    pub(super) engine: &'a Engine,
    pub(super) stop: &'a CancellationToken,
    pub(super) requests: u64,
}

/// A transaction that QuickBooks returned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) date: Option<Date>,
    /// Whether it has no amount.
    pub(super) is_zero: bool,
}

/// What QuickBooks says of some ids.
pub(super) enum Answer {
    /// The records that exist, by id; the others do not.
    Known(HashMap<Box<str>, Found>),
    /// The company does not have the entity.
    Unavailable,
    /// No answer: it could not be asked, or may not be any more.
    Unanswered,
}

/// The member of a transaction that is its amount.
#[derive(Deserialize)]
struct Total<'a> {
    #[serde(rename = "TotalAmt", borrow)]
    total: Option<&'a RawValue>,
}

impl Lookup<'_> {
    /// Asks one entity for transactions by id.
    pub(super) async fn ask(&mut self, spec: &EntitySpec, ids: &[&str]) -> Result<Answer, RunError> {
        let mut known = HashMap::new();
        if !spec.has_ids() {
            return Ok(Answer::Unanswered);
        }
        // Ids and dates are all that is needed. A company that is refused its custom fields may be told so in the words for an
        // entity that it lacks.
        let spec = spec.clone().without(RequestPart::CustomFields).without(RequestPart::Columns);
        for ids in ids.chunks(IDS_AT_ONCE) {
            if self.requests == MOST_LOOKUPS {
                return Ok(Answer::Unanswered);
            }
            self.requests += 1;
            let query = spec.query_by_id(ids.iter().copied()).page(1, PageSize::MAX);
            let asked = self.engine.client.fetch_page(&query);
            let page = match unless_stopped(self.stop, asked).await.map_err(RunError::general)? {
                Ok(page) => page,
                Err(error) if matches!(error.kind, ErrorKind::EntityUnavailable { .. }) => {
                    return Ok(Answer::Unavailable);
                }
                Err(_) => return Ok(Answer::Unanswered),
            };
            for record in page.records() {
                let Ok(id) = record.id() else { continue };
                let is_zero = is_zero(&record.bytes());
                known.insert(id.into(), Found { date: record.txn_date(), is_zero });
            }
        }
        Ok(Answer::Known(known))
    }
}

fn is_zero(record: &[u8]) -> bool {
    let total = serde_json::from_slice::<Total<'_>>(record).ok().and_then(|record| record.total);
    total.and_then(|total| total.get().parse::<Amount>().ok()).is_some_and(Amount::is_zero)
}
