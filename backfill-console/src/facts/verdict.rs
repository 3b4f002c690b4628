//! The one sentence: is everything there?

use std::time::Duration;

use raw_store::TriggerState;
use time::OffsetDateTime;

use crate::consents::ConsentStatus;
use crate::facts::pipeline::PipelineFacts;
use crate::facts::trigger_due::Due;

/// What keeps all work from going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// No consent has been given.
    NoConsent,
    /// The consent has ended.
    ConsentEnded,
    /// The calls of the month are used up until the next one begins.
    UsedUp(OffsetDateTime),
    /// A trigger's time has come, and no worker runs.
    NoWorker,
}

/// What is missing, over all pipelines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) failed: Duration,
    pub(crate) unread: Duration,
    /// Pipelines with something missing.
    pub(crate) entities: Vec<Box<str>>,
}

/// The answer to "is everything there?", the worst first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Blocked(Blocked),
    Incomplete(Missing),
    Working,
    /// Everything is read, and this many points say that something is wrong with what is stored.
    Open(u64),
    /// Everything is read, and this much ended too near to now and will be read again.
    Provisional(Duration),
    /// Everything is read, and a count has not confirmed this much.
    Unconfirmed(Duration),
    Complete,
    /// Nothing was ever read.
    Nothing,
}

/// What the verdict depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    pub(crate) pipelines: &'a [PipelineFacts],
    pub(crate) dues: &'a [Due],
    pub(crate) is_running: bool,
    /// Findings of severity error, documents that are open in quarantine, and verifications that differ.
    pub(crate) open_points: u64,
    pub(crate) consent: Option<ConsentStatus>,
    /// When the next month begins, if the calls of this one are used up.
    pub(crate) used_up: Option<OffsetDateTime>,
    pub(crate) now: OffsetDateTime,
}

/// Judges what is known.
pub(crate) fn verdict(known: Known<'_>) -> Verdict {
    let is_new = known.pipelines.is_empty() && !known.is_running;
    if is_new && known.dues.iter().all(|due| matches!(due, Due::Spent(TriggerState::Cancelled))) {
        return Verdict::Nothing;
    }
    if let Some(blocked) = blocked(known) {
        return Verdict::Blocked(blocked);
    }
    let mut missing = Missing::default();
    for facts in known.pipelines {
        let unread = facts.missing();
        if !facts.failed.is_zero() || !unread.is_zero() {
            missing.entities.push(facts.entity_name.clone());
        }
        missing.failed += facts.failed;
        missing.unread += unread;
    }
    missing.entities.dedup();
    let unconfirmed: Duration = known.pipelines.iter().map(|facts| facts.unconfirmed).sum();
    let provisional: Duration = known.pipelines.iter().map(|facts| facts.provisional).sum();
    match missing {
        missing if !missing.entities.is_empty() => Verdict::Incomplete(missing),
        _ if known.is_running => Verdict::Working,
        // Of a company that has none of the entities, nothing is confirmed.
        _ if known.pipelines.iter().all(|facts| facts.read.is_zero()) => Verdict::Nothing,
        _ if points(known) > 0 => Verdict::Open(points(known)),
        _ if !provisional.is_zero() => Verdict::Provisional(provisional),
        _ if !unconfirmed.is_zero() => Verdict::Unconfirmed(unconfirmed),
        _ => Verdict::Complete,
    }
}

/// What a person should look at before all is called complete: what the store's checks have found, and triggers that did not
/// read what they were armed for.
fn points(known: Known<'_>) -> u64 {
    let unread = |due: &&Due| {
        matches!(due, Due::HeldUp(..) | Due::Spent(TriggerState::Failed | TriggerState::Expired))
    };
    known.open_points + known.dues.iter().filter(unread).count() as u64
}

fn blocked(known: Known<'_>) -> Option<Blocked> {
    match known.consent {
        Some(ConsentStatus::Missing) => return Some(Blocked::NoConsent),
        Some(ConsentStatus::Given { ends_unused_at, ends_at, .. })
            if [ends_unused_at, ends_at].into_iter().flatten().any(|end| end <= known.now) =>
        {
            return Some(Blocked::ConsentEnded);
        }
        Some(ConsentStatus::Given { .. }) | None => {}
    }
    if let Some(until) = known.used_up {
        return Some(Blocked::UsedUp(until));
    }
    known.dues.contains(&Due::NoWorker).then_some(Blocked::NoWorker)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn known<'a>(pipelines: &'a [PipelineFacts], dues: &'a [Due]) -> Known<'a> {
        let now = datetime!(2026-11-30 14:00 UTC);
        Known { pipelines, dues, is_running: false, open_points: 0, consent: None, used_up: None, now }
    }

    fn read() -> PipelineFacts {
        PipelineFacts {
            entity_name: "invoices".into(),
            read: DAY * 30,
            confirmed: DAY * 30,
            ..PipelineFacts::default()
        }
    }

    #[test]
    fn the_worst_comes_first() {
        let confirmed = [read()];
        assert_eq!(verdict(known(&[], &[])), Verdict::Nothing);
        assert_eq!(verdict(known(&confirmed, &[])), Verdict::Complete);
        let unconfirmed = [PipelineFacts { unconfirmed: DAY, ..read() }];
        assert_eq!(verdict(known(&unconfirmed, &[])), Verdict::Unconfirmed(DAY));
        let provisional = [PipelineFacts { provisional: DAY, unconfirmed: DAY, ..read() }];
        assert_eq!(verdict(known(&provisional, &[])), Verdict::Provisional(DAY));
        assert_eq!(verdict(Known { open_points: 2, ..known(&confirmed, &[]) }), Verdict::Open(2));
        let expired = [Due::Spent(TriggerState::Expired)];
        assert_eq!(verdict(known(&confirmed, &expired)), Verdict::Open(1));
        assert_eq!(verdict(known(&[PipelineFacts::default()], &[])), Verdict::Nothing, "none is available");
        let open = [PipelineFacts { open: DAY, unconfirmed: DAY, ..read() }];
        let reading = [PipelineFacts { is_read_now: true, ..open[0].clone() }];
        assert_eq!(verdict(Known { is_running: true, ..known(&reading, &[]) }), Verdict::Working);
        let another = verdict(Known { is_running: true, ..known(&open, &[]) });
        assert!(matches!(another, Verdict::Incomplete(_)), "the run reads another pipeline");
        assert!(matches!(verdict(known(&open, &[])), Verdict::Incomplete(missing) if missing.unread == DAY));
        let failed = [PipelineFacts { failed: DAY, ..read() }];
        let running = Known { is_running: true, ..known(&failed, &[]) };
        assert!(matches!(verdict(running), Verdict::Incomplete(missing) if missing.failed == DAY));
        let blocked = verdict(known(&failed, &[Due::NoWorker]));
        assert_eq!(blocked, Verdict::Blocked(Blocked::NoWorker));
        let consent = Some(ConsentStatus::Missing);
        let blocked = verdict(Known { consent, ..known(&failed, &[Due::NoWorker]) });
        assert_eq!(blocked, Verdict::Blocked(Blocked::NoConsent));
    }
}
