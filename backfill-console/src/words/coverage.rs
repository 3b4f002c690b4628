//! The texts of Coverage.

use backfill_report::calendar::Mark;

use crate::words::language::Language;
use crate::words::state::counted;

/// The texts of Coverage.
#[derive(Debug)]
pub(crate) struct CoverageWords {
    pub(crate) title: &'static str,
    pub(crate) nothing: &'static str,
    pub(crate) not_read: &'static str,
    pub(crate) read_of: fn(&str, &str) -> String,
    pub(crate) confirmed: fn(u64) -> String,
    pub(crate) read_again: fn(u64, u64) -> String,
    pub(crate) read_again_plain: fn(u64) -> String,
    pub(crate) read_missing: &'static str,
    pub(crate) see: fn(u64) -> String,
    pub(crate) confirm: fn(u64) -> String,
    pub(crate) all_windows: &'static str,
    pub(crate) year: &'static str,
    pub(crate) by: &'static str,
    pub(crate) few: &'static str,
    pub(crate) many: &'static str,
    pub(crate) mark: fn(Mark) -> &'static str,
    pub(crate) finding: &'static str,
    pub(crate) longer: &'static str,
    pub(crate) unplanned: &'static str,
    pub(crate) window: &'static str,
    pub(crate) to: &'static str,
    pub(crate) why: &'static str,
    pub(crate) read: &'static str,
    pub(crate) attempts: &'static str,
    pub(crate) last_in: &'static str,
    pub(crate) counted: &'static str,
    pub(crate) not_counted: &'static str,
    pub(crate) duration: &'static str,
    pub(crate) findings: &'static str,
    pub(crate) outcome: fn(u64, u64, u64, u64) -> String,
    pub(crate) read_day: fn(u64) -> String,
    pub(crate) read_day_plain: &'static str,
    pub(crate) what_happened: fn(&str) -> String,
    pub(crate) its_rows: fn(u64) -> String,
    pub(crate) more_windows: fn(u64) -> String,
    pub(crate) verified: fn(&str, &str) -> String,
    pub(crate) verified_count: &'static str,
    pub(crate) verified_records: &'static str,
    pub(crate) verified_report: &'static str,
    pub(crate) found_confirmed: &'static str,
    pub(crate) found_differs: &'static str,
    pub(crate) found_incomplete: &'static str,
}

/// In English.
pub(crate) const EN: CoverageWords = CoverageWords {
    title: "Coverage",
    nothing: "Nothing has been planned yet. “New run” plans the first windows.",
    not_read: "This pipeline has not been read yet.",
    read_of: |read, all| format!("{read} of {all} days read"),
    confirmed: |days| format!("{} confirmed by a count", Language::En.number(days)),
    read_again: |days, calls| match days {
        1 => format!("Read the failed day again · at least {}", counted!(En, "call", "calls")(calls)),
        _ => format!("Read the {days} failed days again · at least {}", counted!(En, "call", "calls")(calls)),
    },
    read_again_plain: |days| match days {
        1 => "Read the failed day again".to_owned(),
        _ => format!("Read the {days} failed days again"),
    },
    read_missing: "Read what is missing",
    see: |number| match number {
        1 => "See the failed window".to_owned(),
        _ => format!("See the {number} failed windows"),
    },
    confirm: |days| match days {
        1 => "Confirm 1 day".to_owned(),
        _ => format!("Confirm {} days", Language::En.number(days)),
    },
    all_windows: "All windows",
    year: "Year",
    by: "Axis",
    few: "few",
    many: "many",
    mark: |mark| match mark {
        Mark::Unavailable => "not available",
        Mark::Empty => "read, empty",
        Mark::Confirmed => "complete, confirmed by a count",
        Mark::Unconfirmed => "not confirmed",
        Mark::Provisional => "provisional, will be read again",
        Mark::Open => "not read",
        Mark::Failed => "failed",
    },
    finding: "finding",
    longer: "part of a longer window",
    unplanned: "never planned",
    window: "Window",
    to: "to",
    why: "Why",
    read: "Read",
    attempts: "Attempts",
    last_in: "the last in",
    counted: "Confirmed by a count",
    not_counted: "no",
    duration: "Time taken",
    findings: "Findings",
    outcome: |inserted, updated, unchanged, quarantined| {
        let parts = [
            (inserted, "inserted"),
            (updated, "updated"),
            (unchanged, "unchanged"),
            (quarantined, "in quarantine"),
        ];
        let told = parts.iter().filter(|(number, _)| *number > 0);
        told.map(|(number, word)| format!("{} {word}", Language::En.number(*number)))
            .collect::<Vec<_>>()
            .join(", ")
    },
    read_day: |calls| format!("Read this day again · at least {}", counted!(En, "call", "calls")(calls)),
    read_day_plain: "Read this day again",
    what_happened: |time| format!("What happened at {time}"),
    its_rows: |rows| match rows {
        1 => "Its row".to_owned(),
        _ => format!("Its {} rows", Language::En.number(rows)),
    },
    more_windows: |number| format!("and {} more windows of this day", Language::En.number(number)),
    verified: |how, when| format!("{how} {when}"),
    verified_count: "Counted at QuickBooks",
    verified_records: "Compared record by record",
    verified_report: "Compared with QuickBooks’ own reports",
    found_confirmed: "everything is there",
    found_differs: "something differs",
    found_incomplete: "not all could be read",
};

