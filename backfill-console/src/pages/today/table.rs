//! The table of pipelines.

use std::time::Duration;

use backfill_core::catalog::pipeline_name;

use crate::facts::{PipelineFacts, Standing, days, days_begun, month_bars};
use crate::pages::standing::pill;
use crate::pages::today::known::Today;
use crate::visit::CompanyVisit;

/// The table of pipelines.
#[derive(Debug)]
pub(crate) struct PipelineTable {
    /// The heading of the bars, which names their years.
    pub(crate) years: String,
    /// Width of a bar, in the units of its pieces.
    pub(crate) width: usize,
    pub(crate) lines: Vec<PipelineLine>,
}

/// One pipeline.
#[derive(Debug)]
pub(crate) struct PipelineLine {
    pub(crate) href: String,
    pub(crate) name: String,
    pub(crate) pipeline: String,
    /// Said beside the name if it is not the usual axis.
    pub(crate) axis: Option<&'static str>,
    pub(crate) pill: &'static str,
    pub(crate) tone: &'static str,
    pub(crate) why: String,
    /// Place and class of each piece of the bar.
    pub(crate) bar: Vec<(usize, &'static str)>,
    pub(crate) days: String,
    pub(crate) rows: String,
    pub(crate) last: String,
}

/// The width of a piece in the units of the bar, with the gap behind it.
const PIECE: usize = 4;

/// Fills the table.
pub(crate) fn table(visit: &CompanyVisit, today: &Today) -> PipelineTable {
    let w = &visit.visit.words().today;
    let (years, pieces, bars) = month_bars(&today.pipelines);
    let lines = today.pipelines.iter().zip(bars).map(|(facts, bar)| {
        let bar = bar.pieces.iter().map(|(at, mark)| (at * PIECE, mark.class())).collect();
        line(visit, today, facts, bar)
    });
    PipelineTable {
        years: years.map_or_else(String::new, |(first, last)| (w.by_month)(first, last)),
        width: pieces * PIECE,
        lines: lines.collect(),
    }
}

fn line(
    visit: &CompanyVisit,
    today: &Today,
    facts: &PipelineFacts,
    bar: Vec<(usize, &'static str)>,
) -> PipelineLine {
    let (words, language) = (visit.visit.words(), visit.visit.language());
    let name = &*facts.entity_name;
    let (pill, tone, why) = state(visit, facts);
    let is_default = visit
        .company
        .catalog
        .find(name)
        .is_ok_and(|spec| spec.axes().first().is_some_and(|axis| axis.as_str() == &*facts.time_axis));
    let by = if is_default { String::new() } else { format!("?by={}", facts.time_axis) };
    let read_by = |run: &&raw_store::RunRecord| run.pipelines.iter().any(|one| *one.entity_name == *name);
    let last = today.runs.iter().find(read_by);
    let number = |number| language.number(number);
    let of = (words.today.of)(&number(days(facts.read)), &number(days(facts.whole())));
    PipelineLine {
        href: format!("{}/pipelines/{name}{by}", visit.base()),
        name: language.entity(name),
        pipeline: pipeline_name(name),
        axis: (!is_default).then(|| (words.state.axis)(&facts.time_axis)),
        pill,
        tone,
        why,
        bar,
        days: if facts.is_unavailable() { "—".to_owned() } else { of },
        rows: number(today.rows.get(name).copied().unwrap_or_default()),
        last: last.map_or_else(
            || "—".to_owned(),
            |run| visit.when.ago(run.finished_at.unwrap_or(today.now), today.now),
        ),
    }
}

/// Some time, and the words for its days.
type Part = (Duration, fn(u64) -> String);

/// The state of a pipeline in a word, its tone, and why.
fn state(visit: &CompanyVisit, facts: &PipelineFacts) -> (&'static str, &'static str, String) {
    let w = &visit.visit.words().today;
    let told = |parts: &[Part]| {
        let some = parts.iter().filter(|(time, _)| !time.is_zero());
        some.map(|(time, words)| words(days_begun(*time))).collect::<Vec<_>>().join(", ")
    };
    let standing = facts.standing();
    let why = match standing {
        Standing::Unavailable => w.not_offered.to_owned(),
        Standing::Incomplete => told(&[(facts.failed, w.failed_days), (facts.missing(), w.unread_days)]),
        Standing::Provisional => (visit.visit.words().state.days)(days_begun(facts.provisional)),
        Standing::Unconfirmed => told(&[(facts.unconfirmed, w.unconfirmed_days)]),
        Standing::Reading | Standing::Confirmed => String::new(),
    };
    let (pill, tone) = pill(visit, standing);
    (pill, tone, why)
}
