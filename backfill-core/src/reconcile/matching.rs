//! Finds the rows of the reports' transactions.
//!
//! A label that is known leads to one entity, and only there is an id looked for: it is not proven that two types cannot have
//! the same id. A label that is not known, such as a translated one, is looked for in every entity; the entity that has most of
//! its ids is the one that it means.

use std::collections::{BTreeMap, HashSet};

use qbo_client::report::Amount;
use raw_store::{Pipeline, Presence};

use super::label::{Hint, has_transaction_ids, hint};
use super::lookup::{Answer, Lookup};
use super::outcome::{DiscrepancyKind, ReconciledPipeline};
use super::tally::{Seen, Tally};
use crate::catalog::{Axis, EntityKind, EntitySpec};
use crate::engine::Engine;
use crate::error::RunError;
use crate::id_hash::id_hash;

/// The number of ids that the store is asked for at once.
const STORED_AT_ONCE: usize = 1000;

/// The most transactions of one label that are kept to be looked up.
const MOST_PENDING: usize = 1000;

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
        let found = self.presence(candidate, &group).await?;
        for (seen, presence) in group.into_iter().zip(found) {
            match presence {
                Presence::Live => self.agree(candidate, &seen),
                presence => self.keep_pending(Some(candidate), seen, presence == Presence::Gone),
            }
        }
        Ok(())
    }

    async fn compare_unknown(&mut self, label: &str, group: Vec<Seen>) -> Result<(), RunError> {
        let mut found = Vec::new();
        for candidate in 0..self.candidates.len() {
            if has_transaction_ids(self.candidates[candidate].spec.name().as_str()) {
                found.push((candidate, self.presence(candidate, &group).await?));
            }
        }
        let is_there = |one: &Candidate, seen: &Seen, presence: Presence| {
            presence == Presence::Live && !one.has_met(&seen.id)
        };
        for (candidate, presence) in &found {
            let all = group.iter().zip(presence);
            let hits = all.filter(|(seen, has)| is_there(&self.candidates[*candidate], seen, **has)).count();
            self.label(label).votes[*candidate] += hits as u64;
        }
        let meant = self.meant(label);
        for (place, seen) in group.into_iter().enumerate() {
            let has: Vec<_> = found
                .iter()
                .filter(|(candidate, presence)| {
                    is_there(&self.candidates[*candidate], &seen, presence[place])
                })
                .map(|(candidate, _)| *candidate)
                .collect();
            let only = if let [only] = has.as_slice() { Some(*only) } else { None };
            match meant.filter(|meant| has.contains(meant)).or(only) {
                Some(candidate) => self.agree(candidate, &seen),
                None => {
                    let is_gone = found.iter().any(|(candidate, presence)| {
                        meant == Some(*candidate) && presence[place] == Presence::Gone
                    });
                    self.keep_pending(meant, seen, is_gone);
                }
            }
        }
        Ok(())
    }

    async fn presence(&self, candidate: usize, group: &[Seen]) -> Result<Vec<Presence>, RunError> {
        let pipeline = &self.candidates[candidate].pipeline;
        let mut found = Vec::with_capacity(group.len());
        for part in group.chunks(STORED_AT_ONCE) {
            let ids: Vec<_> = part.iter().map(|one| one.id.clone()).collect();
            let presence = self.engine.store.lookup.presence(pipeline, &ids).await;
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

    /// The candidate that most ids of an unknown label are found in.
    fn meant(&self, label: &str) -> Option<usize> {
        let votes = self.labels.get(label)?.votes.iter().enumerate();
        let (candidate, votes) = votes.max_by_key(|(candidate, votes)| (**votes, usize::MAX - candidate))?;
        (*votes > 0).then_some(candidate)
    }

    /// Decides about the transactions of which nothing is stored, by asking QuickBooks for them.
    pub(super) async fn resolve(&mut self, lookup: &mut Lookup<'_>) -> Result<(), RunError> {
        let labels: Vec<_> = self.labels.keys().cloned().collect();
        for label in labels {
            let meant = match hint(&label) {
                Hint::Entity(name) => self.candidate(name),
                _ => None,
            };
            let Some(one) = self.labels.get_mut(&label) else { continue };
            let (pending, further) = (std::mem::take(&mut one.pending), std::mem::take(&mut one.further));
            let kind = match meant {
                Some(candidate) => {
                    self.resolve_known(candidate, pending, lookup).await?;
                    self.candidates[candidate].result.missing += further.0;
                    DiscrepancyKind::Missing
                }
                None => {
                    self.resolve_unknown(self.meant(&label), pending, lookup).await?;
                    DiscrepancyKind::Unknown
                }
            };
            if further.0 > 0 {
                self.tally.count(&label, Some(kind), further.0, further.1);
            }
        }
        Ok(())
    }

    /// An entity should have these. If it does not return them, nothing does.
    async fn resolve_known(
        &mut self,
        candidate: usize,
        pending: Vec<(Seen, bool)>,
        lookup: &mut Lookup<'_>,
    ) -> Result<(), RunError> {
        let ids: Vec<&str> = pending.iter().map(|(seen, _)| &*seen.id).collect();
        let answer = match ids.is_empty() {
            true => return Ok(()),
            false => lookup.ask(&self.candidates[candidate].spec, &ids).await?,
        };
        for (seen, is_gone) in pending {
            let is_there = match &answer {
                Answer::Known(found) => found.contains_key(&seen.id),
                Answer::Unavailable => false,
                // The label says that the entity has it.
                Answer::Unanswered => true,
            };
            match (is_there, is_gone) {
                (true, _) => self.miss(candidate, seen),
                (false, true) => self.lose(candidate, seen),
                (false, false) => self.tally.note(DiscrepancyKind::NotReachable, None, seen),
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
        let mut were_all_asked = true;
        for candidate in order {
            let spec = &self.candidates[candidate].spec;
            if pending.is_empty() || !has_transaction_ids(spec.name().as_str()) {
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
                    found.contains_key(&seen.id) && !self.candidates[candidate].has_met(&seen.id)
                });
            pending = rest;
            for (seen, _) in there {
                self.miss(candidate, seen);
            }
        }
        for (seen, is_gone) in pending {
            match meant {
                Some(candidate) if is_gone && were_all_asked => self.lose(candidate, seen),
                _ if were_all_asked => self.tally.note(DiscrepancyKind::NotReachable, None, seen),
                _ => self.tally.note(DiscrepancyKind::Unknown, None, seen),
            }
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
