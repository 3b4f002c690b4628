//! Finds the rows of the reports' transactions.
//!
//! A label that is known leads to one entity, and only there is an id looked for: it is not proven that two types cannot have
//! the same id. A label that is not known, such as a translated one, is looked for in every entity; the entity that has most of
//! its ids is the one that it means.

use std::collections::{BTreeMap, HashSet};

use qbo_client::report::Amount;
use raw_store::{Pipeline, Presence};

use super::label::{Hint, has_to_return, hint, may_be};
use super::lookup::{Answer, Lookup};
use super::outcome::{DiscrepancyKind, ReconciledPipeline};
use super::tally::{DATE, Seen, Tally, day};
use crate::catalog::{Axis, EntityKind, EntitySpec};
use crate::engine::Engine;
use crate::error::RunError;
use crate::id_hash::id_hash;

/// The number of ids that the store is asked for at once.
const STORED_AT_ONCE: usize = 1000;

/// The most transactions of one label that are kept to be looked up.
const MOST_PENDING: usize = 1000;

/// How many times as many transactions of an unknown label have to be found in one entity as in any other, before all reports
/// were read.
const MARGIN: u64 = 3;

/// How a row is like a transaction of a report whose label is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Likeness {
    SameDate,
    SameId,
    /// A record without the date that transactions have.
    Undated,
    Gone,
}

/// The entity that has a transaction: the one that its label means, or the only one with the same date.
fn chosen(meant: Option<usize>, has: &[(usize, Likeness)]) -> Option<usize> {
    let meant = meant.filter(|meant| {
        has.contains(&(*meant, Likeness::SameDate)) || has.contains(&(*meant, Likeness::SameId))
    });
    let mut same = has.iter().filter(|(_, likeness)| *likeness == Likeness::SameDate);
    let first = same.next().map(|(candidate, _)| *candidate);
    meant.or(first.filter(|_| same.next().is_none()))
}

/// An entity that may have transactions of the reports.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) spec: EntitySpec,
    pub(super) pipeline: Pipeline,
    pub(super) result: ReconciledPipeline,
    /// A hash of each id that the reports have: eight bytes, because there may be millions.
    met: HashSet<u64>,
    /// Ids in quarantine.
    quarantined: HashSet<Box<str>>,
}

impl Candidate {
    fn new(spec: EntitySpec) -> Self {
        let result = ReconciledPipeline {
            pipeline: spec.pipeline_name(),
            entity_name: spec.entity_name().into(),
            ..ReconciledPipeline::default()
        };
        let pipeline = spec.pipeline(Axis::Updated);
        Self { spec, pipeline, result, met: HashSet::new(), quarantined: HashSet::new() }
    }

    /// Whether the reports have a transaction with this id.
    pub(super) fn has_met(&self, id: &str) -> bool {
        self.met.contains(&id_hash(id))
    }
}

/// What is known of one label.
#[derive(Debug)]
struct Label {
    /// How many ids of the label each candidate has.
    votes: Vec<u64>,
    /// Transactions of which nothing is stored, each with whether a row of it is marked as gone.
    pending: Vec<(Seen, bool)>,
    /// Transactions that were not kept to be looked up, and their amount.
    further: (u64, Amount),
}

/// Finds the rows of the reports' transactions.
pub(super) struct Matching<'a> {
    engine: &'a Engine,
    pub(super) candidates: Vec<Candidate>,
    labels: BTreeMap<Box<str>, Label>,
    pub(super) tally: Tally,
}

impl<'a> Matching<'a> {
    /// Prepares the comparison with all transactions of a catalogue.
    pub(super) async fn new(engine: &'a Engine, entities: &[EntitySpec]) -> Result<Self, RunError> {
        let transactions = entities.iter().filter(|spec| spec.kind() == EntityKind::Transaction);
        let mut candidates: Vec<_> = transactions.cloned().map(Candidate::new).collect();
        for candidate in &mut candidates {
            let name = Some(candidate.spec.entity_name());
            let all = engine.store.quarantine.quarantined(name).await.map_err(RunError::general)?;
            let open = all.into_iter().filter(|one| !one.has_row && one.resolved_at.is_none());
            candidate.quarantined = open.filter_map(|one| one.record_id).collect();
        }
        Ok(Self { engine, candidates, labels: BTreeMap::new(), tally: Tally::default() })
    }

