//! Renders the result of `verify` as text and JSON.

use std::fmt::Write as _;

use backfill_core::{Mismatch, VerifiedPipeline, VerifyMethod};
use serde_json::json;

use crate::instant::{short, utc};
use crate::table::Table;
use crate::width::Width;

/// Renders the result of a verification for a terminal.
pub fn text(found: &[VerifiedPipeline], shown: &[Mismatch], calls: u64, width: Width) -> String {
    let mut table = Table::new(&[
        "pipeline",
        "last updated (UTC)",
        "counted#",
        "same#",
        "quarantined#",
        "open#",
        "missing#",
        "changed#",
        "gone#",
        "unknown#",
        "unread windows#",
    ])
    .optional(&[
        "same",
        "quarantined",
        "open",
        "counted",
        "unread windows",
        "unknown",
        "last updated (UTC)",
    ]);
    for one in found {
        let gone = if one.looked_for_gone { one.gone.to_string() } else { "?".to_owned() };
        let name = format!("{}{}", one.pipeline, if one.is_unavailable { " (not available)" } else { "" });
        let numbers = [one.counted, one.same, one.quarantined, one.open_quarantine, one.missing, one.changed];
        let numbers = numbers.map(|number| number.to_string());
        let span = format!("{} .. {}", short(one.span.start()), short(one.span.end()));
        table.row([name, span].into_iter().chain(numbers).chain([
            gone,
            one.unknown.to_string(),
            one.unread.to_string(),
        ]));
    }
    let mut text = table.fitted(width);
    if !shown.is_empty() {
        let _ = write!(text, "\n{}", differences(shown).fitted(width));
    }
    for one in found {
        for (number, kind) in [(one.missing, "missing"), (one.changed, "changed"), (one.gone, "gone")] {
            let told =
                shown.iter().filter(|d| d.pipeline == one.pipeline && d.kind.as_str() == kind).count() as u64;
            if number > told {
                let _ = writeln!(text, "… and {} more {kind} in {}", number - told, one.pipeline);
            }
        }
    }
    if found.iter().any(|one| one.method == VerifyMethod::Count) {
        text.push_str(
            "\nEqual numbers prove that no record left the windows that were completed: an edit or a deletion takes a record \
             out of its time. They say nothing of content that changed without a new time; verify without --by-count reads it.\n",
        );
    }
    let marked: u64 = found.iter().map(|one| one.marked).sum();
    let _ = match marked {
        0 => writeln!(text, "\n{calls} API calls; nothing was changed"),
        _ => writeln!(text, "\n{calls} API calls; rows marked as gone: {marked}; nothing else was changed"),
    };
    text
}

fn differences(shown: &[Mismatch]) -> Table {
    let mut sorted: Vec<_> = shown.iter().collect();
    sorted.sort_by_key(|one| (&one.pipeline, one.kind));
    let mut table = Table::new(&["pipeline", "id", "it is", "where"]);
    for one in sorted {
        let place = match (one.window, one.deleted_at) {
            (Some(window), _) => format!("{} .. {}", short(window.start()), short(window.end())),
            (None, Some(at)) => format!("deleted {}", utc(at)),
            (None, None) => "no longer in QuickBooks".to_owned(),
        };
        let id = one.id.as_deref().unwrap_or("(without id)").to_owned();
        table.row([one.pipeline.clone(), id, one.kind.as_str().to_owned(), place]);
    }
    table
}

/// Renders the result of a verification for programs.
pub fn json(found: &[VerifiedPipeline], calls: u64, exit_code: u8, next: &str) -> serde_json::Value {
    let pipelines: Vec<_> = found
        .iter()
        .map(|one| {
            json!({"pipeline": one.pipeline, "start": utc(one.span.start()), "end": utc(one.span.end()),
                   "method": one.method.as_str(), "counted": one.counted, "same": one.same, "quarantined": one.quarantined,
                   "open_quarantine": one.open_quarantine, "missing": one.missing,
                   "changed": one.changed, "gone": one.looked_for_gone.then_some(one.gone), "marked": one.marked,
                   "unknown": one.unknown, "unread_windows": one.unread,
                   "available": !one.is_unavailable, "agrees": one.agrees()})
        })
        .collect();
    json!({"pipelines": pipelines, "calls": calls, "exit_code": exit_code, "next": next})
}
