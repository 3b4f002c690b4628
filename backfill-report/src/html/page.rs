//! Renders a run's report as one self-contained HTML page, without scripts and network, for any screen width and for print.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use backfill_core::{Axis, PipelineReport, Report, Totals};
use raw_store::{Finding, LogLine, RunStatus, Severity, ValidationResult, WindowState};
use time::Date;

use super::bars::{Bar, bars};
use super::calendar::calendar;
use super::escaped::Escaped;
use super::frame;
use super::table::push_table;
use crate::days::days_of;
use crate::findings;
use crate::instant::{short, utc};
use crate::number::{grouped, percent, real, seconds};
use crate::summary::{
    confirmations, custom_fields, open_quarantine, resume, standing_numbers, total_numbers,
};
use crate::view::ReportView;
use crate::window_group::{WindowGroup, group_windows};

/// The most windows listed one by one. The calendar, the JSON report and the log have all of them.
const MOST_WINDOWS: usize = 400;

impl ReportView<'_> {
    /// The text of the page's only style element. A server that sends the page can allow this text alone, by its digest in a
    /// `Content-Security-Policy` header, because no element of the page has a style of its own.
    pub const STYLE: &'static str = frame::ELEMENT;

    /// Renders the report as one HTML page without script and without any request to the network.
    #[must_use]
    pub fn to_html(self) -> String {
        let report = self.report;
        let run = &report.run;
        let mut page = String::new();
        frame::begin(&mut page, format_args!("Backfill run {}", run.id), "");
        push_head(&mut page, self);
        push_tiles(&mut page, self);
        push_totals(&mut page, report);
        push_findings(&mut page, report);
        push_again(&mut page, report);
        for pipeline in &report.pipelines {
            push_pipeline(&mut page, report, pipeline);
        }
        push_foot(&mut page, report);
        frame::end(&mut page);
        page
    }
}

fn push_head(page: &mut String, shown: ReportView<'_>) {
    let (report, run) = (shown.report, &shown.report.run);
    let class = match run.status {
        RunStatus::Completed => "good",
        RunStatus::Running | RunStatus::Incomplete | RunStatus::Stopped => "warn",
        RunStatus::Failed => "bad",
    };
    let _ = write!(
        page,
        "<header>\n<h1>Backfill run {} <span class=\"state {class}\">{}</span></h1>\n<ul class=\"facts\">\
         <li>{}</li><li>from <b>{}</b> to <b>{}</b> (UTC, half-open), by <b>{}</b></li><li>started <b>{}</b></li>",
        Escaped(run.id.as_str()),
        run.status.as_str(),
        Escaped(&run.identity.to_string()),
        short(run.span.start()),
        short(run.span.end()),
        Escaped(&run.chunk),
        utc(run.started_at),
    );
    if let Some(end) = run.finished_at {
        let _ = write!(page, "<li>ended <b>{}</b></li>", utc(end));
    }
    page.push_str("</ul>\n");
    if let Some(message) = &run.message {
        let _ = writeln!(page, "<p class=\"note\">{}</p>", Escaped(message));
    }
    if let Some(fields) = custom_fields(report) {
        let _ = writeln!(page, "<p class=\"note\">{}.</p>", Escaped(&fields));
    }
    for line in confirmations(report) {
        let _ = writeln!(page, "<p class=\"quiet\">{}.</p>", Escaped(&line));
    }
    if let Some(open) = open_quarantine(report) {
        let _ = writeln!(page, "<p class=\"note\">{}.</p>", Escaped(&open));
    }
    match resume(report) {
        Some(next) => {
            let _ = writeln!(page, "<p class=\"note\">{}.</p>", Escaped(&next));
        }
        None => page.push_str(
            "<p>Every window of the range is read to its end; nothing is left for a later run.</p>\n",
        ),
    }
    page.push_str("</header>\n");
}

fn push_tiles(page: &mut String, shown: ReportView<'_>) {
    let run = &shown.report.run;
    let totals = Totals::of(&run.pipelines);
    let counts = totals.counts;
    let plain = |name, number: u64| (name, grouped(number), String::new());
    let share = shown
        .percent_of_limit()
        .zip(shown.monthly_calls)
        .map(|(share, allowance)| format!("{} % of {} a month", percent(share), grouped(allowance)));
    let tiles = [
        plain("records read", counts.read()),
        plain("inserted", counts.inserted),
        plain("updated", counts.updated),
        plain("unchanged", counts.unchanged),
        plain("quarantined", counts.quarantined),
        (
            "windows completed",
            grouped(totals.windows_completed),
            format!("of {} opened by this run", grouped(totals.windows_opened)),
        ),
        plain("pages", totals.pages),
        ("API calls", grouped(run.calls), share.unwrap_or_default()),
        (
            "duration",
            shown.seconds().map_or_else(|| "not recorded".to_owned(), |time| format!("{} s", seconds(time))),
            format!("{} s of it waited for limits", seconds(run.waited_seconds)),
        ),
        plain("calls repeated", run.retries),
    ];
    page.push_str("<dl class=\"tiles\">");
    for (name, value, more) in tiles {
        let more = if more.is_empty() { more } else { format!("<small>{}</small>", Escaped(&more)) };
        let _ = write!(page, "<div><dt>{name}</dt><dd>{}{more}</dd></div>", Escaped(&value));
    }
    page.push_str("</dl>\n");
}

