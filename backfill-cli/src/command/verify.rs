//! The command `verify`: compares the stored rows with what QuickBooks has. Without `--repair` and `--mark-gone` it changes no
//! row and no window.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use backfill_core::{
    Axis, Catalog, ChunkSize, EventSink, Mismatch, RunEvent, RunEventKind, RunRequest, VerifiedPipeline,
    VerifyMethod, VerifyRequest, tile,
};
use backfill_report::verification::{json as verification_json, text as verification_text};
use raw_store::{LogFilter, LogLine, Quarantine as _, Reopen, Window, WindowState};

use super::request::{nobody, request, span};
use super::rerun::chosen_windows;
use super::run::{self, Ending};
use super::unsound::Unsound;
use super::verify_windows::completed;
use crate::app::{Database, RunApp, Schema, compose};
use crate::args::{Output, RunArgs, VerifyArgs};
use crate::config::settings::Settings;
use crate::output::event;
use crate::output::exit::{DONE, Exit, INCOMPLETE};
use crate::output::print::{out, say};
use crate::output::screen_width;
use crate::shutdown::Stop;
use crate::sinks::progress::{shows_bar, sink};

/// The most differences shown per pipeline and kind; `--output json` lists all of them.
const MOST_SHOWN: usize = 20;

/// `verify`: compares the stored records with QuickBooks.
pub(crate) async fn verify(settings: &Settings, arguments: &VerifyArgs) -> Result<u8, Exit> {
    // Refuse wrong arguments before opening anything.
    let asked = match (arguments.from, arguments.to) {
        (Some(from), Some(to)) => Some(span(settings, from, to)?),
        _ => None,
    };
    settings.catalog.select(arguments.pipelines.iter().map(String::as_str))?;
    if let Some(span) = asked {
        request(settings, &RunArgs::by_day(arguments.pipelines.clone(), span), span, nobody(None))?;
    }
    let stop = Stop::listen()?;
    let shown: Arc<Shown> = Arc::default();
    let bar = shows_bar(settings);
    let composed = compose(settings, arguments.concurrency, 0, Schema::Needed, |client| {
        Arc::new(Listener { inner: sink(settings, client), shown: Arc::clone(&shown), bar })
    })
    .await?;
    stop.keep(&composed.tokens);
    stop.follow(settings)?;
    let mut job = Job { settings, arguments, composed: &composed, stop: &stop, found: Vec::new() };
    let result = job.compare(asked).await;
    let (found, calls) = (job.found, composed.client.usage().calls);
    let closed = composed.close().await;
    let result = result.and_then(|again| closed.map(|()| again));

    let disagree = found.iter().any(|one| !one.agrees() || one.open_quarantine > 0);
    let verdict = match &result {
        Ok(_) if disagree => Err(disagreement(&found)),
        Ok(_) => Ok(DONE),
        Err(exit) => Err(exit.clone()),
    };
    match settings.output {
        Output::Text => {
            let shown = shown.0.lock().unwrap_or_else(PoisonError::into_inner);
            out(&verification_text(&found, &shown, calls, screen_width::of_stdout()));
        }
        Output::Json => {
            let (code, next) = verdict.as_ref().map_or_else(|exit| (exit.code, &*exit.next), |_| (DONE, ""));
            event::write("verify_finished", verification_json(&found, calls, code, next));
        }
    }
    match result {
        Ok(again) if arguments.repair && !again.is_empty() => repair(settings, again, &found).await,
        _ => verdict,
    }
}

/// A verification in progress.
struct Job<'a> {
    settings: &'a Settings,
    arguments: &'a VerifyArgs,
    composed: &'a RunApp,
    stop: &'a Stop,
    found: Vec<VerifiedPipeline>,
}

