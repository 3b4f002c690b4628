//! The lines of the log, by day.

use raw_store::{
    HistoryEntry, HistoryKind, RunStatus, Severity, VerifyMethod, VerifyResult, Window, WindowState,
};

use super::moment::Moment;
use crate::plain::Plain;
use crate::visit::CompanyVisit;
use crate::when::Both;

/// What happened on one day of the zone that comes first.
#[derive(Debug)]
pub(super) struct Day {
    pub(super) title: String,
    pub(super) lines: Vec<Line>,
}

/// One entry.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) time: Both,
    /// Whether it is of the minute or second that was asked for.
    pub(super) is_marked: bool,
    /// Whether it is the first line of the time that was asked for.
    pub(super) is_first_here: bool,
    pub(super) level: &'static str,
    pub(super) tone: &'static str,
    pub(super) phase: &'static str,
    pub(super) entity: Option<(String, String)>,
    pub(super) what: String,
    /// Whether `what` is the program's own English.
    pub(super) is_english: bool,
    /// The program's own sentence.
    pub(super) detail: Option<Plain>,
    pub(super) who: Option<Plain>,
    pub(super) run: Option<(String, String)>,
    pub(super) trigger: Option<(String, String)>,
    /// The fields, each with its name.
    pub(super) fields: Vec<(&'static str, String)>,
}

/// Groups entries, which come in the order of time, by day.
pub(super) fn days(visit: &CompanyVisit, entries: &[HistoryEntry], moment: Option<Moment>) -> Vec<Day> {
    let language = visit.visit.language();
    let mut days: Vec<Day> = Vec::new();
    let mut last = None;
    let mut was_here = false;
    for entry in entries {
        let day = visit.when.shown_day(entry.at);
        if last != Some(day) {
            days.push(Day { title: language.day(day), lines: Vec::new() });
            last = Some(day);
        }
        let is_here = moment.is_some_and(|moment| moment.contains(entry.at));
        // To mark a whole day would mark nothing.
        let is_marked = is_here && moment.is_some_and(Moment::is_short);
        let line = Line { is_marked, is_first_here: is_here && !was_here, ..line(visit, entry) };
        was_here |= is_here;
        if let Some(day) = days.last_mut() {
            day.lines.push(line);
        }
    }
    days
}

fn line(visit: &CompanyVisit, entry: &HistoryEntry) -> Line {
    let (words, language, base) = (visit.visit.words(), visit.visit.language(), visit.base());
    let own = what(visit, entry);
    Line {
        time: visit.when.seconds(entry.at),
        is_marked: false,
        is_first_here: false,
        level: (words.log.level_name)(entry.level),
        tone: tone(entry.level),
        phase: (words.log.phase_name)(entry.phase),
        entity: entry.entity_name.as_deref().map(|name| {
            let path: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
            (format!("{base}/pipelines/{path}"), Plain::new(&language.entity(name)).to_string())
        }),
        is_english: own.is_none(),
        what: own.unwrap_or_else(|| Plain::new(&entry.event).to_string()),
        detail: detail(entry),
        who: entry.who.as_deref().map(Plain::new),
        run: run(entry).map(|run| (format!("{base}/runs/{run}"), run)),
        trigger: entry.trigger.as_ref().map(|name| (format!("{base}/triggers/{name}"), name.to_string())),
        fields: fields(visit, entry),
    }
}

fn tone(level: Severity) -> &'static str {
    match level {
        Severity::Info => "",
        Severity::Warning => "warn",
        Severity::Error => "bad",
    }
}

/// The run to which the line leads. A verification has an id of its own, which is no run's.
fn run(entry: &HistoryEntry) -> Option<String> {
    entry.run.as_ref().filter(|_| entry.kind != HistoryKind::Verification).map(ToString::to_string)
}

/// The sentence behind the first words. That of a verification is its method, which the words name already.
fn detail(entry: &HistoryEntry) -> Option<Plain> {
    let is_told = entry.kind == HistoryKind::Verification || &*entry.event == "armed";
    entry.detail.as_deref().filter(|_| !is_told).map(Plain::new)
}

/// What happened, in words of the page's language; `None` if there are none for it.
fn what(visit: &CompanyVisit, entry: &HistoryEntry) -> Option<String> {
    let (words, w) = (visit.visit.words(), &visit.visit.words().log);
    let span = entry.span.map(|span| spanned(visit, span)).unwrap_or_default();
    let records = entry.records.unwrap_or_default();
    Some(match entry.kind {
        HistoryKind::Event => return (w.event)(&entry.event).map(str::to_owned),
        HistoryKind::Page => (w.page)(&Plain::new(&entry.event).to_string(), &(words.state.records)(records)),
        HistoryKind::Window => {
            let state = WindowState::from_word(&entry.event)?;
            (w.window)(&span, (words.state.window)(state), &(words.state.records)(records))
        }
        HistoryKind::RunBegun => (w.run_begun)(&span),
        HistoryKind::RunEnded => {
            let status = RunStatus::from_word(&entry.event)?;
            (w.run_ended)((words.state.run)(status))
        }
        HistoryKind::RunAskedToStop => w.asked_to_stop.to_owned(),
        HistoryKind::Trigger => {
            let is_again = entry.detail.as_deref() == Some("again");
            (w.trigger_event)(&entry.event, is_again)?.to_owned()
        }
        HistoryKind::Finding => (w.finding)(&Plain::new(&entry.event.replace('_', " ")).to_string()),
        HistoryKind::Verification => {
            let method = VerifyMethod::from_word(entry.detail.as_deref()?)?;
            let result = VerifyResult::from_word(&entry.event)?;
            format!("{}: {}", (w.verification)(method), (w.verify_result)(result))
        }
    })
}

/// A span as people read it: one day as that day, otherwise both ends.
fn spanned(visit: &CompanyVisit, span: Window) -> String {
    use backfill_report::instant::short;
    let (start, end) = (span.start(), span.end());
    let day = short(start);
    if end - start == time::Duration::DAY && !day.contains('T') {
        return day;
    }
    format!("{day} {} {}", visit.visit.words().today.to, short(end))
}

fn fields(visit: &CompanyVisit, entry: &HistoryEntry) -> Vec<(&'static str, String)> {
    let (w, language) = (&visit.visit.words().log, visit.visit.language());
    let exact = visit.when.exact(entry.at);
    let at = [exact.first, exact.second]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join(" · ");
    let nanos = entry.at.microsecond();
    let plain = |text: &str| Plain::new(text).to_string();
    let text = |field: Option<&str>| field.map(plain);
    let span = |span: Window| {
        let [from, to] = [span.start(), span.end()].map(backfill_report::instant::utc);
        format!("{from} {} {to}", visit.visit.words().today.to)
    };
    let all = [
        (w.time, Some(format!("{at} (.{nanos:06})"))),
        (w.kind, Some((w.kind_name)(entry.kind).to_owned())),
        (w.level, Some((w.level_name)(entry.level).to_owned())),
        (w.phase, Some((w.phase_name)(entry.phase).to_owned())),
        (w.event_field, Some(plain(&entry.event))),
        (w.pipeline, text(entry.entity_name.as_deref())),
        (w.span, entry.span.map(span)),
        (w.records, entry.records.map(|records| language.number(records))),
        (w.run, entry.run.as_ref().map(ToString::to_string)),
        (w.trigger, entry.trigger.as_ref().map(ToString::to_string)),
        (w.who, text(entry.who.as_deref())),
        (w.code, text(entry.code.as_deref())),
        (w.detail, text(entry.detail.as_deref())),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