fn push_totals(page: &mut String, report: &Report) {
    page.push_str("<h2>What this run did</h2>\n");
    let cells = |totals| total_numbers(totals).map(grouped).to_vec();
    let one = |one: &PipelineReport| {
        (one.totals.entity_name.to_string(), cells(Totals::of(std::slice::from_ref(&one.totals))))
    };
    let mut rows: Vec<_> = report.pipelines.iter().map(one).collect();
    rows.push(("all".to_owned(), cells(Totals::of(&report.run.pipelines))));
    let columns = [
        "pipeline",
        "windows",
        "done",
        "prov.",
        "failed",
        "unavail.",
        "read",
        "inserted",
        "updated",
        "unchanged",
        "quarant.",
        "pages",
    ];
    push_table(page, "totals", &columns, &rows);

    page.push_str("<h2>The range as it stands now</h2>\n");
    let rows: Vec<_> = report.pipelines.iter().map(standing).collect();
    let columns = [
        "table",
        "rows",
        "windows",
        "done",
        "prov.",
        "failed",
        "unavail.",
        "open",
        "records read",
        "seconds",
    ];
    push_table(page, "standing", &columns, &rows);
}

fn standing(pipeline: &PipelineReport) -> (String, Vec<String>) {
    let mut cells = standing_numbers(pipeline).map(grouped).to_vec();
    cells.push(seconds(pipeline.duration().as_secs_f64()));
    (pipeline.table.clone(), cells)
}

fn push_findings(page: &mut String, report: &Report) {
    let _ = write!(page, "<h2>Findings</h2>\n<p>{}</p>\n", Escaped(&findings::sum(report)));
    if findings::all(report).next().is_none() {
        return;
    }
    page.push_str("<ol class=\"found\">");
    for (validated, finding) in findings::all(report) {
        let class = match finding.severity {
            Severity::Error => "bad",
            Severity::Warning => "warn",
            Severity::Info => "quiet",
        };
        let _ = write!(
            page,
            "<li><b class=\"{class}\">{}</b><span>{}</span><span>{}<small>{}, {}</small></span></li>",
            finding.severity,
            finding.span.map(|span| short(span.start())).unwrap_or_default(),
            Escaped(&finding.detail),
            Escaped(&findings::pipeline(validated)),
            Escaped(&finding.kind),
        );
    }
    page.push_str("</ol>\n");
}

/// Compares two runs over the same windows.
fn push_again(page: &mut String, report: &Report) {
    let Some(other) = &report.other else { return };
    let mut runs = [other, &report.run];
    runs.sort_by_key(|run| run.started_at);
    page.push_str(
        "<h2>The same windows, read twice</h2>\n<p>What the later run inserts or updates is what has changed in between; what \
         it finds unchanged it does not write.</p>\n",
    );
    let rows = runs.map(|run| {
        let totals = Totals::of(&run.pipelines);
        let counts = totals.counts;
        let numbers = [
            totals.windows_opened,
            counts.read(),
            counts.inserted,
            counts.updated,
            counts.unchanged,
            run.calls,
        ];
        let mut cells = vec![utc(run.started_at)];
        cells.extend(numbers.map(grouped));
        (run.id.to_string(), cells)
    });
    let columns = ["run", "started", "windows", "read", "inserted", "updated", "unchanged", "calls"];
    push_table(page, "again", &columns, &rows);
}

fn push_pipeline(page: &mut String, report: &Report, pipeline: &PipelineReport) {
    let _ = write!(
        page,
        "<section>\n<h2>{}</h2>\n<p class=\"quiet\">{} rows in <code>{}</code>; windows by {}.</p>\n",
        Escaped(&pipeline.pipeline),
        grouped(pipeline.rows),
        Escaped(&pipeline.table),
        match pipeline.axis {
            Axis::Updated => "last update",
            Axis::Created => "creation",
            Axis::TxnDate => "transaction date",
        }
    );
    let unavailable = pipeline.windows.iter().find(|line| line.state == WindowState::Unavailable);
    if let Some(why) = unavailable.and_then(|line| line.error_message.as_deref()) {
        let _ = writeln!(page, "<p class=\"note\">{}</p>", Escaped(why));
    }
    let marked = marked(report, pipeline);
    let _ = writeln!(page, "<h3>Coverage</h3>\n{}{}", calendar(pipeline, &marked), LEGEND);
    push_bars(page, pipeline, &marked);
    push_windows(page, pipeline);
    page.push_str("</section>\n");
}

