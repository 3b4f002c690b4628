//! The panel of one day.

use backfill_report::calendar::{DayCell, worst_state};
use raw_store::{LogLine, Window};
use time::{Date, Duration, Time};

use crate::facts::least_calls;
use crate::pages::coverage::known::Coverage;
use crate::pages::new::new_run;
use crate::pages::step::Step;
use crate::plain::Plain;
use crate::visit::CompanyVisit;
use crate::when::Both;

/// The most windows of a day that are shown one by one.
const MOST: usize = 6;

/// The panel of one day.
#[derive(Debug)]
pub(crate) struct DayPanel {
    pub(crate) title: String,
    pub(crate) pill: &'static str,
    pub(crate) tone: &'static str,
    pub(crate) windows: Vec<WindowFacts>,
    /// How many windows are not shown.
    pub(crate) more: Option<String>,
    /// What each finding is about, and the validation's own sentence, which is English.
    pub(crate) findings: Vec<(Option<&'static str>, Plain)>,
    pub(crate) steps: Vec<Step>,
}

/// One window of the day.
#[derive(Debug)]
pub(crate) struct WindowFacts {
    /// In UTC, and in the company's own zone.
    pub(crate) window: (String, String),
    pub(crate) state: &'static str,
    /// The reason in the language of the page, by its code.
    pub(crate) reason: Option<&'static str>,
    /// The program's own sentence.
    pub(crate) why: Option<Plain>,
    pub(crate) records: String,
    pub(crate) outcome: String,
    pub(crate) attempts: u32,
    pub(crate) run: Option<(String, String)>,
    pub(crate) counted: Option<Both>,
    pub(crate) duration: String,
}

impl DayPanel {
    pub(crate) fn new(visit: &CompanyVisit, coverage: &Coverage, day: Date) -> Self {
        let (words, language) = (visit.visit.words(), visit.visit.language());
        let cell = coverage.cells.get(&day);
        let places = cell.map_or(&[][..], |cell: &DayCell| &cell.lines);
        let lines: Vec<&LogLine> = places.iter().filter_map(|place| coverage.lines.get(*place)).collect();
        let about = coverage.findings.iter().filter(|one| {
            one.finding
                .span
                .is_some_and(|span| span.start().date() <= day && day.midnight().assume_utc() < span.end())
        });
        let rest = u64::try_from(lines.len().saturating_sub(MOST)).unwrap_or_default();
        let state = worst_state(&lines);
        Self {
            title: language.day(day),
            pill: state.map_or(words.coverage.unplanned, words.state.window),
            tone: state.map_or("warn", tone),
            windows: lines.iter().take(MOST).map(|line| WindowFacts::new(visit, coverage, line)).collect(),
            more: (rest > 0).then(|| (words.coverage.more_windows)(rest)),
            findings: about
                .map(|one| (language.finding(&one.finding.kind), Plain::new(&one.finding.detail)))
                .collect(),
            steps: steps(visit, coverage, day, &lines),
        }
    }
}

/// The tone of a window's state.
pub(crate) fn tone(state: raw_store::WindowState) -> &'static str {
    use raw_store::WindowState as State;
    match state {
        State::Failed => "bad",
        State::Provisional | State::Pending => "warn",
        State::Running => "busy",
        State::Completed => "good",
        State::Unavailable => "",
    }
}

impl WindowFacts {
    fn new(visit: &CompanyVisit, coverage: &Coverage, line: &LogLine) -> Self {
        let words = visit.visit.words();
        let metrics = &line.metrics;
        let moment = |at| visit.when.moment(at, coverage.now);
        Self {
            window: visit.when.window(line.window),
            state: (words.state.window)(line.state),
            reason: line.error_code.as_deref().and_then(|code| visit.visit.language().reason(code)),
            why: line.error_message.as_deref().map(Plain::new),
            records: (words.state.records)(metrics.records_read),
            outcome: (words.coverage.outcome)(
                metrics.records_inserted,
                metrics.records_updated,
                metrics.records_unchanged,
                metrics.records_quarantined,
            ),
            attempts: line.attempts,
            run: line.run.as_ref().map(|run| (format!("{}/runs/{run}", visit.base()), run.to_string())),
            counted: line.counted_at.map(moment),
            duration: visit.when.duration(line.duration),
        }
    }
}

fn steps(visit: &CompanyVisit, coverage: &Coverage, day: Date, lines: &[&LogLine]) -> Vec<Step> {
    let w = &visit.visit.words().coverage;
    let (base, entity, axis) = (visit.base(), &coverage.entity, &coverage.axis);
    let mut steps = Vec::new();
    let start = lines.iter().map(|line| line.window.start()).min();
    let end = lines.iter().map(|line| line.window.end()).max();
    if let Some((start, end)) = start.zip(end).filter(|_| !visit.visit.app.look_only) {
        let own: Vec<LogLine> = lines.iter().map(|line| (*line).clone()).collect();
        let price = least_calls(&visit.company.catalog, &own);
        let span = Window::new(start, end).ok();
        // Another window would be cut at midnights of UTC, and one that begins later has nothing to read yet.
        let is_day = |line: &LogLine| {
            let window = line.window;
            window.start().time() == Time::MIDNIGHT && window.end() - window.start() == Duration::DAY
        };
        let can_be_read = own.iter().all(is_day) && start <= coverage.now;
        let at_once = price
            .filter(|_| can_be_read)
            .and_then(|calls| Step::read_now(visit, "again", &own, (w.read_day)(calls)));
        let asks = || Step::act(visit, &new_run("again", (entity, axis), span), w.read_day_plain);
        steps.push(at_once.unwrap_or_else(asks));
    }
    if let Some(at) = lines.iter().filter_map(|line| line.finished_at).max() {
        let instant = backfill_report::instant::utc(at);
        let text = (w.what_happened)(&visit.when.moment(at, coverage.now).first);
        steps.push(Step::look(format!("{base}/log?at={instant}&entity={entity}"), text));
    }
    let rows =
        lines.iter().map(|line| line.metrics.records_read - line.metrics.records_quarantined).sum::<u64>();
    if rows > 0 {
        steps.push(Step::look(format!("{base}/records/{entity}?day={day}"), (w.its_rows)(rows)));
    }
    steps
}
