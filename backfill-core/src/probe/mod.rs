//! Finds out what QuickBooks accepts for one company: small questions, of whose answers only the shape is kept.
//!
//! Much of the catalogue rests on documentation. A probe requests every entity as a run would, one entity of each kind in more
//! ways, and after a refusal each part of the request by itself. [`ProbeReport`] holds keys of Intuit's documentation, codes and
//! counts: no record, name, id, time or amount of the company.

mod answer;
mod assumption;
mod known_keys;
mod overrides;
mod question;
mod shape;

use std::collections::VecDeque;

use qbo_auth::Clock;
use qbo_client::{Error, ErrorKind, QboClient};
use time::Duration;
use tokio_util::sync::CancellationToken;

use self::question::{Question, apart, questions};
use crate::catalog::Catalog;

pub use self::answer::{Outcome, ProbeAnswer};
pub use self::assumption::{Assumption, Verdict};
pub use self::question::QuestionKind;
pub use self::shape::Shape;

/// How far back change data capture is asked: it refuses more than thirty days.
const LOOK_BACK: Duration = Duration::days(29);

/// After this many questions in a row that the server fails to answer, a probe gives up.
const MOST_FAILURES: u32 = 3;

/// The answers of a probe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeReport {
    /// Every question with its answer, in the order in which they were asked.
    pub answers: Vec<ProbeAnswer>,
    /// Whether the probe ended before its last question: it was asked to stop, or an error concerned all questions.
    pub is_stopped: bool,
}

impl ProbeReport {
    /// The assumptions of the catalogue, and whether they hold.
    pub fn assumptions(&self) -> Vec<Assumption> {
        assumption::assumptions(&self.answers)
    }

    /// Number of questions that were not asked, because the calls were used up.
    pub fn not_asked(&self) -> usize {
        self.answers.iter().filter(|one| one.outcome == Outcome::NotAsked).count()
    }

    /// The entries of a catalogue file that leave out of every request what QuickBooks refuses; empty if nothing is refused of what
    /// this catalogue requests. A refused order needs no entry: runs leave it out by themselves.
    pub fn overrides(&self, catalog: &Catalog) -> String {
        overrides::overrides(&self.answers, catalog)
    }
}

/// The number of questions that a probe asks if none is refused.
pub fn question_count(catalog: &Catalog) -> usize {
    questions(catalog).len()
}

/// Asks all questions. How many calls this may cost is up to the client's budget: when it gives no more permits
/// ([`CallCap`](qbo_client::CallCap)), the remaining questions are not asked.
///
/// The answers come with the error of the client that ended the probe, if one did: an error that concerns all questions, such as a
/// missing consent. What was answered before it is in the report.
pub async fn probe(
    client: &dyn QboClient,
    catalog: &Catalog,
    clock: &dyn Clock,
    stop: &CancellationToken,
) -> (ProbeReport, Option<Error>) {
    let mut report = ProbeReport::default();
    let mut open: VecDeque<_> = questions(catalog).into();
    let mut failures = 0;
    while let Some(question) = open.pop_front() {
        let outcome = tokio::select! {
            outcome = ask(client, &question, clock) => outcome,
            () = stop.cancelled() => {
                report.is_stopped = true;
                return (report, None);
            }
        };
        let outcome = match outcome {
            // One question may be too much for the server; several in a row mean that it is down.
            Err(error)
                if matches!(error.kind, ErrorKind::Exhausted { .. }) && failures + 1 < MOST_FAILURES =>
            {
                failures += 1;
                Outcome::Unclear
            }
            Err(error) => {
                report.is_stopped = true;
                return (report, Some(error));
            }
            Ok(outcome) => {
                failures = 0;
                outcome
            }
        };
        if question.kind == QuestionKind::AsRun && outcome.is_refused() {
            for kind in apart(&question.spec).into_iter().rev() {
                // The example of a kind is asked in every way in any case.
                let is_open = |other: &Question| other.kind == kind && other.spec == question.spec;
                if !open.iter().any(is_open) {
                    open.push_front(Question { spec: question.spec.clone(), kind });
                }
            }
        }
        let entity = question.spec.name().clone();
        report.answers.push(ProbeAnswer { entity, question: question.kind, outcome });
    }
    (report, None)
}

async fn ask(client: &dyn QboClient, question: &Question, clock: &dyn Clock) -> Result<Outcome, Error> {
    let now = clock.now_utc();
    if question.kind == QuestionKind::Changes {
        let deleted = client.deleted_since(question.spec.name(), now - LOOK_BACK).await;
        return match deleted {
            Ok(deletions) => Ok(Outcome::Deleted(deletions.deleted.len() as u64)),
            Err(error) => Outcome::of(error),
        };
    }
    match client.fetch_page(&question.query(now)).await {
        Ok(page) => Ok(Outcome::Page(Shape::of(&page, &question.spec))),
        Err(error) => Outcome::of(error),
    }
}