impl Job<'_> {
    /// Compares every pipeline over its range. Returns the windows to read again.
    async fn compare(&mut self, asked: Option<Window>) -> Result<BTreeMap<Box<str>, Vec<Window>>, Exit> {
        let mut lines = self.composed.store.lines(&LogFilter::default()).await?;
        lines.retain(|line| *line.time_axis == *Axis::Updated.as_str());
        if self.arguments.by_count {
            self.count(asked, &lines).await?;
            let again = self.found.iter().filter(|found| !found.read_again.is_empty());
            return Ok(again.map(|found| (found.entity_name.clone(), windows(found, &lines))).collect());
        }
        let spans = match asked {
            Some(span) => BTreeMap::from([(span, self.arguments.pipelines.clone())]),
            None => self.spans(&lines)?,
        };
        for (span, pipelines) in spans {
            let run = RunArgs {
                page_size: self.arguments.page_size,
                concurrency: self.arguments.concurrency,
                chunk: by_what(span),
                ..RunArgs::by_day(pipelines, span)
            };
            let mut request = request(self.settings, &run, span, nobody(None))?;
            request.identity = self.composed.identity.clone();
            let marks_gone = self.arguments.repair || self.arguments.mark_gone;
            let request = VerifyRequest::new(request).with_marks(marks_gone);
            self.verify(request).await?;
        }
        let again = self.found.iter().filter(|found| !found.read_again.is_empty());
        Ok(again.map(|found| (found.entity_name.clone(), windows(found, &lines))).collect())
    }

    /// Counts the completed windows of every pipeline, and compares those whose numbers differ.
    async fn count(&mut self, asked: Option<Window>, lines: &[LogLine]) -> Result<(), Exit> {
        let words = self.arguments.pipelines.iter().map(String::as_str);
        for spec in self.settings.catalog.select(words)? {
            let windows = completed(&spec, lines, asked);
            let ends = windows.first().zip(windows.last()).map(|(first, last)| (first.start(), last.end()));
            let Some(Ok(range)) = ends.map(|(from, to)| Window::new(from, to)) else { continue };
            let run = RunArgs {
                page_size: self.arguments.page_size,
                concurrency: self.arguments.concurrency,
                chunk: ChunkSize::Whole,
                ..RunArgs::by_day(vec![spec.pipeline_name()], range)
            };
            let mut request = request(self.settings, &run, range, nobody(None))?;
            request.identity = self.composed.identity.clone();
            request.chosen = Some([(spec.entity_name().into(), windows)].into());
            let request = VerifyRequest::new(request)
                .with_marks(self.arguments.repair || self.arguments.mark_gone)
                .with_method(VerifyMethod::Count);
            self.verify(request).await?;
        }
        if self.found.is_empty() {
            return Err(Exit::usage(
                "no window of these pipelines by update is completed",
                "backfill something first: qbo-backfill run --help",
            ));
        }
        Ok(())
    }

    async fn verify(&mut self, request: VerifyRequest) -> Result<(), Exit> {
        let verification = self.composed.engine.verify(request, self.stop.token.clone()).await?;
        self.found.extend(verification.pipelines);
        match verification.failure {
            Some(failure) => Err(self.stop.signed(failure.into())),
            None => Ok(()),
        }
    }

    /// The range of each pipeline that was read, by the log.
    fn spans(&self, lines: &[LogLine]) -> Result<BTreeMap<Window, Vec<String>>, Exit> {
        let mut spans: BTreeMap<Window, Vec<String>> = BTreeMap::new();
        let words = || self.arguments.pipelines.iter().map(String::as_str);
        for spec in self.settings.catalog.select(words())? {
            let own = lines.iter().filter(|line| *line.entity_name == *spec.entity_name());
            let ends = own.map(|line| (line.window.start(), line.window.end()));
            let ends = ends.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)));
            match ends.map(|(from, to)| Window::new(from, to)) {
                Some(Ok(span)) => spans.entry(span).or_default().push(spec.pipeline_name()),
                _ if words().any(Catalog::is_group) => {}
                _ => {
                    return Err(Exit::usage(
                        format!("the log has no windows of {} by update", spec.pipeline_name()),
                        "give a range to verify: --from and --to",
                    ));
                }
            }
        }
        if spans.is_empty() {
            return Err(Exit::usage(
                "nothing has been read yet",
                "backfill something first: qbo-backfill run --help",
            ));
        }
        Ok(spans)
    }
}

/// The shortest windows that fit the limit for a range: the log may cover centuries, read by year.
fn by_what(span: Window) -> ChunkSize {
    let fits = |chunk: &ChunkSize| tile(span, *chunk).is_ok();
    ChunkSize::ALL.into_iter().find(fits).unwrap_or(ChunkSize::Whole)
}

/// The windows of the log that contain those to read again, or these themselves if the log has none.
fn windows(found: &VerifiedPipeline, lines: &[LogLine]) -> Vec<Window> {
    let own: Vec<_> = lines.iter().filter(|line| *line.entity_name == *found.entity_name).collect();
    let holding = |window: &Window| {
        let holds =
            |line: &&&LogLine| line.window.start() <= window.start() && window.end() <= line.window.end();
        let shortest = own.iter().filter(holds).min_by_key(|line| line.window.end() - line.window.start());
        shortest.map_or(*window, |line| line.window)
    };
    found.read_again.iter().map(holding).collect()
}

