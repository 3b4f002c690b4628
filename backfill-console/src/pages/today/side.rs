//! The triggers and the calls of the month.

use raw_store::{Trigger, TriggerState};

use crate::facts::Due;
use crate::pages::today::known::Today;
use crate::visit::CompanyVisit;
use crate::when::Both;

/// The most triggers that Today lists.
const MOST: usize = 8;

/// One trigger.
#[derive(Debug)]
pub(crate) struct TriggerLine {
    pub(crate) href: String,
    pub(crate) name: String,
    pub(crate) pill: String,
    pub(crate) tone: &'static str,
    /// When it fires, while that is to come.
    pub(crate) fires: Option<Both>,
    /// What it reads, or what it waits for.
    pub(crate) about: String,
}

/// Lists the triggers that still do something, and those that failed.
pub(crate) fn triggers(visit: &CompanyVisit, today: &Today) -> Vec<TriggerLine> {
    let pairs = today.triggers.iter().zip(&today.dues);
    let shown = pairs.filter(|(_, due)| match due {
        Due::Spent(state) => *state == TriggerState::Failed,
        _ => true,
    });
    shown.take(MOST).map(|(trigger, due)| line(visit, today, trigger, due)).collect()
}

fn line(visit: &CompanyVisit, today: &Today, trigger: &Trigger, due: &Due) -> TriggerLine {
    let words = visit.visit.words();
    let w = &words.today;
    let state = words.state.trigger;
    let at = trigger.asked.fire_at;
    let reads = reads(visit, trigger);
    let fires = Some(visit.when.moment(at, today.now));
    let (pill, tone, fires, about) = match due {
        Due::At(at) => (visit.when.until(*at, today.now), "", fires, reads),
        Due::Now => (words.frame.now.to_owned(), "busy", fires, reads),
        Due::NoWorker => (w.no_worker_pill.to_owned(), "bad", fires, reads),
        Due::After(other) => (w.after_pill.to_owned(), "", None, (w.waits_for)(other.as_str())),
        Due::HeldUp(other, why) => {
            (w.held_up_pill.to_owned(), "bad", None, (w.held_up)(other.as_str(), *why))
        }
        Due::Resting(rest) => (
            state(trigger.state).to_owned(),
            "warn",
            None,
            (w.resting)(&visit.when.until(rest.until, today.now)),
        ),
        Due::Running => (state(trigger.state).to_owned(), "busy", None, reads),
        Due::Spent(spent) => (state(*spent).to_owned(), "bad", None, reads),
    };
    let name = trigger.asked.name.to_string();
    TriggerLine { href: format!("{}/triggers/{name}", visit.base()), name, pill, tone, fires, about }
}

/// What a trigger reads: its pipelines and its range.
pub(crate) fn reads(visit: &CompanyVisit, trigger: &Trigger) -> String {
    let (language, plan) = (visit.visit.language(), &trigger.asked.plan);
    let w = &visit.visit.words().today;
    let names: Vec<_> = plan.entity_names.iter().take(2).map(|name| language.entity_within(name)).collect();
    let rest = u64::try_from(plan.entity_names.len().saturating_sub(2)).unwrap_or_default();
    let more = (rest > 0).then(|| (w.and_more)(rest));
    let names = names.into_iter().chain(more).collect::<Vec<_>>().join(", ");
    let [from, to] = [plan.span.start(), plan.span.end()].map(backfill_report::instant::short);
    format!("{names}, {from} {} {to}", w.to)
}

/// The calls of the month.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) title: String,
    pub(crate) used: String,
    pub(crate) details: String,
    /// Calls used and allowed, for the bar.
    pub(crate) bar: Option<(u64, u64)>,
    pub(crate) percent: u64,
    /// What holds back all calls now.
    pub(crate) held_back: Option<String>,
}

impl Budget {
    pub(crate) fn new(visit: &CompanyVisit, today: &Today) -> Self {
        let (language, w) = (visit.visit.language(), &visit.visit.words().today);
        let budget = &today.budget;
        let number = |number| language.number(number);
        let ends = visit.when.until(budget.until, today.now);
        // The month is one of UTC: the instant before the next one begins is in it.
        let month = (budget.until - time::Duration::SECOND).month();
        let most = visit.company.monthly_calls;
        let (used, details) = match most {
            Some(most) => {
                let left = most.saturating_sub(budget.used);
                ((w.calls)(&number(budget.used), &number(most)), (w.calls_left)(&number(left), &ends))
            }
            None => (number(budget.used), format!("{}. {}", (w.calls_used)(&ends), w.no_allowance)),
        };
        let at = |at| visit.when.clock(at);
        let paused = budget.paused_until.map(|until| (w.paused)(&at(until)));
        Self {
            title: (w.calls_of)(language.month(month)),
            used,
            details,
            bar: most.map(|most| (budget.used.min(most), most)),
            percent: most.and_then(|most| (budget.used * 100).checked_div(most)).unwrap_or_default(),
            held_back: paused.or_else(|| budget.down_until.map(|until| (w.down)(&at(until)))),
        }
    }
}