    /// Compares transactions of one report.
    pub(super) async fn compare(&mut self, seen: Vec<Seen>) -> Result<(), RunError> {
        let mut groups: BTreeMap<Box<str>, Vec<Seen>> = BTreeMap::new();
        for one in seen {
            groups.entry(one.label.clone()).or_default().push(one);
        }
        let mut unknown = Vec::new();
        for (label, group) in groups {
            match hint(&label) {
                Hint::Unreachable => {
                    for one in group {
                        self.tally.note(DiscrepancyKind::NotReachable, None, one);
                    }
                }
                Hint::Entity(name) => match self.candidate(name) {
                    Some(candidate) => self.compare_known(candidate, group).await?,
                    None => unknown.push((label, group)),
                },
                Hint::Unknown => unknown.push((label, group)),
            }
        }
        // Last, so that they cannot take what a known label has.
        for (label, group) in unknown {
            self.compare_unknown(&label, group).await?;
        }
        Ok(())
    }

    fn candidate(&self, name: &str) -> Option<usize> {
        self.candidates.iter().position(|one| one.spec.name().as_str() == name)
    }

    async fn compare_known(&mut self, candidate: usize, group: Vec<Seen>) -> Result<(), RunError> {
        let found = self.presence(candidate, &group, "").await?;
        for (seen, presence) in group.into_iter().zip(found) {
            match presence {
                Presence::Live(_) => self.agree(candidate, &seen),
                presence => self.keep_pending(Some(candidate), seen, presence == Presence::Gone),
            }
        }
        Ok(())
    }

    /// Looks for transactions in every entity. What lies in the meant one, or in only one with the same date, agrees.
    async fn compare_unknown(&mut self, label: &str, group: Vec<Seen>) -> Result<(), RunError> {
        let found = self.everywhere(&group).await?;
        for has in &found {
            for (candidate, presence) in has {
                self.label(label).votes[*candidate] += u64::from(*presence == Likeness::SameDate);
            }
        }
        let meant = self.meant(label, MARGIN);
        for (seen, has) in group.into_iter().zip(found) {
            if let Some(candidate) = chosen(meant, &has) {
                self.agree(candidate, &seen);
                continue;
            }
            let is_gone = meant.is_some_and(|meant| has.contains(&(meant, Likeness::Gone)));
            self.keep_pending(meant, seen, is_gone);
        }
        Ok(())
    }

    /// What each entity has of some transactions, without what other transactions of the reports have.
    async fn everywhere(&self, group: &[Seen]) -> Result<Vec<Vec<(usize, Likeness)>>, RunError> {
        let mut found = vec![Vec::new(); group.len()];
        let is_posted = group.iter().any(|one| one.posts);
        for (place, candidate) in self.candidates.iter().enumerate() {
            if !may_be(candidate.spec.name().as_str(), is_posted) {
                continue;
            }
            let presence = self.presence(place, group, DATE).await?;
            for ((seen, presence), has) in group.iter().zip(presence).zip(&mut found) {
                let date = seen.date.map(day);
                let likeness = match presence {
                    Presence::Live(None) => Likeness::Undated,
                    Presence::Live(stored) if stored == date => Likeness::SameDate,
                    Presence::Live(_) => Likeness::SameId,
                    Presence::Gone => Likeness::Gone,
                    Presence::Absent => continue,
                };
                if !candidate.has_met(&seen.id) {
                    has.push((place, likeness));
                }
            }
        }
        Ok(found)
    }

    async fn presence(
        &self,
        candidate: usize,
        group: &[Seen],
        member: &str,
    ) -> Result<Vec<Presence>, RunError> {
        let pipeline = &self.candidates[candidate].pipeline;
        let mut found = Vec::with_capacity(group.len());
        for part in group.chunks(STORED_AT_ONCE) {
            let ids: Vec<_> = part.iter().map(|one| one.id.clone()).collect();
            let presence = self.engine.store.lookup.presence(pipeline, &ids, member).await;
            found.extend(presence.map_err(RunError::general)?);
        }
        Ok(found)
    }

    fn agree(&mut self, candidate: usize, seen: &Seen) {
        let candidate = &mut self.candidates[candidate];
        if candidate.met.insert(id_hash(&*seen.id)) {
            candidate.result.agrees += 1;
            self.tally.agree(seen);
        }
    }