async fn repair(
    settings: &Settings,
    again: BTreeMap<Box<str>, Vec<Window>>,
    found: &[VerifiedPipeline],
) -> Result<u8, Exit> {
    if settings.output == Output::Text {
        say("reading again where records are missing or changed");
    }
    let Some(request) = chosen_windows(settings, Axis::Updated, again)? else { return Ok(DONE) };
    let request = RunRequest { reopen: Reopen::All, by_content: true, ..request };
    let code = run::execute(settings, request, Ending::Paragraph).await?;
    // Records may have left the quarantine; the run checked only the windows that it read.
    let database = super::log_reader::reader(settings).await?;
    let open_quarantine = open(settings, &database, found).await;
    database.close().await?;
    let open = Unsound { open_quarantine: open_quarantine?, ..Unsound::default() };
    if let Some(exit) = open.exit("missing and changed records were read again", "") {
        return Err(exit);
    }
    let sum = |number: fn(&VerifiedPipeline) -> u64| found.iter().map(number).sum::<u64>();
    match (sum(|one| one.unknown), sum(|one| one.unread)) {
        (0, 0) => Ok(code),
        (unknown, unread) => Err(Exit::new(
            INCOMPLETE,
            format!(
                "missing and changed records were read again; records that could not be looked up: {unknown}, windows that could not be compared: {unread}"
            ),
            "run the same command again later",
        )),
    }
}

/// Records that are open in quarantine now, in the verified ranges.
async fn open(settings: &Settings, database: &Database, found: &[VerifiedPipeline]) -> Result<u64, Exit> {
    let mut open = 0;
    for one in found {
        let pipeline = settings.catalog.find(&one.entity_name)?.pipeline(Axis::Updated);
        open += database.store.open_quarantine(&[pipeline], Some(one.span)).await?;
    }
    Ok(open)
}

fn disagreement(found: &[VerifiedPipeline]) -> Exit {
    let sum = |number: fn(&VerifiedPipeline) -> u64| found.iter().map(number).sum::<u64>();
    let (missing, changed) = (sum(|one| one.missing), sum(|one| one.changed));
    let (unknown, unread) = (sum(|one| one.unknown), sum(|one| one.unread));
    let open_quarantine = sum(|one| one.open_quarantine);
    if missing + changed + unknown + unread == 0 {
        let open = Unsound { open_quarantine, ..Unsound::default() };
        if let Some(exit) = open.exit("all records that could be stored match QuickBooks", "") {
            return exit;
        }
    }
    let what = format!(
        "missing records: {missing}, changed: {changed}, not looked up: {unknown}; windows that could not be read: {unread}; open in quarantine: {open_quarantine}; {}",
        written(found)
    );
    let next = match (missing + changed, unread) {
        (0, _) => "run the same command again later",
        _ => "run the same verify with --repair, which reads them again",
    };
    Exit::new(INCOMPLETE, what, next)
}

/// What the comparison has written.
fn written(found: &[VerifiedPipeline]) -> String {
    match found.iter().map(|one| one.marked).sum::<u64>() {
        0 => "nothing was changed".to_owned(),
        marked => format!("rows marked as gone: {marked}"),
    }
}

/// The first differences of each pipeline and kind.
#[derive(Debug, Default)]
struct Shown(Mutex<Vec<Mismatch>>);

/// Drops the events that concern runs.
#[derive(Debug)]
struct Listener {
    inner: Arc<dyn EventSink>,
    shown: Arc<Shown>,
    bar: bool,
}

impl EventSink for Listener {
    fn emit(&self, event: &RunEvent) {
        match &event.kind {
            RunEventKind::Mismatch(difference) => {
                let mut shown = self.shown.0.lock().unwrap_or_else(PoisonError::into_inner);
                let alike =
                    |one: &&Mismatch| one.kind == difference.kind && one.pipeline == difference.pipeline;
                if shown.iter().filter(alike).count() < MOST_SHOWN {
                    shown.push(difference.clone());
                }
            }
            RunEventKind::Window(report) if !self.bar && report.state != WindowState::Failed => return,
            RunEventKind::RunStarted { .. }
            | RunEventKind::RunFinished { .. }
            | RunEventKind::PageCommitted { .. }
                if !self.bar =>
            {
                return;
            }
            _ => {}
        }
        // A verification leaves no run in the log that could be named.
        self.inner.emit(&RunEvent::new(event.at, None, event.kind.clone()));
    }
}
