//! Renders the API calls of the current month and what is left of the allowance, as text and JSON.

use raw_store::CallMonth;
use serde_json::json;

use crate::instant::utc;

/// Formats the calls made this month, and the calls left.
pub fn line(month: CallMonth, allowance: Option<u64>) -> String {
    let used = month.used;
    match allowance {
        Some(allowance) => format!(
            "calls this month (UTC): {used} made, {} of {allowance} left",
            allowance.saturating_sub(used)
        ),
        None => format!("calls this month (UTC): {used} made, no limit set"),
    }
}

/// Formats the same numbers for programs.
pub fn json(month: CallMonth, allowance: Option<u64>) -> serde_json::Value {
    json!({
        "used": month.used,
        "allowance": allowance,
        "left": allowance.map(|allowance| allowance.saturating_sub(month.used)),
        "until": utc(month.until),
    })
}
