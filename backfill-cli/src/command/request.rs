//! Builds a request from the arguments of `run` and `plan`.

use std::time::Duration;

use backfill_core::{Catalog, EntitySpec, Proof, RunRequest, Settle};
use backfill_report::instant::utc;
use qbo_auth::{Clock, RealmId, SystemClock};
use raw_store::{Reopen, RunId, StoreIdentity, Window};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::args::{Output, RunArgs, SettleArgs};
use crate::config::settings::Settings;
use crate::output::exit::Exit;
use crate::output::print::say;
use crate::time_zone::in_zone;

/// Checks a range and prints how it was understood.
pub(crate) fn span(settings: &Settings, from: OffsetDateTime, to: OffsetDateTime) -> Result<Window, Exit> {
    let span = Window::new(from, to).map_err(|_| {
        Exit::usage(
            format!("the range is empty: --from {} is not before --to {}", utc(from), utc(to)),
            "--to is the end of the range (exclusive); give a later one",
        )
    })?;
    if settings.output == Output::Text {
        let zone = match settings.time_zone.as_deref() {
            None | Some("UTC") => String::new(),
            Some(zone) => format!(" ({} to {})", in_zone(from, zone)?, in_zone(to, zone)?),
        };
        if let Some(file) = &settings.file {
            say(&format!("settings: {}", file.display()));
        }
        say(&format!("range: {} to {}{zone}, the end not included", utc(from), utc(to)));
        if let Some(note) = note_of_end(to) {
            say(&format!("note: {note}"));
        }
    }
    Ok(span)
}

/// The note about an end of a range that is probably meant differently.
pub(crate) fn note_of_end(to: OffsetDateTime) -> Option<&'static str> {
    ((to.hour(), to.minute(), to.second()) == (23, 59, 59)).then_some(
        "the end is not included, so 23:59:59 leaves out the day's last second; midnight of the next day does not",
    )
}

/// Refuses a range in which no record can have been created or changed yet.
pub(crate) fn refuse_future(arguments: &RunArgs, span: Window) -> Result<(), Exit> {
    let now = SystemClock::new().now_utc();
    // A transaction date may lie in the future.
    if arguments.by == backfill_core::Axis::TxnDate || span.start() <= now {
        return Ok(());
    }
    Err(Exit::usage(
        format!(
            "the range begins at {}, and it is {} now: there is nothing to read yet",
            utc(span.start()),
            utc(now)
        ),
        "give an earlier --from; for documents that are dated ahead, add --by txn-date",
    ))
}

/// Builds the request. The company may be unknown, because `plan` does not call QuickBooks.
pub(crate) fn request(
    settings: &Settings,
    arguments: &RunArgs,
    span: Window,
    identity: StoreIdentity,
) -> Result<RunRequest, Exit> {
    let entities = entities(settings, arguments)?;
    let midnight = |at: time::OffsetDateTime| at.time() == time::Time::MIDNIGHT;
    if arguments.by == backfill_core::Axis::TxnDate && !(midnight(span.start()) && midnight(span.end())) {
        return Err(Exit::usage(
            "transaction dates have no time of day",
            "give --from and --to as plain dates",
        ));
    }
    let (id, seed) = new_run();
    let request = RunRequest::new(id, identity, entities, span)
        .with_seed(arguments.seed.unwrap_or(seed))
        .with_holder(holder())
        .with_wait(Duration::from_secs(arguments.wait))
        .with_chunk(arguments.chunk)
        .with_axis(arguments.by)
        .with_page_size(arguments.page_size)
        .with_concurrency(arguments.concurrency)
        .with_reopen(if arguments.force { Reopen::All } else { Reopen::Unfinished })
        .with_proof(if arguments.no_count { Proof::None } else { Proof::Count })
        .with_settle(settle(settings, arguments.settle));
    request.check()?;
    Ok(request)
}

