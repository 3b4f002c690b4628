//! `trigger apply`: arms the triggers of a file that are not known yet.

use raw_store::{NewTrigger, PgStore, Trigger, TriggerName, TriggerQueue as _};
use serde_json::{Value, json};

use super::file::{Filed, What};
use super::list::{text, trigger_json};
use crate::app::create_where_missing;
use crate::args::Output;
use crate::config::settings::{Settings, user};
use crate::output::exit::Exit;
use crate::output::print::{out, out_json, say};

/// Arms the new triggers of a file, all or none. Known triggers stay as they are, so that applying a file again fires
/// nothing again.
pub(super) async fn apply(settings: &Settings, store: &PgStore, filed: Vec<Filed>) -> Result<(), Exit> {
    create_where_missing(store).await?;
    let (known, _) = store.triggers().await?;
    let (mut new, mut told) = (Vec::new(), Vec::new());
    for Filed { name, what } in filed {
        match what {
            What::LeftOut(why) => told.push(Told { name, trigger: None, outcome: "left_out", why }),
            What::Wanted { trigger, before } => {
                let Some(one) = known_as(&known, &trigger, before.as_ref())? else {
                    told.push(Told { name, trigger: Some(trigger.name.clone()), outcome: "armed", why: "" });
                    new.push(trigger);
                    continue;
                };
                let why = if one.asked.plan == trigger.plan {
                    "known already"
                } else {
                    "known already, and keeps its range"
                };
                told.push(Told { name, trigger: Some(one.asked.name.clone()), outcome: "known", why });
            }
        }
    }
    store.add(&new, &user()).await?;
    let (all, now) = store.triggers().await?;
    if settings.output == Output::Json {
        let rows = all.iter().map(|one| {
            let mut row = trigger_json(one, now);
            if let Some(told) = told.iter().find(|told| told.trigger.as_ref() == Some(&one.asked.name)) {
                told.add_to(&mut row);
            }
            row
        });
        let left_out = told.iter().filter(|told| told.trigger.is_none()).map(|told| {
            let mut row = json!({"trigger": null});
            told.add_to(&mut row);
            row
        });
        out_json(&rows.chain(left_out).collect());
        return Ok(());
    }
    for told in &told {
        say(&told.line());
    }
    out(&text(settings, (&all.iter().collect::<Vec<_>>(), &all), now)?);
    Ok(())
}

/// The outcome for a trigger of a file.
pub(super) struct Told {
    /// Name of the trigger in the file.
    name: String,
    /// Name of the armed trigger; `None` if it was left out.
    trigger: Option<TriggerName>,
    outcome: &'static str,
    why: &'static str,
}

impl Told {
    fn add_to(&self, row: &mut Value) {
        row["name_in_file"] = self.name.as_str().into();
        row["outcome"] = self.outcome.into();
        row["reason"] = (!self.why.is_empty()).then_some(self.why).into();
    }

    fn line(&self) -> String {
        let name = self.name.replace(char::is_control, "?");
        match (&self.trigger, self.outcome) {
            (Some(trigger), "armed") => format!("{name} is armed as {trigger}"),
            (Some(trigger), _) => format!("note: {name} is left as it is, as {trigger}: {}", self.why),
            (None, _) => format!("note: {name} is left out: {}", self.why),
        }
    }
}

/// The existing trigger for a trigger of a file, under its present name or its name in earlier versions.
pub(super) fn known_as<'a>(
    known: &'a [Trigger],
    asked: &NewTrigger,
    before: Option<&TriggerName>,
) -> Result<Option<&'a Trigger>, Exit> {
    if let Some(one) = known.iter().find(|one| one.asked.name == asked.name) {
        if one.asked.plan.entity_names == asked.plan.entity_names {
            return Ok(Some(one));
        }
        return Err(Exit::usage(
            format!("a trigger of other pipelines has the name {} already; nothing was armed", asked.name),
            "rename the trigger in the file",
        ));
    }
    let earlier = known.iter().find(|one| Some(&one.asked.name) == before);
    Ok(earlier.filter(|one| one.asked.plan == asked.plan))
}
