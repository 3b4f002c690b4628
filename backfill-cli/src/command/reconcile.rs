//! The command `reconcile`: compares QuickBooks' own reports with what is stored. It changes no row.

use std::num::NonZeroUsize;

use backfill_core::{DiscrepancyKind, EventSink, ReconcileRequest, Reconciliation, RunEvent};
use backfill_report::call_month::{json as month_json, line as month_line};
use backfill_report::reconciliation::{json, plan_json, plan_text, text};
use raw_store::{CallLedger as _, StoreIdentity, Window};
use time::{Duration, Time};

use super::log_reader::{or_nothing, reader};
use super::request::{new_run, nobody, span};
use crate::app::{Schema, compose};
use crate::args::{Output, ReconcileArgs};
use crate::config::settings::Settings;
use crate::output::exit::{DONE, Exit, INCOMPLETE};
use crate::output::print::{out, out_json};
use crate::output::screen_width;
use crate::shutdown::Stop;
use crate::sinks::progress::sink;

/// `reconcile`: compares QuickBooks' reports with the rows.
pub(crate) async fn reconcile(settings: &Settings, arguments: &ReconcileArgs) -> Result<u8, Exit> {
    let span = span(settings, arguments.from, arguments.to)?;
    if span.start().time() != Time::MIDNIGHT || span.end().time() != Time::MIDNIGHT {
        return Err(Exit::usage("reports have no time of day", "give --from and --to as plain dates"));
    }
    let request = request(settings, arguments, span, nobody(settings.realm.as_ref()));
    if arguments.plan {
        return plan(settings, &request).await;
    }
    let stop = Stop::listen()?;
    let composed = compose(settings, NonZeroUsize::MIN, 0, Schema::Needed, |client| {
        // A program reads one value.
        let shown = (settings.output == Output::Text).then(|| sink(settings, client));
        std::sync::Arc::new(Listener { shown })
    })
    .await?;
    stop.keep(&composed.tokens);
    stop.follow(settings)?;
    let request = ReconcileRequest { identity: composed.identity.clone(), ..request };
    let result = composed.engine.reconcile(request, stop.token.clone()).await;
    let calls = composed.client.usage().calls;
    let closed = composed.close().await;
    let mut found = result?;
    let (shown, mut value) = (text(&found, calls, screen_width::of_stdout()), json(&found, calls));
    let verdict = match found.failure.take() {
        Some(failure) => Err(stop.signed(failure.into())),
        None => closed.and_then(|()| verdict(&found)),
    };
    match settings.output {
        Output::Text => out(&shown),
        Output::Json => {
            let (code, next) = verdict.as_ref().map_or_else(|exit| (exit.code, &*exit.next), |_| (DONE, ""));
            (value["exit_code"], value["next"]) = (code.into(), next.into());
            out_json(&value);
        }
    }
    verdict
}

fn request(
    settings: &Settings,
    arguments: &ReconcileArgs,
    span: Window,
    identity: StoreIdentity,
) -> ReconcileRequest {
    ReconcileRequest {
        id: new_run().0,
        identity,
        first: span.start().date(),
        last: (span.end() - Duration::NANOSECOND).date(),
        basis: arguments.basis.into(),
        entities: settings.catalog.entities().to_vec(),
    }
}

/// Shows the price, without calling QuickBooks.
async fn plan(settings: &Settings, request: &ReconcileRequest) -> Result<u8, Exit> {
    let database = reader(settings).await?;
    let month = or_nothing(database.store.month().await.map(Some))?;
    database.close().await?;
    let plan = request.plan();
    match settings.output {
        Output::Json => {
            let mut plan = plan_json(&plan);
            plan["calls_this_month"] =
                month.map_or(serde_json::Value::Null, |month| month_json(month, settings.monthly_calls));
            out_json(&plan);
        }
        Output::Text => {
            let month = month.map(|month| "\n".to_owned() + &month_line(month, settings.monthly_calls));
            out(&(plan_text(&plan) + &month.unwrap_or_default()));
        }
    }
    Ok(DONE)
}

/// Whether everything ties out, and what to do if it does not.
fn verdict(found: &Reconciliation) -> Result<u8, Exit> {
    if found.ties_out() {
        return Ok(DONE);
    }
    let count = |kind| found.count(kind);
    let missing = count(DiscrepancyKind::Missing);
    let what = format!(
        "transactions missing: {missing}, in quarantine: {}, not in QuickBooks' reports: {}, dated otherwise: {}, unbalanced or \
         not in the journal: {}, not looked up: {}; days not read: {}; nothing was changed",
        count(DiscrepancyKind::Quarantined),
        count(DiscrepancyKind::Unlisted),
        count(DiscrepancyKind::Changed),
        count(DiscrepancyKind::Unbalanced) + count(DiscrepancyKind::NotInJournal),
        count(DiscrepancyKind::Unknown) + count(DiscrepancyKind::Unresolved),
        found.unread_days.len()
    );
    let next = if missing > 0 {
        "read what is missing with: qbo-backfill verify transactions --repair"
    } else {
        "if somebody is working in QuickBooks now, run the same command again later"
    };
    Err(Exit::new(INCOMPLETE, what, next))
}

/// Drops the id of a run: a reconciliation leaves no run in the log that could be named.
#[derive(Debug)]
struct Listener {
    shown: Option<std::sync::Arc<dyn EventSink>>,
}

impl EventSink for Listener {
    fn emit(&self, event: &RunEvent) {
        if let Some(shown) = &self.shown {
            shown.emit(&RunEvent::new(event.at, None, event.kind.clone()));
        }
    }
}
