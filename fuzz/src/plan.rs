//! F6: from a request and a log to a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::time::Duration;

use backfill_core::{
    Axis, Catalog, ChunkSize, EntitySpec, PipelinePlan, Plan, Proof, RunRequest, Settle, tile,
};
use qbo_client::PageSize;
use raw_store::{LogLine, Reopen, StoreIdentity, Window, WindowMetrics, WindowState};
use time::{OffsetDateTime, Time};

use crate::shape::Shape;

/// More windows than this make a target slow and no plan stranger.
const MOST_WINDOWS: i64 = 500;

/// Years 0 to 9999.
const CALENDAR: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

/// Nothing here grows with its input.
pub const SHAPES: &[Shape] = &[Shape { name: "zeros", head: "", unit: "\0", tail: "" }];

/// Draws numbers from bytes; zeros once they are used up.
struct Drawn<'a>(&'a [u8]);

impl Drawn<'_> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or_default()
    }

    fn number(&mut self) -> i64 {
        i64::from_be_bytes(std::array::from_fn(|_| self.byte()))
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }
}

/// Plans a run over a log.
pub fn target(data: &[u8]) {
    let mut drawn = Drawn(data);
    let chunk = drawn.one_of(&ChunkSize::ALL);
    let Some(span) = span(&mut drawn, chunk) else { return };
    tiles(span, chunk);
    let request = request(&mut drawn, span, chunk);
    let log = log(&mut drawn, &request);
    let plan = Plan::new(&request, &log).expect("the span is short enough");
    assert_eq!(plan.pipelines.len(), request.entities.len());
    let mut scans = 0;
    for pipeline in &plan.pipelines {
        let done = done(&request, &log, &pipeline.spec);
        scans_cover_what_is_open(pipeline, &done);
        scans += pipeline.scans.len() as u64;
    }
    assert!(plan.estimated_calls >= scans);
}

fn span(drawn: &mut Drawn<'_>, chunk: ChunkSize) -> Option<Window> {
    let days = match chunk {
        ChunkSize::Day => 1,
        ChunkSize::Week => 7,
        ChunkSize::Month => 28,
        ChunkSize::Quarter => 90,
        ChunkSize::Year => 365,
        ChunkSize::Whole => 10_000,
    };
    let (first, last) = CALENDAR.into_inner();
    let start = first + drawn.number().rem_euclid(last - first);
    let length = drawn.number().rem_euclid(days * 86_400 * MOST_WINDOWS) + 1;
    let at = |seconds: i64| OffsetDateTime::from_unix_timestamp(seconds.min(last)).ok();
    Window::new(at(start)?, at(start + length)?).ok()
}

/// No gap, no overlap, nothing outside; cut where the calendar says.
fn tiles(span: Window, chunk: ChunkSize) {
    let tiles = tile(span, chunk).expect("the span is short enough");
    assert_eq!((tiles[0].start(), tiles[tiles.len() - 1].end()), (span.start(), span.end()));
    for pair in tiles.windows(2) {
        let cut = pair[1].start();
        assert_eq!(pair[0].end(), cut);
        assert_eq!(cut.time(), Time::MIDNIGHT);
        let (month, day) = (u8::from(cut.month()), cut.day());
        assert!(match chunk {
            ChunkSize::Day => true,
            ChunkSize::Week => cut.weekday() == time::Weekday::Monday,
            ChunkSize::Month => day == 1,
            ChunkSize::Quarter => day == 1 && month % 3 == 1,
            ChunkSize::Year => day == 1 && month == 1,
            ChunkSize::Whole => false,
        });
    }
}