fn settle(settings: &Settings, arguments: SettleArgs) -> Settle {
    match arguments {
        SettleArgs { settle: true, .. } => Settle::Always,
        SettleArgs { no_settle: true, .. } => Settle::Never,
        _ => settings.settle,
    }
}

/// The requested entities. A named entity must have the requested axis. Of a group, entities without it are left out, and
/// listed in a note.
fn entities(settings: &Settings, arguments: &RunArgs) -> Result<Vec<EntitySpec>, Exit> {
    let by = arguments.by;
    let words = || arguments.pipelines.iter().map(String::as_str);
    let has = |spec: &EntitySpec| spec.axes().contains(&by);
    let named = settings.catalog.select(words().filter(|word| !Catalog::is_group(word)))?;
    if let Some(spec) = named.iter().find(|spec| !has(spec)) {
        let known: Vec<_> = spec.axes().iter().map(|axis| axis.as_str()).collect();
        return Err(Exit::usage(
            format!("{} cannot be read by {by}", spec.pipeline_name()),
            format!("use --by {}", known.join(" or ")),
        ));
    }
    let (entities, without): (Vec<_>, Vec<_>) = settings.catalog.select(words())?.into_iter().partition(has);
    if entities.is_empty() {
        return Err(Exit::usage(
            format!("none of {} can be read by {by}", plain(words())),
            "use --by updated",
        ));
    }
    if !without.is_empty() {
        let names = plain(without.iter().map(EntitySpec::entity_name));
        match settings.output {
            Output::Text => say(&format!("note: left out, because they cannot be read by {by}: {names}")),
            Output::Json => {
                tracing::warn!(
                    by = by.as_str(),
                    entities = names,
                    "entities without that time were left out"
                );
            }
        }
    }
    Ok(entities)
}

fn plain<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// The id of a new run, and the seed of its random choices.
pub(crate) fn new_run() -> (RunId, u64) {
    let now = SystemClock::new().now_utc();
    let stamp = now.format(format_description!("[year][month][day]T[hour][minute][second]Z"));
    let id = format!("{}-{:08x}", stamp.unwrap_or_default(), random() >> 32);
    // 53 bits, which JSON numbers keep exactly even in JavaScript.
    (id.parse().expect("digits, letters and a dash"), random() >> 11)
}

/// A placeholder identity for commands that do not call QuickBooks.
pub(crate) fn nobody(realm: Option<&RealmId>) -> StoreIdentity {
    let realm_id = realm.map_or("", RealmId::as_str).into();
    StoreIdentity { realm_id, environment: "".into() }
}

/// Describes this process for people.
pub(crate) fn holder() -> String {
    format!("process {} on {}", std::process::id(), crate::secrets::lineage::host())
}

fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    // The standard library seeds its hash maps from the operating system, which is enough for a value that is not secret.
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use backfill_core::Axis;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_range_that_has_not_begun_is_refused_unless_documents_are_dated_ahead() {
        let ahead = Window::new(datetime!(2090-01-01 0:00 UTC), datetime!(2091-01-01 0:00 UTC)).unwrap();
        let run = |by, span| RunArgs { by, ..RunArgs::by_day(vec!["Invoice".into()], span) };
        for by in [Axis::Updated, Axis::Created] {
            let refused = refuse_future(&run(by, ahead), ahead).unwrap_err();
            assert!(refused.what.contains("begins at 2090-01-01T00:00:00Z"), "{}", refused.what);
        }
        assert!(refuse_future(&run(Axis::TxnDate, ahead), ahead).is_ok());
        let open = Window::new(datetime!(2024-01-01 0:00 UTC), ahead.end()).unwrap();
        assert!(refuse_future(&run(Axis::Updated, open), open).is_ok());
    }

    #[test]
    fn a_last_second_is_told_to_be_left_out() {
        assert!(note_of_end(datetime!(2024-01-31 23:59:59 UTC)).is_some());
        assert!(note_of_end(datetime!(2024-02-01 0:00 UTC)).is_none());
    }
}
