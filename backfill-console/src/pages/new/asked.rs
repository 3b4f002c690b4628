//! What a form asks for, once every field is understood.

use backfill_core::{Axis, Catalog, ChunkSize, EntitySpec};
use raw_store::{IfMissed, TriggerName, Window, WindowSelection};
use time::{OffsetDateTime, Time};

use crate::pages::new::beside::Beside;
use crate::pages::new::typed::Typed;
use crate::pages::typed_time::TypedTime;
use crate::words::{Language, NewWords};

/// What a form asks for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) entities: Vec<EntitySpec>,
    /// Entities of a group that cannot be read by the axis.
    pub(super) without: Vec<EntitySpec>,
    pub(super) span: Window,
    pub(super) axis: Axis,
    pub(super) chunk: ChunkSize,
    pub(super) selection: WindowSelection,
    /// The length of the parts, if the range is cut into a chain.
    pub(super) every: Option<ChunkSize>,
    pub(super) fire_at: OffsetDateTime,
    pub(super) is_now: bool,
    /// The second instant of a time that the clocks show twice.
    pub(super) twice: Option<OffsetDateTime>,
    pub(super) if_missed: IfMissed,
    pub(super) name: Option<TriggerName>,
}

/// What a form is understood by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) times: TypedTime<'a>,
    pub(super) language: Language,
    pub(super) w: &'a NewWords,
    /// From the first failed window of the chosen pipelines to the last, where no range was typed.
    pub(super) failed: Option<Window>,
}

/// Understands a form, or says beside each field what is wrong with it.
pub(super) fn asked(typed: &Typed, context: &Context<'_>) -> Result<Asked, Box<Beside>> {
    let w = context.w;
    let mut beside = Beside::default();
    let axis = note(&mut beside.by, word(&typed.by, Axis::Updated).ok_or(w.wrong_axis));
    let chunk = note(&mut beside.chunk, word(&typed.chunk, ChunkSize::Day).ok_or(w.wrong_chunk));
    let selection = note(&mut beside.what, word(&typed.what, WindowSelection::Open).ok_or(w.wrong_what));
    let every = note(&mut beside.every, every(&typed.every).map_err(|()| w.wrong_every));
    let if_missed = note(&mut beside.if_missed, if_missed(&typed.if_missed).ok_or(w.wrong_missed));
    let name = note(&mut beside.name, name(&typed.name).map_err(|()| w.wrong_name));
    if !matches!(&*typed.days, "" | "utc" | "own") {
        beside.days = Some(w.wrong_days.to_owned());
    }
    let entities = note(&mut beside.pipelines, entities(typed, context, axis.unwrap_or_default()));
    let fires = fires(typed, context, &mut beside);
    let span = range(typed, context, axis, selection, &mut beside);
    if let (Some(span), Some((fire_at, _))) = (span, fires)
        && axis != Some(Axis::TxnDate)
        && span.start() > fire_at
    {
        beside.from = Some(w.begins_later.to_owned());
    }
    let all = (entities, span, axis.zip(chunk), selection.zip(every), fires, if_missed.zip(name));
    let (
        Some((entities, without)),
        Some(span),
        Some((axis, chunk)),
        Some((selection, every)),
        Some(fires),
        Some(rest),
    ) = all
    else {
        return Err(Box::new(beside));
    };
    if !beside.fields().is_empty() {
        return Err(Box::new(beside));
    }
    let ((fire_at, twice), (if_missed, name)) = (fires, rest);
    let is_now = is_now(typed);
    Ok(Asked {
        entities,
        without,
        span,
        axis,
        chunk,
        selection,
        every,
        fire_at,
        is_now,
        twice,
        if_missed,
        name,
    })
}

/// Keeps a value, or its problem beside the field.
fn note<T>(beside: &mut Option<String>, result: Result<T, impl Into<String>>) -> Option<T> {
    result.map_err(|sentence| *beside = Some(sentence.into())).ok()
}

