//! The command `entities`: lists the catalogue.

use backfill_core::EntitySpec;
use backfill_report::table::Table;
use qbo_client::PageSize;
use serde_json::json;

use crate::args::Output;
use crate::config::settings::Settings;
use crate::output::exit::DONE;
use crate::output::print::{out, out_json};
use crate::output::screen_width;

/// `entities`: lists the catalogue.
pub(crate) fn entities(settings: &Settings) -> u8 {
    let entities = settings.catalog.entities();
    match settings.output {
        Output::Json => out_json(
            &entities
                .iter()
                .map(|spec| {
                    json!({
                        "entity": spec.name().as_str(),
                        "pipeline": spec.pipeline_name(),
                        "table": spec.table().as_str(),
                        "kind": spec.kind().as_str(),
                        "axes": spec.axes().iter().map(|axis| axis.as_str()).collect::<Vec<_>>(),
                        "inactive_too": spec.has_inactive(),
                        "as_a_whole": spec.is_snapshot(),
                        "custom_fields": spec.has_custom_fields(),
                        "page_size": spec.page_size(PageSize::MAX).get(),
                        "notes": spec.notes(),
                    })
                })
                .collect(),
        ),
        Output::Text => out(&text(entities)),
    }
    DONE
}

fn text(entities: &[EntitySpec]) -> String {
    let mut table =
        Table::new(&["entity", "pipeline", "kind", "by", "notes"]).optional(&["kind", "pipeline", "by"]);
    for spec in entities {
        table.row([
            spec.name().to_string(),
            spec.pipeline_name(),
            spec.kind().as_str().to_owned(),
            spec.axes().iter().map(|axis| axis.as_str()).collect::<Vec<_>>().join(", "),
            spec.notes().to_owned(),
        ]);
    }
    format!(
        "{}\n{} entities. all, transactions and lists stand for several; qb_bills_backfill fills qb_bills, and so on.\n",
        table.fitted(screen_width::of_stdout()),
        entities.len()
    )
}
