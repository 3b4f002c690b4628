//! The command `plan`: shows windows, scans and the estimated calls of a run, without calling QuickBooks.

use backfill_core::{Plan, Settling};
use backfill_report::call_month::{json as month_json, line as month_line};
use backfill_report::instant::{short, utc};
use backfill_report::number::counted;
use backfill_report::table::Table;
use qbo_auth::{Clock as _, SystemClock};
use raw_store::{
    BackfillLog as _, CallLedger as _, CallMonth, LogFilter, LogLine, SourceRefusal, SourceRefusals as _,
    Window,
};
use serde_json::json;

use super::log_reader::{or_nothing, reader};
use super::request::{nobody, refuse_future, request, span};
use crate::args::{Output, RunArgs};
use crate::config::settings::Settings;
use crate::output::exit::{DONE, Exit};
use crate::output::human_duration::human_duration;
use crate::output::print::{out, out_json};
use crate::output::screen_width;

/// `plan`: shows windows, scans and the estimated calls, without calling QuickBooks.
pub(crate) async fn plan(settings: &Settings, arguments: &RunArgs) -> Result<u8, Exit> {
    let span = span(settings, arguments.from, arguments.to)?;
    refuse_future(arguments, span)?;
    let request = request(settings, arguments, span, nobody(settings.realm.as_ref()))?;
    let known = known(settings, span).await?;
    let now = SystemClock::new().now_utc();
    let request = request.with_refusals(&known.refusals, now);
    let plan = Plan::new(&request, &known.lines)?;
    let settling = plan.settling(&request, now);
    let month = known.month;
    match settings.output {
        Output::Json => {
            let mut plan = as_json(&plan, settling);
            plan["calls_this_month"] =
                month.map_or(json!(null), |month| month_json(month, settings.monthly_calls));
            out_json(&plan);
        }
        Output::Text => {
            let month = month.map(|month| month_line(month, settings.monthly_calls) + "\n");
            let settling = settling.map(|settling| settling_line(&settling));
            out(&(as_text(&plan) + &settling.unwrap_or_default() + &month.unwrap_or_default()));
        }
    }
    Ok(DONE)
}

/// What the database knows for a plan.
struct Known {
    lines: Vec<LogLine>,
    refusals: Vec<SourceRefusal>,
    month: Option<CallMonth>,
}

/// The log of the range, what QuickBooks has refused, and the calls of this month; nothing if there is no schema yet.
async fn known(settings: &Settings, span: Window) -> Result<Known, Exit> {
    let database = reader(settings).await?;
    let filter = LogFilter { span: Some(span), ..LogFilter::default() };
    let lines = or_nothing(database.store.lines(&filter).await)?;
    let refusals = or_nothing(database.store.refusals().await)?;
    let month = or_nothing(database.store.month().await.map(Some))?;
    database.close().await?;
    Ok(Known { lines, refusals, month })
}

fn as_json(plan: &Plan, settling: Option<Settling>) -> serde_json::Value {
    let pipelines = plan.pipelines.iter().map(|pipeline| {
        let scans = pipeline.scans.iter().map(|scan| {
            json!({"start": utc(scan.span.start()), "end": utc(scan.span.end()), "windows": scan.windows})
        });
        json!({
            "pipeline": pipeline.spec.pipeline_name(),
            "windows": pipeline.windows.len(),
            "completed": pipeline.completed,
            "as_a_whole": pipeline.spec.is_snapshot(),
            "scans": scans.collect::<Vec<_>>(),
        })
    });
    json!({
        "pipelines": pipelines.collect::<Vec<_>>(),
        "windows_to_read": plan.open_windows(),
        "estimated_calls": plan.estimated_calls,
        "settling": settling.map(|settling| {
            json!({"windows": settling.windows, "estimated_calls": settling.calls, "seconds": settling.wait.as_secs()})
        }),
    })
}

/// What settling adds to the price of a run.
fn settling_line(settling: &Settling) -> String {
    format!(
        "settling: {}; the run waits up to {} for them, and reads them again with at least {} more calls\n",
        counted(settling.windows as u64, "window ends too near to now", "windows end too near to now"),
        human_duration(settling.wait),
        settling.calls
    )
}

fn as_text(plan: &Plan) -> String {
    let mut table = Table::new(&["pipeline", "windows#", "done#", "to read#", "scans", "from .. to"])
        .optional(&["scans", "windows", "done"]);
    for pipeline in &plan.pipelines {
        let spans = pipeline
            .scans
            .iter()
            .take(3)
            .map(|scan| format!("{} .. {}", short(scan.span.start()), short(scan.span.end())));
        let more = match pipeline.scans.len() {
            0 => "",
            _ if pipeline.spec.is_snapshot() => ", as it is now, in one window",
            1..=3 => "",
            _ => ", …",
        };
        table.row([
            pipeline.spec.pipeline_name(),
            pipeline.windows.len().to_string(),
            pipeline.completed.to_string(),
            (pipeline.windows.len() - pipeline.completed).to_string(),
            pipeline.scans.len().to_string(),
            spans.collect::<Vec<_>>().join(", ") + more,
        ]);
    }
    format!(
        "{}\n{} windows to read, at least {} API calls, and one more for every 999 records that are not in the log yet\n",
        table.fitted(screen_width::of_stdout()),
        plan.open_windows(),
        plan.estimated_calls
    )
}
