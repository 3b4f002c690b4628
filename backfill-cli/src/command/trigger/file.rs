//! Converts Mage's `triggers.yaml` to triggers.

use std::collections::HashSet;
use std::path::Path;

use backfill_core::EntitySpec;
use qbo_auth::{Clock as _, SystemClock};
use raw_store::{IfMissed, NewTrigger, TriggerName};
use time::OffsetDateTime;
use time::macros::format_description;

use super::super::request::{nobody, note_of_end, request};
use super::mage::{self, Entry};
use super::new_trigger::{is_past, name_of, plan};
use super::spelling;
use crate::args::{Output, RunArgs};
use crate::config::settings::Settings;
use crate::config::trusted;
use crate::instant;
use crate::output::exit::Exit;
use crate::output::print::say;

/// A trigger from a file.
#[derive(Debug)]
pub(super) struct Filed {
    /// Name of the trigger in the file.
    pub(super) name: String,
    pub(super) what: What,
}

/// What to do with a trigger of the file.
#[derive(Debug)]
pub(super) enum What {
    /// Arm it, unless it is known. `before` is its name in earlier versions.
    Wanted { trigger: NewTrigger, before: Option<TriggerName> },
    /// Do not arm it, for this reason.
    LeftOut(&'static str),
}

/// The triggers of a file.
pub(super) fn triggers(
    settings: &Settings,
    path: &Path,
    inactive: bool,
    now: bool,
) -> Result<Vec<Filed>, Exit> {
    let present = SystemClock::new().now_utc();
    let unusable = |what: String| Exit::usage(format!("{}: {what}", path.display()), "correct the file");
    let text = trusted::read_text(path).map_err(|error| unusable(error.to_string()))?;
    let entries = mage::entries(&text).map_err(|error| {
        let line = error.location().map(|at| format!("line {}: ", at.line())).unwrap_or_default();
        unusable(format!("{line}it is not a list `triggers:` of entries with a name, as Mage writes it"))
    })?;
    let mut triggers: Vec<Filed> = Vec::new();
    for entry in entries {
        let name = entry.name.clone();
        let left_out = match (entry.schedule_interval.as_deref(), entry.status.as_deref()) {
            (Some("@once"), Some("active") | None) => None,
            (Some("@once"), _) if inactive => None,
            (Some("@once"), _) => Some("it is inactive in the file; --inactive arms it anyway"),
            _ => Some("it is not a one-time trigger (schedule_interval: '@once')"),
        };
        let what = if let Some(why) = left_out {
            What::LeftOut(why)
        } else {
            let before = spelling::folded(&name).parse().ok();
            let trigger = entry.trigger(settings, path);
            let trigger = trigger.map_err(|what| unusable(format!("trigger {name}: {what}")))?;
            if is_past(trigger.fire_at, present) && !now {
                What::LeftOut("its time has passed; --now arms it anyway")
            } else {
                What::Wanted { trigger, before }
            }
        };
        triggers.push(Filed { name, what });
    }
    each_once(&triggers).map_err(unusable)?;
    Ok(triggers)
}

/// Refuses two triggers of one pipeline with the same name, because only one of them could be armed.
fn each_once(triggers: &[Filed]) -> Result<(), String> {
    let mut names = HashSet::new();
    let wanted = triggers.iter().filter_map(|filed| match &filed.what {
        What::Wanted { trigger, .. } => Some((&filed.name, &trigger.name)),
        What::LeftOut(_) => None,
    });
    for (name, spelled) in wanted {
        if !names.insert(spelled) {
            return Err(format!("trigger {name} occurs twice for one pipeline; nothing was armed"));
        }
    }
    Ok(())
}

impl Entry {
    fn trigger(self, settings: &Settings, path: &Path) -> Result<NewTrigger, String> {
        let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        let pipeline = self.pipeline_uuid.or_else(|| folder.map(str::to_owned));
        let pipeline = pipeline.ok_or("it has no pipeline_uuid")?;
        let variable = |value: Option<String>, name: &str| {
            let text = value.ok_or_else(|| format!("it has no variable {name}"))?;
            instant::parse(&text).map_err(|error| format!("{name}: {error}"))
        };
        let from = variable(self.variables.fecha_inicio, "fecha_inicio")?;
        let to = variable(self.variables.fecha_fin, "fecha_fin")?;
        if settings.output == Output::Text
            && let Some(note) = note_of_end(to)
        {
            say(&format!("note: trigger {}: fecha_fin: {note}", self.name));
        }
        let span = raw_store::Window::new(from, to)
            .map_err(|_| "fecha_inicio is not before fecha_fin, the end of the range (exclusive)")?;
        let start = self.start_time.ok_or("it has no start_time")?;
        let fire_at = start_time(&start).ok_or_else(|| format!("start_time {start} is not a time"))?;
        let run = RunArgs::by_day(vec![pipeline], span);
        let asked = request(settings, &run, span, nobody(None)).map_err(|exit| exit.what)?;
        let pipeline = asked.entities.first().map(EntitySpec::pipeline_name).unwrap_or_default();
        Ok(NewTrigger {
            name: name_of(&spelling::name(&pipeline, &self.name)).map_err(|exit| exit.what)?,
            plan: plan(&asked.entities, (run.by.as_str(), run.chunk.as_str()), span),
            fire_at,
            if_missed: IfMissed::Run,
            link: None,
        })
    }
}

/// Parses `2026-02-01 05:00:00` in UTC, with or without a fraction, or any form that the command line accepts.
fn start_time(text: &str) -> Option<OffsetDateTime> {
    let text = text.trim();
    let is_fraction = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    let plain = match text.split_once('.') {
        Some((seconds, rest)) if is_fraction(rest) => seconds,
        _ => text,
    };
    let local = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    match time::PrimitiveDateTime::parse(plain, local) {
        Ok(at) => Some(at.assume_utc()),
        Err(_) => instant::parse(&text.replacen(' ', "T", 1)).ok(),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn times_are_read_as_mage_writes_them() {
        let expected = Some(datetime!(2026-02-01 5:00 UTC));
        for text in [
            "2026-02-01 05:00:00",
            "2026-02-01 05:00:00.000123",
            "2026-02-01T05:00:00Z",
            "2026-02-01 00:00:00-05:00",
        ] {
            assert_eq!(start_time(text), expected, "{text}");
        }
        assert_eq!(start_time("tomorrow"), None);
        assert_eq!(
            start_time("2026-02-01 00:00:00.5-05:00"),
            None,
            "a fraction of a second is not cut off an offset"
        );
    }
}