fn request(drawn: &mut Drawn<'_>, span: Window, chunk: ChunkSize) -> RunRequest {
    let catalog = Catalog::bundled();
    let entities: BTreeSet<u8> = (0..=drawn.byte() % 3).map(|_| drawn.byte()).collect();
    let entities: BTreeSet<usize> =
        entities.into_iter().map(|place| usize::from(place) % catalog.entities().len()).collect();
    let entities: Vec<EntitySpec> =
        entities.into_iter().map(|place| catalog.entities()[place].clone()).collect();
    let chosen = drawn.byte().is_multiple_of(4).then(|| {
        let some = |spec: &EntitySpec, drawn: &mut Drawn<'_>| -> Vec<Window> {
            spec.windows(span, chunk)
                .expect("the span is short enough")
                .into_iter()
                .filter(|_| drawn.byte().is_multiple_of(2))
                .collect()
        };
        entities.iter().map(|spec| (spec.entity_name().into(), some(spec, drawn))).collect::<BTreeMap<_, _>>()
    });
    RunRequest {
        id: "run".parse().expect("it is a name"),
        seed: 0,
        identity: StoreIdentity { realm_id: "1000000000000001".into(), environment: "sandbox".into() },
        fence: None,
        holder: "a target".into(),
        wait: Duration::ZERO,
        entities,
        span,
        chunk,
        chosen,
        axis: drawn.one_of(&Axis::ALL),
        page_size: PageSize::new(u16::from(drawn.byte()).max(1)).expect("it is from 1 to 255"),
        concurrency: NonZeroUsize::MIN,
        reopen: drawn.one_of(&[Reopen::Unfinished, Reopen::All]),
        by_content: false,
        proof: drawn.one_of(&[Proof::Count, Proof::None]),
        settle: Settle::Never,
    }
}

/// A line for some of the windows, and for some that nobody asks for.
fn log(drawn: &mut Drawn<'_>, request: &RunRequest) -> Vec<LogLine> {
    let states = [
        WindowState::Pending,
        WindowState::Running,
        WindowState::Completed,
        WindowState::Completed,
        WindowState::Provisional,
        WindowState::Failed,
        WindowState::Unavailable,
    ];
    let mut log = Vec::new();
    for spec in &request.entities {
        let pipeline = spec.pipeline(drawn.one_of(&Axis::ALL));
        let chunk = if drawn.byte().is_multiple_of(4) { ChunkSize::Month } else { request.chunk };
        // By month, a span of years may have more than a request may have.
        for window in spec.windows(request.span, chunk).unwrap_or_default() {
            let fate = drawn.byte();
            if fate % 8 < 2 {
                continue;
            }
            log.push(LogLine {
                entity_name: pipeline.entity_name.clone(),
                time_axis: pipeline.time_axis.clone(),
                window,
                state: states[usize::from(fate) % states.len()],
                metrics: WindowMetrics { records_read: u64::from(fate) * 1000, ..WindowMetrics::default() },
                duration: Duration::ZERO,
                started_at: None,
                finished_at: None,
                error_message: None,
                error_code: None,
                run: None,
                attempts: 1,
                counted_at: (fate > 100).then_some(window.end()),
                all_fields: true,
            });
        }
    }
    log
}

fn done(request: &RunRequest, log: &[LogLine], spec: &EntitySpec) -> BTreeSet<Window> {
    if request.reopen == Reopen::All {
        return BTreeSet::new();
    }
    let own = spec.pipeline(request.axis);
    let completed = |line: &&LogLine| {
        line.state == WindowState::Completed
            && line.entity_name == own.entity_name
            && line.time_axis == own.time_axis
    };
    log.iter().filter(completed).map(|line| line.window).collect()
}

/// Each window is either done or in exactly one scan, and a scan spans its windows and nothing else.
fn scans_cover_what_is_open(pipeline: &PipelinePlan, done: &BTreeSet<Window>) {
    let mut open = pipeline.windows.iter().filter(|window| !done.contains(window));
    for scan in &pipeline.scans {
        let first = open.next().expect("a scan has windows");
        assert_eq!(first.start(), scan.span.start());
        let mut end = first.end();
        for _ in 1..scan.windows {
            let next = open.next().expect("a scan has as many windows as it says");
            assert_eq!(next.start(), end);
            end = next.end();
        }
        assert_eq!(end, scan.span.end());
    }
    assert_eq!(open.next(), None, "a window that is open is in no scan");
    let covered: usize = pipeline.scans.iter().map(|scan| scan.windows).sum();
    assert_eq!(pipeline.windows.len(), pipeline.completed + covered);
}
