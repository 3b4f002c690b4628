//! What the company's page shows.

use std::sync::Arc;

use raw_store::{HeldLease, WorkerRecord};
use time::OffsetDateTime;

use crate::company::OpenCompany;
use crate::consents::{ConsentProgress, ConsentStatus};
use crate::plain::Plain;
use crate::problem::Problem;
use crate::trouble::Trouble;
use crate::visit::CompanyVisit;
use crate::when::Both;

/// How many workers are listed.
const WORKERS: u32 = 20;

/// What the store knows.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) now: OffsetDateTime,
    pub(super) realm: Option<Box<str>>,
    pub(super) workers: Vec<WorkerRecord>,
    pub(super) leases: Vec<HeldLease>,
}

pub(super) async fn known(open: Arc<OpenCompany>) -> Result<Known, Trouble> {
    let workers = open.store.workers(WORKERS).await?;
    Ok(Known {
        now: workers.now,
        realm: open.identity.as_ref().map(|identity| identity.realm_id.clone()),
        workers: workers.value,
        leases: open.store.held_leases().await?.value,
    })
}

/// The consent.
#[derive(Debug, Default)]
pub(super) struct ConsentView {
    /// Whether this process can connect the company.
    pub(super) is_offered: bool,
    pub(super) problem: Option<(Plain, Plain)>,
    pub(super) is_missing: bool,
    /// Until when it lasts unused, until when at the latest, and when it was renewed, each with how long that is.
    pub(super) given: Option<[Option<(Both, String)>; 3]>,
    /// Who waits for Intuit's answer since when, and the address of Intuit's page.
    pub(super) waiting: Option<(String, String)>,
    pub(super) connected: Option<String>,
    pub(super) failed: Option<(Plain, Plain)>,
}

impl ConsentView {
    pub(super) async fn new(visit: &CompanyVisit, progress: ConsentProgress) -> Self {
        let Some(consents) = &visit.company.consents else { return Self::default() };
        let (w, now) = (&visit.visit.words().company, visit.visit.now());
        let mut view = Self { is_offered: true, ..Self::default() };
        let ahead = |at| (visit.when.moment(at, now), visit.when.until(at, now));
        match consents.status().await {
            Ok(ConsentStatus::Missing) => view.is_missing = true,
            Ok(ConsentStatus::Given { refreshed_at, ends_unused_at, ends_at }) => {
                let renewed = (visit.when.moment(refreshed_at, now), visit.when.ago(refreshed_at, now));
                view.given = Some([ends_unused_at.map(ahead), ends_at.map(ahead), Some(renewed)]);
            }
            Err(problem) => view.problem = Some(told(&problem)),
        }
        match progress {
            ConsentProgress::Idle => {}
            ConsentProgress::Waiting(attempt) => {
                let who = Plain::new(&attempt.started_by).to_string();
                let text = (w.waiting)(&who, &visit.when.ago(attempt.started_at, now));
                view.waiting = Some((text, attempt.address));
            }
            ConsentProgress::Connected { at } => {
                view.connected = Some((w.connected)(&visit.when.ago(at, now)));
            }
            ConsentProgress::Failed(problem) => view.failed = Some(told(&problem)),
        }
        view
    }
}

pub(super) fn told(problem: &Problem) -> (Plain, Plain) {
    (Plain::new(&problem.what), Plain::new(&problem.next))
}

/// One secret.
#[derive(Debug)]
pub(super) struct SecretLine {
    pub(super) name: String,
    pub(super) changed: Option<(Both, String)>,
    pub(super) fingerprint: String,
    pub(super) href: Option<String>,
}

/// The secrets.
#[derive(Debug, Default)]
pub(super) struct SecretView {
    pub(super) is_offered: bool,
    pub(super) problem: Option<(Plain, Plain)>,
    pub(super) lines: Vec<SecretLine>,
}

impl SecretView {
    pub(super) async fn new(visit: &CompanyVisit) -> Self {
        let Some(shelf) = &visit.company.secrets else { return Self::default() };
        let mut view = Self { is_offered: true, ..Self::default() };
        let now = visit.visit.now();
        let stored = match shelf.list().await {
            Ok(stored) => stored,
            Err(problem) => return Self { problem: Some(told(&problem)), ..view },
        };
        let settable = shelf.names();
        let others = stored.iter().map(|info| &info.name).filter(|name| !settable.contains(name));
        for name in settable.iter().chain(others) {
            let info = stored.iter().find(|info| info.name == *name);
            let changed = info
                .map(|info| (visit.when.moment(info.changed_at, now), visit.when.ago(info.changed_at, now)));
            let may_set = !visit.visit.app.look_only && settable.contains(name);
            view.lines.push(SecretLine {
                name: name.to_string(),
                changed,
                fingerprint: info.and_then(|info| info.fingerprint.clone()).unwrap_or_default(),
                href: may_set.then(|| format!("{}/company/secrets/{name}", visit.base())),
            });
        }
        view
    }
}