/// A word of a field; an empty field has the usual one.
fn word<T: std::str::FromStr>(text: &str, usual: T) -> Option<T> {
    if text.is_empty() { Some(usual) } else { text.parse().ok() }
}

fn every(text: &str) -> Result<Option<ChunkSize>, ()> {
    let size = word(text, ChunkSize::Whole).ok_or(())?;
    Ok((size != ChunkSize::Whole).then_some(size))
}

fn if_missed(text: &str) -> Option<IfMissed> {
    match text {
        "" | "run" => Some(IfMissed::Run),
        "skip" => Some(IfMissed::Skip),
        _ => None,
    }
}

fn name(text: &str) -> Result<Option<TriggerName>, ()> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|_| ()) }
}

/// The chosen entities, and those of a group that cannot be read by the axis.
pub(super) fn entities(
    typed: &Typed,
    context: &Context<'_>,
    axis: Axis,
) -> Result<(Vec<EntitySpec>, Vec<EntitySpec>), String> {
    let (w, language) = (context.w, context.language);
    let words = || typed.pipelines.iter().map(String::as_str);
    let has = |spec: &EntitySpec| spec.axes().contains(&axis);
    let unknown =
        |unknown: backfill_core::UnknownPipeline| (w.no_pipeline)(&unknown.asked, unknown.nearest.as_deref());
    let named = context.catalog.select(words().filter(|word| !Catalog::is_group(word))).map_err(unknown)?;
    if let Some(spec) = named.iter().find(|spec| !has(spec)) {
        return Err((w.not_by_axis)(&language.entity(spec.entity_name())));
    }
    let (entities, without): (Vec<_>, Vec<_>) =
        context.catalog.select(words()).map_err(unknown)?.into_iter().partition(has);
    if entities.is_empty() {
        return Err(if without.is_empty() { w.choose_pipeline } else { w.none_by_axis }.to_owned());
    }
    Ok((entities, without))
}

fn is_now(typed: &Typed) -> bool {
    typed.when == "now" || (typed.when.is_empty() && typed.at.is_empty())
}

/// When the trigger fires, and the second instant of a time that the clocks show twice.
fn fires(
    typed: &Typed,
    context: &Context<'_>,
    beside: &mut Beside,
) -> Option<(OffsetDateTime, Option<OffsetDateTime>)> {
    let w = context.w;
    if is_now(typed) {
        return Some((context.times.now, None));
    }
    if !matches!(&*typed.when, "" | "at") {
        beside.when = Some(w.wrong_when.to_owned());
        return None;
    }
    let read = note(&mut beside.at, context.times.fire_time(&typed.at))?;
    Some((read.at, read.second))
}

/// The range to read.
fn range(
    typed: &Typed,
    context: &Context<'_>,
    axis: Option<Axis>,
    selection: Option<WindowSelection>,
    beside: &mut Beside,
) -> Option<Window> {
    let w = context.w;
    if typed.from.is_empty() && typed.to.is_empty() && selection == Some(WindowSelection::Failed) {
        if context.failed.is_none() {
            beside.what = Some(w.none_failed.to_owned());
        }
        return context.failed;
    }
    // Transaction dates are days without a zone, which the log keeps as days of UTC.
    let is_own = typed.days == "own" && axis != Some(Axis::TxnDate);
    let read = |text: &str| {
        let read = context.times.read(text, is_own)?;
        let is_midnight = read.at.time() == Time::MIDNIGHT;
        if axis == Some(Axis::TxnDate) && !is_midnight {
            Err(w.no_time_of_day.to_owned())
        } else {
            Ok(read.at)
        }
    };
    let from = note(&mut beside.from, read(&typed.from));
    let to = note(&mut beside.to, read(&typed.to));
    let span = Window::new(from?, to?);
    note(&mut beside.to, span.map_err(|_| w.empty_range))
}
