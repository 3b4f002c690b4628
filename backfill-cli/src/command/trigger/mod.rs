//! The command `trigger`: manages runs to start once, at a stated time.

mod apply;
mod file;
mod list;
mod mage;
mod new_trigger;
mod spelling;

use raw_store::{NewTrigger, PgStore, Trigger, TriggerName, TriggerQueue as _, TriggerState};

use self::apply::apply;
use self::file::Filed;
use self::list::{history, show};
use self::new_trigger::{chain, fire_at};
use super::log_reader::reader;
use crate::app::{Database, create_where_missing};
use crate::args::{Output, Trigger as Command};
use crate::config::settings::{Settings, user};
use crate::output::exit::{DONE, Exit};
use crate::output::print::say;

/// `trigger`: arms, lists, cancels and rearms triggers.
pub(crate) async fn trigger(settings: &Settings, command: &Command) -> Result<u8, Exit> {
    // Check the arguments before opening anything.
    let (mut asked, mut filed) = (Vec::new(), Vec::new());
    match command {
        Command::Add(arguments) => asked = chain(settings, arguments)?,
        Command::Apply { file, inactive, now } => filed = file::triggers(settings, file, *inactive, *now)?,
        Command::Rearm { when, .. } => {
            fire_at(*when)?;
        }
        _ => {}
    }
    let database = reader(settings).await?;
    let done = carry_out(settings, command, (asked, filed), &database).await;
    let closed = database.close().await;
    done.and(closed)?;
    Ok(DONE)
}

async fn carry_out(
    settings: &Settings,
    command: &Command,
    (asked, filed): (Vec<NewTrigger>, Vec<Filed>),
    database: &Database,
) -> Result<(), Exit> {
    let store = &database.store;
    match command {
        Command::Add(_) => {
            create_where_missing(store).await?;
            store.add(&asked, &user()).await?;
            let names: Vec<TriggerName> = asked.into_iter().map(|one| one.name).collect();
            show(settings, store, |one| names.contains(&one.asked.name)).await?;
            if settings.output == Output::Text {
                say("a worker starts it: qbo-backfill worker");
            }
            Ok(())
        }
        Command::Apply { .. } => apply(settings, store, filed).await,
        Command::List => show(settings, store, |_| true).await,
        Command::History { name } => history(settings, store, name).await,
        Command::Cancel { name } => {
            let names = cancelled_with(store, name).await?;
            for name in &names {
                let now = store.cancel(name, &user()).await?;
                if settings.output == Output::Text && now.state == TriggerState::Running {
                    say(&format!("the run of {name} stops after its current page; stored records stay"));
                }
            }
            show(settings, store, |one| names.contains(&one.asked.name)).await
        }
        Command::Rearm { name, when } => {
            store.rearm(name, fire_at(*when)?, None, &user()).await?;
            show(settings, store, |one| one.asked.name == *name).await
        }
    }
}

/// The trigger with this name, or the parts of the chain with this name that can still be cancelled. The last part comes
/// first, so that no part fires in the meantime.
async fn cancelled_with(store: &PgStore, name: &TriggerName) -> Result<Vec<TriggerName>, Exit> {
    let (all, _) = store.triggers().await?;
    if all.iter().any(|one| one.asked.name == *name) {
        return Ok(vec![name.clone()]);
    }
    let position = |one: &Trigger| one.asked.link.as_ref().map(|link| link.position);
    let of_chain = |one: &&Trigger| one.asked.link.as_ref().is_some_and(|link| &*link.chain == name.as_str());
    let mut parts: Vec<_> = all.iter().filter(of_chain).collect();
    let is_chain = !parts.is_empty();
    parts.retain(|one| !one.state.is_spent());
    parts.sort_by_key(|one| std::cmp::Reverse(position(one)));
    if is_chain && parts.is_empty() {
        return Err(Exit::usage(
            format!("every part of the chain {name} has ended"),
            "see: qbo-backfill trigger list",
        ));
    }
    if parts.is_empty() {
        Ok(vec![name.clone()])
    } else {
        Ok(parts.iter().map(|one| one.asked.name.clone()).collect())
    }
}
