use backfill_core::EntityKind;
use serde_json::json;

use crate::args::Output;
use crate::exit::DONE;
use crate::render::{Table, out, out_json};
use crate::settings::Settings;

/// `entities`: the catalogue.
pub(crate) fn entities(settings: &Settings) -> u8 {
    let kind = |kind| match kind {
        EntityKind::Transaction => "transaction",
        EntityKind::List => "list",
    };
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
                        "kind": kind(spec.kind()),
                        "axes": spec.axes().iter().map(|axis| axis.as_str()).collect::<Vec<_>>(),
                        "inactive_too": spec.has_inactive(),
                        "notes": spec.notes(),
                    })
                })
                .collect(),
        ),
        Output::Text => {
            let mut table = Table::new(&["entity", "pipeline", "table", "kind", "by", "notes"]);
            for spec in entities {
                table.row([
                    spec.name().to_string(),
                    spec.pipeline_name(),
                    spec.table().to_string(),
                    kind(spec.kind()).to_owned(),
                    spec.axes().iter().map(|axis| axis.as_str()).collect::<Vec<_>>().join(", "),
                    spec.notes().to_owned(),
                ]);
            }
            out(&table.to_string());
        }
    }
    DONE
}