    fn keep_pending(&mut self, candidate: Option<usize>, seen: Seen, is_gone: bool) {
        if let Some(candidate) = candidate.map(|at| &mut self.candidates[at])
            && candidate.quarantined.contains(&seen.id)
        {
            if candidate.met.insert(id_hash(&*seen.id)) {
                candidate.result.quarantined += 1;
                let pipeline = Some(candidate.result.pipeline.clone());
                self.tally.note(DiscrepancyKind::Quarantined, pipeline, seen);
            }
            return;
        }
        let label = self.label(&seen.label);
        if label.pending.len() < MOST_PENDING {
            label.pending.push((seen, is_gone));
        } else {
            label.further.0 += 1;
            label.further.1 += seen.amount.unwrap_or_default();
        }
    }

    fn label(&mut self, label: &str) -> &mut Label {
        let candidates = self.candidates.len();
        self.labels.entry(label.into()).or_insert_with(|| Label {
            votes: vec![0; candidates],
            pending: Vec::new(),
            further: (0, Amount::ZERO),
        })
    }

    /// The candidate that an unknown label means: `margin` times as many of its transactions are found there as in any other.
    fn meant(&self, label: &str, margin: u64) -> Option<usize> {
        let mut votes: Vec<_> = self.labels.get(label)?.votes.iter().copied().enumerate().collect();
        votes.sort_by_key(|(candidate, votes)| (std::cmp::Reverse(*votes), *candidate));
        let second = votes.get(1).map_or(0, |(_, votes)| *votes);
        votes.first().filter(|(_, votes)| *votes > second * margin).map(|(candidate, _)| *candidate)
    }