/// In Spanish.
pub(crate) const ES: CoverageWords = CoverageWords {
    title: "Cobertura",
    nothing: "Todavía no se ha planificado nada. «Nueva ejecución» planifica las primeras ventanas.",
    not_read: "Este pipeline todavía no se ha leído.",
    read_of: |read, all| format!("{read} de {all} días leídos"),
    confirmed: |days| match days {
        1 => "1 confirmado por conteo".to_owned(),
        _ => format!("{} confirmados por conteo", Language::Es.number(days)),
    },
    read_again: |days, calls| match days {
        1 => format!(
            "Leer otra vez el día que falló · al menos {}",
            counted!(Es, "llamada", "llamadas")(calls)
        ),
        _ => format!(
            "Leer otra vez los {days} que fallaron · al menos {}",
            counted!(Es, "llamada", "llamadas")(calls)
        ),
    },
    read_again_plain: |days| match days {
        1 => "Leer otra vez el día que falló".to_owned(),
        _ => format!("Leer otra vez los {days} que fallaron"),
    },
    read_missing: "Leer lo que falta",
    see: |number| match number {
        1 => "Ver la ventana que falló".to_owned(),
        _ => format!("Ver las {number} que fallaron"),
    },
    confirm: |days| match days {
        1 => "Confirmar 1 día".to_owned(),
        _ => format!("Confirmar {} días", Language::Es.number(days)),
    },
    all_windows: "Todas las ventanas",
    year: "Año",
    by: "Eje",
    few: "pocos",
    many: "muchos",
    mark: |mark| match mark {
        Mark::Unavailable => "no disponible",
        Mark::Empty => "leído, vacío",
        Mark::Confirmed => "completo, confirmado por conteo",
        Mark::Unconfirmed => "sin confirmar",
        Mark::Provisional => "provisional, se leerá otra vez",
        Mark::Open => "sin leer",
        Mark::Failed => "falló",
    },
    finding: "hallazgo",
    longer: "parte de una ventana más larga",
    unplanned: "nunca planificado",
    window: "Ventana",
    to: "a",
    why: "Por qué",
    read: "Leídos",
    attempts: "Intentos",
    last_in: "el último en",
    counted: "Confirmada por conteo",
    not_counted: "no",
    duration: "Tiempo empleado",
    findings: "Hallazgos",
    outcome: |inserted, updated, unchanged, quarantined| {
        let parts = [
            (inserted, "insertados"),
            (updated, "actualizados"),
            (unchanged, "sin cambios"),
            (quarantined, "en cuarentena"),
        ];
        let told = parts.iter().filter(|(number, _)| *number > 0);
        told.map(|(number, word)| format!("{} {word}", Language::Es.number(*number)))
            .collect::<Vec<_>>()
            .join(", ")
    },
    read_day: |calls| {
        format!("Leer este día otra vez · al menos {}", counted!(Es, "llamada", "llamadas")(calls))
    },
    read_day_plain: "Leer este día otra vez",
    what_happened: |time| format!("Qué pasó a las {time}"),
    its_rows: |rows| match rows {
        1 => "Su fila".to_owned(),
        _ => format!("Sus {} filas", Language::Es.number(rows)),
    },
    more_windows: |number| format!("y {} ventanas más de este día", Language::Es.number(number)),
    verified: |how, when| format!("{how} {when}"),
    verified_count: "Contado en QuickBooks",
    verified_records: "Comparado registro por registro",
    verified_report: "Comparado con los informes de QuickBooks",
    found_confirmed: "está todo",
    found_differs: "algo difiere",
    found_incomplete: "no se pudo leer todo",
};