const LEGEND: &str = concat!(
    "<ul class=\"legend\">",
    "<li><svg aria-hidden=\"true\"><rect class=\"l1\" width=\"12\" height=\"12\" rx=\"2\"/></svg>few records</li>",
    "<li><svg aria-hidden=\"true\"><rect class=\"l4\" width=\"12\" height=\"12\" rx=\"2\"/></svg>many</li>",
    "<li><svg aria-hidden=\"true\"><rect class=\"empty\" width=\"12\" height=\"12\" rx=\"2\"/></svg>read, empty</li>",
    "<li><svg aria-hidden=\"true\"><rect class=\"unproven\" width=\"12\" height=\"12\" rx=\"2\"/></svg>not confirmed by a count</li>",
    "<li><svg aria-hidden=\"true\"><rect class=\"provisional\" width=\"12\" height=\"12\" rx=\"2\"/></svg>provisional</li>",
    "<li><svg aria-hidden=\"true\"><rect class=\"failed\" width=\"12\" height=\"12\" rx=\"2\"/></svg>failed</li>",
    "<li><svg aria-hidden=\"true\"><rect class=\"open\" width=\"12\" height=\"12\" rx=\"2\"/></svg>never read to its end</li>",
    "<li><svg aria-hidden=\"true\"><rect class=\"unavailable\" width=\"12\" height=\"12\" rx=\"2\"/></svg>not available</li>",
    "<li><svg aria-hidden=\"true\"><rect class=\"marked\" width=\"12\" height=\"12\" rx=\"2\"/></svg>has a finding</li>",
    "</ul>"
);

/// The days that findings of this pipeline concern.
fn marked(report: &Report, pipeline: &PipelineReport) -> BTreeSet<Date> {
    let own =
        |(validated, _): &(&ValidationResult, &Finding)| validated.entity_name == pipeline.totals.entity_name;
    let spans = findings::all(report).filter(own).filter_map(|(_, finding)| finding.span);
    spans.flat_map(days_of).collect()
}

fn push_bars(page: &mut String, pipeline: &PipelineReport, marked: &BTreeSet<Date>) {
    let bar = |value: fn(&LogLine) -> f64, marks: bool| -> Vec<Bar> {
        let one = |line: &LogLine| Bar {
            label: short(line.window.start()),
            value: value(line),
            marked: marks && marked.contains(&line.window.start().date()),
        };
        pipeline.windows.iter().map(one).collect()
    };
    let records = bar(|line| real(line.metrics.records_read), true);
    page.push_str(&bars("Records per window", &records, |value| format!("{value:.0} records")));
    let duration = bar(|line| line.duration.as_secs_f64(), false);
    let pages = bar(|line| real(line.metrics.pages_read), false);
    page.push_str("<div class=\"pair\">");
    page.push_str(&bars("Duration per window", &duration, brief));
    page.push_str(&bars("Calls (pages) per window", &pages, |value| format!("{value:.0}")));
    page.push_str("</div>\n");
}

fn brief(time: f64) -> String {
    if time < 1.0 { format!("{:.0} ms", time * 1000.0) } else { format!("{time:.1} s") }
}

fn push_windows(page: &mut String, pipeline: &PipelineReport) {
    let telling = |line: &&LogLine| line.metrics.records_read > 0 || line.state != WindowState::Completed;
    let told = pipeline.windows.iter().filter(telling).count();
    let lines = group_windows(pipeline.windows.iter().filter(telling));
    let empty = pipeline.windows.len() - told;
    let _ = write!(
        page,
        "<details><summary>{} windows with records or open; {} completed and empty</summary>",
        grouped(told as u64),
        grouped(empty as u64)
    );
    let row = |line: &WindowGroup<'_>| {
        let [window, cells @ ..] = line.cells();
        (window, cells.to_vec())
    };
    let rows: Vec<_> = lines.iter().take(MOST_WINDOWS).map(row).collect();
    let columns =
        ["window", "status", "read", "inserted", "updated", "unchanged", "quarant.", "seconds", "message"];
    push_table(page, "windows", &columns, &rows);
    let more: usize = lines.iter().skip(MOST_WINDOWS).map(|line| line.count).sum();
    if more > 0 {
        let _ = write!(
            page,
            "<p class=\"quiet\">… and {} more, in <code>report --format json</code> and in <code>raw.backfill_log</code>.</p>",
            grouped(more as u64)
        );
    }
    page.push_str("</details>\n");
}

fn push_foot(page: &mut String, report: &Report) {
    let run = &report.run;
    let _ = writeln!(
        page,
        "<footer>Rebuilt from the log by qbo-backfill {}. Every number is SQL over <code>backfill_run_pipeline</code>, \
         <code>backfill_log</code>, <code>backfill_finding</code> and the tables; run <code>{}</code>, seed <code>{}</code>.\
         </footer>",
        env!("CARGO_PKG_VERSION"),
        Escaped(run.id.as_str()),
        run.seed
    );
}