    /// Compares once more what was in doubt: now it is known which entity each label means. The labels of which most is known
    /// choose first.
    async fn compare_again(&mut self) -> Result<(), RunError> {
        let weight = |label: &Label| std::cmp::Reverse(label.votes.iter().copied().max().unwrap_or(0));
        let mut labels: Vec<_> = self.labels.iter().map(|(name, one)| (weight(one), name.clone())).collect();
        labels.sort_unstable();
        for (_, label) in labels {
            if matches!(hint(&label), Hint::Entity(name) if self.candidate(name).is_some()) {
                continue;
            }
            let (pending, were_gone): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.label(&label).pending).into_iter().unzip();
            let found = self.everywhere(&pending).await?;
            let meant = self.meant(&label, 1);
            for ((seen, is_gone), has) in pending.into_iter().zip(were_gone).zip(found) {
                if let Some(candidate) = chosen(meant, &has) {
                    self.agree(candidate, &seen);
                    continue;
                }
                let is_gone = is_gone || meant.is_some_and(|meant| has.contains(&(meant, Likeness::Gone)));
                self.keep_pending(meant, seen, is_gone);
            }
        }
        Ok(())
    }

    /// Decides about the transactions of which nothing is stored, by asking QuickBooks for them.
    pub(super) async fn resolve(&mut self, lookup: &mut Lookup<'_>) -> Result<(), RunError> {
        self.compare_again().await?;
        let labels: Vec<_> = self.labels.keys().cloned().collect();
        for label in labels {
            let meant = match hint(&label) {
                Hint::Entity(name) => self.candidate(name),
                _ => None,
            };
            let Some(one) = self.labels.get_mut(&label) else { continue };
            let (pending, further) = (std::mem::take(&mut one.pending), std::mem::take(&mut one.further));
            let kind = if let Some(candidate) = meant {
                self.resolve_known(candidate, pending, lookup).await?;
                self.candidates[candidate].result.missing += further.0;
                DiscrepancyKind::Missing
            } else {
                self.resolve_unknown(self.meant(&label, 1), pending, lookup).await?;
                DiscrepancyKind::Unknown
            };
            if further.0 > 0 {
                self.tally.count(&label, Some(kind), further.0, further.1);
            }
        }
        Ok(())
    }

    /// An entity should have these. If it does not return them, nothing does; but an entity that every company has is asked
    /// twice, and has to return them: the reports say that they exist.
    async fn resolve_known(
        &mut self,
        candidate: usize,
        pending: Vec<(Seen, bool)>,
        lookup: &mut Lookup<'_>,
    ) -> Result<(), RunError> {
        let ids: Vec<&str> = pending.iter().map(|(seen, _)| &*seen.id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let spec = self.candidates[candidate].spec.clone();
        let mut answer = lookup.ask(&spec, &ids).await?;
        let has_to_return = has_to_return(spec.name().as_str());
        if let (true, Answer::Known(found)) = (has_to_return, &mut answer) {
            let absent: Vec<&str> = ids.iter().copied().filter(|id| !found.contains_key(*id)).collect();
            if !absent.is_empty()
                && let Answer::Known(again) = lookup.ask(&spec, &absent).await?
            {
                found.extend(again);
            }
        }
        for (seen, is_gone) in pending {
            let is_there = match &answer {
                Answer::Known(found) => found.contains_key(&seen.id),
                Answer::Unavailable => has_to_return,
                // The label says that the entity has it.
                Answer::Unanswered => true,
            };
            match (is_there, is_gone) {
                (false, true) => self.lose(candidate, seen),
                (false, false) if !has_to_return => {
                    self.tally.note(DiscrepancyKind::NotReachable, None, seen);
                }
                _ => self.miss(candidate, seen),
            }
        }
        Ok(())
    }

    /// The label says nothing, so every entity is asked, first the one that has others of the label.
    async fn resolve_unknown(
        &mut self,
        meant: Option<usize>,
        mut pending: Vec<(Seen, bool)>,
        lookup: &mut Lookup<'_>,
    ) -> Result<(), RunError> {
        let others = (0..self.candidates.len()).filter(|other| Some(*other) != meant);
        let order: Vec<usize> = meant.into_iter().chain(others).collect();
        let is_posted = pending.iter().any(|(seen, _)| seen.posts);
        let mut were_all_asked = true;
        // Records without the date that transactions have, such as payments of tax, are believed last.
        let mut undated: Vec<(usize, HashSet<Box<str>>)> = Vec::new();
        for candidate in order {
            let spec = &self.candidates[candidate].spec;
            if pending.is_empty() || !may_be(spec.name().as_str(), is_posted) {
                continue;
            }
            let ids: Vec<&str> = pending.iter().map(|(seen, _)| &*seen.id).collect();
            let found = match lookup.ask(spec, &ids).await? {
                Answer::Known(found) => found,
                Answer::Unavailable => continue,
                Answer::Unanswered => {
                    were_all_asked = false;
                    continue;
                }
            };
            let (there, rest): (Vec<_>, Vec<_>) = pending
                .into_iter()
                // What another transaction of the reports has is not this one.
                .partition(|(seen, _)| {
                    let is_alike = found.get(&seen.id).is_some_and(|found| {
                        meant == Some(candidate) || (found.date.is_some() && found.date == seen.date)
                    });
                    is_alike && !self.candidates[candidate].has_met(&seen.id)
                });
            pending = rest;
            for (seen, _) in there {
                self.miss(candidate, seen);
            }
            let without = found.into_iter().filter(|(_, found)| found.date.is_none());
            undated.push((candidate, without.map(|(id, _)| id).collect()));
        }
        for (seen, is_gone) in pending {
            let other = undated.iter().find(|(candidate, ids)| {
                ids.contains(&seen.id) && !self.candidates[*candidate].has_met(&seen.id)
            });
            match (other, meant) {
                (Some((candidate, _)), _) => self.settle_undated(*candidate, seen).await?,
                (None, Some(candidate)) if is_gone && were_all_asked => self.lose(candidate, seen),
                _ if were_all_asked => self.tally.note(DiscrepancyKind::NotReachable, None, seen),
                _ => self.tally.note(DiscrepancyKind::Unknown, None, seen),
            }
        }
        Ok(())
    }

    /// A transaction whose record has no date to recognise it by: it agrees if it is stored.
    async fn settle_undated(&mut self, candidate: usize, seen: Seen) -> Result<(), RunError> {
        match self.presence(candidate, std::slice::from_ref(&seen), "").await?.as_slice() {
            [Presence::Live(_)] => self.agree(candidate, &seen),
            _ => self.miss(candidate, seen),
        }
        Ok(())
    }

    fn miss(&mut self, candidate: usize, seen: Seen) {
        let candidate = &mut self.candidates[candidate];
        candidate.met.insert(id_hash(&*seen.id));
        candidate.result.missing += 1;
        self.tally.note(DiscrepancyKind::Missing, Some(candidate.result.pipeline.clone()), seen);
    }

    fn lose(&mut self, candidate: usize, seen: Seen) {
        let candidate = &mut self.candidates[candidate];
        candidate.result.gone += 1;
        self.tally.note(DiscrepancyKind::Gone, Some(candidate.result.pipeline.clone()), seen);
    }
}
