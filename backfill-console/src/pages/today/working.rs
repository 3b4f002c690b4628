//! What runs now.

use crate::facts::progress;
use crate::pages::today::known::Today;
use crate::visit::CompanyVisit;

/// A run that a process works on.
#[derive(Debug)]
pub(crate) struct Working {
    pub(crate) id: String,
    /// The names of its pipelines.
    pub(crate) entities: String,
    /// The trigger that started it.
    pub(crate) trigger: Option<String>,
    pub(crate) percent: u64,
    /// How far the reading is, what it took, and what is left.
    pub(crate) details: String,
    pub(crate) is_stopping: bool,
}

/// The most names before the rest is only counted.
const NAMES: usize = 3;

/// Shows the runs that a process works on.
pub(crate) fn working(visit: &CompanyVisit, today: &Today) -> Vec<Working> {
    let (words, language) = (visit.visit.words(), visit.visit.language());
    let w = &words.today;
    let shown = today.live.iter().map(|run| {
        let open: Vec<_> = run.pipelines.iter().filter(|pipeline| pipeline.windows_left > 0).collect();
        let named = if open.is_empty() { run.pipelines.iter().collect() } else { open };
        let names: Vec<_> =
            named.iter().take(NAMES).map(|one| language.entity(&one.totals.entity_name)).collect();
        let rest = u64::try_from(named.len().saturating_sub(NAMES)).unwrap_or_default();
        let more = (rest > 0).then(|| (w.and_more)(rest));
        let entities = names.into_iter().chain(more).collect::<Vec<_>>().join(", ");
        let sum = progress(run);
        let cursor = named.iter().filter_map(|one| one.cursor).max();
        let reading = cursor.map(|at| (w.reading)(&visit.when.day(at).to_string()));
        let left = sum.left.map(|left| {
            let (least, most) = (visit.when.about(left.least), visit.when.about(left.most));
            if least == most { (w.time_left)(&most) } else { (w.time_left_range)(&least, &most) }
        });
        let pages = (words.state.pages)(sum.pages);
        let calls = (w.at_least_calls)(sum.pages);
        let details = [reading, left, Some(pages), Some(calls)].into_iter().flatten().collect::<Vec<_>>();
        let trigger = today.triggers.iter().find(|trigger| trigger.run.as_ref() == Some(&run.run.id));
        Working {
            id: run.run.id.to_string(),
            entities,
            trigger: trigger.map(|trigger| trigger.asked.name.to_string()),
            percent: sum.percent(),
            details: format!("{}.", details.join(", ")),
            is_stopping: run.stop.is_some(),
        }
    });
    shown.collect()
}
