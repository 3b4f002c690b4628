//! The words for states, which several pages share.

use raw_store::{RunStatus, TriggerState, WindowState};

/// The words for states.
#[derive(Debug)]
pub(crate) struct StateWords {
    pub(crate) window: fn(WindowState) -> &'static str,
    pub(crate) run: fn(RunStatus) -> &'static str,
    pub(crate) trigger: fn(TriggerState) -> &'static str,
    pub(crate) days: fn(u64) -> String,
    pub(crate) records: fn(u64) -> String,
    pub(crate) calls: fn(u64) -> String,
    pub(crate) pages: fn(u64) -> String,
    pub(crate) axis: fn(&str) -> &'static str,
}

fn axis_in_english(axis: &str) -> &'static str {
    match axis {
        "updated" => "by last update",
        "created" => "by creation",
        "txn-date" => "by transaction date",
        _ => "by another time",
    }
}

fn axis_in_spanish(axis: &str) -> &'static str {
    match axis {
        "updated" => "por última modificación",
        "created" => "por creación",
        "txn-date" => "por fecha de transacción",
        _ => "por otra fecha",
    }
}

/// A number with its noun.
macro_rules! counted {
    ($language:ident, $one:literal, $many:literal) => {
        |number| match number {
            1 => concat!("1 ", $one).to_owned(),
            _ => format!(concat!("{} ", $many), crate::words::language::Language::$language.number(number)),
        }
    };
}

pub(crate) use counted;

/// In English.
pub(crate) const EN: StateWords = StateWords {
    window: |state| match state {
        WindowState::Pending => "not read",
        WindowState::Running => "partly read",
        WindowState::Completed => "complete",
        WindowState::Provisional => "provisional",
        WindowState::Failed => "failed",
        WindowState::Unavailable => "not available",
    },
    run: |status| match status {
        RunStatus::Running => "running",
        RunStatus::Completed => "complete",
        RunStatus::Incomplete => "incomplete",
        RunStatus::Failed => "failed",
        RunStatus::Stopped => "stopped",
    },
    trigger: |state| match state {
        TriggerState::Armed => "armed",
        TriggerState::Running => "running",
        TriggerState::Done => "done",
        TriggerState::Failed => "failed",
        TriggerState::Cancelled => "cancelled",
        TriggerState::Expired => "expired",
    },
    days: counted!(En, "day", "days"),
    records: counted!(En, "record", "records"),
    calls: counted!(En, "call", "calls"),
    pages: counted!(En, "page", "pages"),
    axis: axis_in_english,
};

/// In Spanish.
pub(crate) const ES: StateWords = StateWords {
    window: |state| match state {
        WindowState::Pending => "sin leer",
        WindowState::Running => "leída en parte",
        WindowState::Completed => "completa",
        WindowState::Provisional => "provisional",
        WindowState::Failed => "fallida",
        WindowState::Unavailable => "no disponible",
    },
    run: |status| match status {
        RunStatus::Running => "en curso",
        RunStatus::Completed => "completa",
        RunStatus::Incomplete => "incompleta",
        RunStatus::Failed => "fallida",
        RunStatus::Stopped => "detenida",
    },
    trigger: |state| match state {
        TriggerState::Armed => "armado",
        TriggerState::Running => "en curso",
        TriggerState::Done => "hecho",
        TriggerState::Failed => "falló",
        TriggerState::Cancelled => "cancelado",
        TriggerState::Expired => "vencido",
    },
    days: counted!(Es, "día", "días"),
    records: counted!(Es, "registro", "registros"),
    calls: counted!(Es, "llamada", "llamadas"),
    pages: counted!(Es, "página", "páginas"),
    axis: axis_in_spanish,
};
