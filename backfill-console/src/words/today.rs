//! The texts of Today.

use raw_store::TriggerState;

use crate::facts::{Missing, days_begun};
use crate::words::language::Language;
use crate::words::state::{self, counted};

/// The texts of Today.
#[derive(Debug)]
pub(crate) struct TodayWords {
    pub(crate) blocked: &'static str,
    pub(crate) incomplete: &'static str,
    pub(crate) working: &'static str,
    pub(crate) complete: &'static str,
    pub(crate) provisional: &'static str,
    pub(crate) read_again_later: fn(u64) -> String,
    pub(crate) to_check: &'static str,
    pub(crate) open_points: fn(u64) -> String,
    pub(crate) confirmed: &'static str,
    pub(crate) unavailable: &'static str,
    pub(crate) empty: &'static str,

    pub(crate) no_consent: &'static str,
    pub(crate) consent_ended: &'static str,
    pub(crate) used_up: fn(&str) -> String,
    pub(crate) no_worker: &'static str,
    pub(crate) is_working: &'static str,
    /// The last run's end, as the beginning of a sentence.
    pub(crate) ended_today: fn(&str) -> String,
    pub(crate) ended_tonight: fn(&str) -> String,
    pub(crate) ended_on: fn(&str) -> String,
    pub(crate) no_run: &'static str,
    pub(crate) missing: fn(&Missing) -> String,
    pub(crate) all_but: fn(u64) -> String,
    pub(crate) all_there: &'static str,
    pub(crate) nothing: &'static str,

    pub(crate) run: &'static str,
    pub(crate) to: &'static str,
    pub(crate) windows_of: fn(u64, u64) -> String,

    pub(crate) now: &'static str,
    pub(crate) reading: fn(&str) -> String,
    pub(crate) at_least_calls: fn(u64) -> String,
    pub(crate) time_left: fn(&str) -> String,
    pub(crate) time_left_range: fn(&str, &str) -> String,
    pub(crate) stopping: &'static str,
    pub(crate) watch: &'static str,
    pub(crate) stop: &'static str,
    pub(crate) interrupted: &'static str,

    pub(crate) todo: &'static str,
    pub(crate) days_failed: fn(&str) -> String,
    pub(crate) days_unread: fn(&str) -> String,
    pub(crate) read_again: fn(u64) -> String,
    pub(crate) read_again_plain: &'static str,
    pub(crate) read_missing: &'static str,
    pub(crate) consent_left: fn(&str) -> String,
    pub(crate) renew: &'static str,
    pub(crate) connect: &'static str,
    pub(crate) quarantined: fn(&str) -> String,
    pub(crate) quarantined_many: &'static str,
    pub(crate) and_more: fn(u64) -> String,
    pub(crate) look: &'static str,
    pub(crate) warning: &'static str,
    pub(crate) error: &'static str,
    pub(crate) worker: &'static str,
    pub(crate) start_worker: &'static str,

    pub(crate) pipelines: &'static str,
    pub(crate) pipeline: &'static str,
    pub(crate) state: &'static str,
    pub(crate) by_month: fn(i32, i32) -> String,
    pub(crate) days_read: &'static str,
    pub(crate) of: fn(&str, &str) -> String,
    pub(crate) rows: &'static str,
    pub(crate) last: &'static str,
    pub(crate) failed_days: fn(u64) -> String,
    pub(crate) unread_days: fn(u64) -> String,
    pub(crate) unconfirmed_days: fn(u64) -> String,
    pub(crate) not_offered: &'static str,
    pub(crate) reading_now: &'static str,

    pub(crate) triggers: &'static str,
    pub(crate) no_triggers: &'static str,
    pub(crate) waits_for: fn(&str) -> String,
    pub(crate) held_up: fn(&str, TriggerState) -> String,
    pub(crate) held_up_pill: &'static str,
    pub(crate) after_pill: &'static str,
    pub(crate) resting: fn(&str) -> String,
    pub(crate) no_worker_pill: &'static str,

    pub(crate) calls_of: fn(&str) -> String,
    pub(crate) calls: fn(&str, &str) -> String,
    pub(crate) calls_left: fn(&str, &str) -> String,
    pub(crate) calls_used: fn(&str) -> String,
    pub(crate) no_allowance: &'static str,
    pub(crate) paused: fn(&str) -> String,
    pub(crate) down: fn(&str) -> String,

    pub(crate) steps: &'static str,
    pub(crate) step_connect: &'static str,
    pub(crate) step_connect_how: &'static str,
    pub(crate) step_run: &'static str,
    pub(crate) step_run_how: &'static str,
    pub(crate) step_worker: &'static str,
    pub(crate) step_worker_how: &'static str,
    pub(crate) done: &'static str,
}

fn missing_in_english(missing: &Missing) -> String {
    let language = Language::En;
    let of = match &*missing.entities {
        [one] => language.entity_within(one),
        many => format!("{} pipelines", many.len()),
    };
    let days = |duration| (state::EN.days)(days_begun(duration));
    let one = |duration| days_begun(duration) == 1;
    let unread = |duration| if one(duration) { "has not been read" } else { "have not been read" };
    match (missing.failed.is_zero(), missing.unread.is_zero()) {
        (false, true) => format!("{} of {of} failed.", days(missing.failed)),
        (false, false) => format!(
            "{} of {of} failed, and {} {}.",
            days(missing.failed),
            days(missing.unread),
            unread(missing.unread)
        ),
        _ => format!("{} of {of} {}.", days(missing.unread), unread(missing.unread)),
    }
}

fn missing_in_spanish(missing: &Missing) -> String {
    let language = Language::Es;
    let of = match &*missing.entities {
        [one] => language.entity_within(one),
        many => format!("{} pipelines", many.len()),
    };
    let days = |duration| (state::ES.days)(days_begun(duration));
    let one = |duration| days_begun(duration) == 1;
    let failed = |duration| if one(duration) { "falló" } else { "fallaron" };
    let unread = |duration| if one(duration) { "no se ha leído" } else { "no se han leído" };
    match (missing.failed.is_zero(), missing.unread.is_zero()) {
        (false, true) => format!("{} de {of} {}.", days(missing.failed), failed(missing.failed)),
        (false, false) => format!(
            "{} de {of} {} y {} {}.",
            days(missing.failed),
            failed(missing.failed),
            days(missing.unread),
            unread(missing.unread)
        ),
        _ => format!("{} de {of} {}.", days(missing.unread), unread(missing.unread)),
    }
}

/// In English.
pub(crate) const EN: TodayWords = TodayWords {
    blocked: "Blocked",
    incomplete: "Incomplete",
    working: "Working",
    complete: "Complete",
    provisional: "Provisional",
    read_again_later: |days| match days {
        1 => "everything planned is read; 1 day ended too near to now and has to be read again.".to_owned(),
        _ => format!(
            "everything planned is read; {} days ended too near to now and have to be read again.",
            Language::En.number(days)
        ),
    },
    to_check: "To be checked",
    open_points: |points| match points {
        1 => "everything planned is read, and one point needs a look before it is complete.".to_owned(),
        _ => format!(
            "everything planned is read, and {} points need a look before it is complete.",
            Language::En.number(points)
        ),
    },
    confirmed: "Confirmed",
    unavailable: "not available",
    empty: "Empty",
    no_consent: "This company is not connected to QuickBooks.",
    consent_ended: "The consent for QuickBooks has ended.",
    used_up: |until| format!("The calls of this month are used up until {until}."),
    no_worker: "A trigger is due, and no worker runs.",
    is_working: "Everything planned is being read.",
    ended_today: |time| format!("The last run ended at {time};"),
    ended_tonight: |time| format!("Last night’s run ended at {time};"),
    ended_on: |day| format!("The last run ended on {day};"),
    no_run: "No run has ended yet;",
    missing: missing_in_english,
    all_but: |days| match days {
        1 => "everything planned is read; no count has confirmed 1 day yet.".to_owned(),
        _ => format!(
            "everything planned is read; no count has confirmed {} days yet.",
            Language::En.number(days)
        ),
    },
    all_there: "everything planned is read, and counts at QuickBooks confirm it.",
    nothing: "Nothing has been read yet.",
    run: "Run",
    to: "to",
    windows_of: |closed, all| {
        format!("{} of {} windows", Language::En.number(closed), Language::En.number(all))
    },
    now: "Now",
    reading: |at| format!("reading {at}"),
    at_least_calls: |calls| format!("at least {}", (state::EN.calls)(calls)),
    time_left: |time| format!("about {time} left"),
    time_left_range: |least, most| format!("about {least} to {most} left"),
    stopping: "stopping: the page in hand is stored first",
    watch: "Watch",
    stop: "Stop…",
    interrupted: "interrupted",
    todo: "For a person",
    days_failed: |entity| format!("of {entity} failed."),
    days_unread: |entity| format!("of {entity} not read yet."),
    read_again: |calls| format!("Read again · at least {}", (state::EN.calls)(calls)),
    read_again_plain: "Read again",
    read_missing: "Read what is missing",
    consent_left: |day| format!("until the consent for QuickBooks ends ({day})."),
    renew: "Renew the consent",
    connect: "Connect",
    quarantined: |entity| format!("in quarantine, in {entity}."),
    quarantined_many: "in quarantine, in several pipelines.",
    and_more: |more| format!("and {} more", Language::En.number(more)),
    look: "Look",
    warning: "warning",
    error: "error",
    worker: "worker",
    start_worker: "No worker runs, so triggers will not fire. Start one with “qbo-backfill worker”.",
    pipelines: "Pipelines",
    pipeline: "Pipeline",
    state: "State",
    by_month: |first, last| {
        if first == last { format!("{first}, by month") } else { format!("{first} – {last}, by month") }
    },
    days_read: "Days read",
    of: |one, all| format!("{one} of {all}"),
    rows: "Rows",
    last: "Last run",
    failed_days: counted!(En, "day failed", "days failed"),
    unread_days: counted!(En, "day not read", "days not read"),
    unconfirmed_days: counted!(En, "day not confirmed", "days not confirmed"),
    not_offered: "the company does not have it",
    reading_now: "reading",
    triggers: "Triggers",
    no_triggers: "No trigger is armed. “New run” arms one.",
    waits_for: |other| format!("fires after {other}"),
    held_up: |other, state| format!("waits for {other}, which is {}", (state::EN.trigger)(state)),
    held_up_pill: "held up",
    after_pill: "in a chain",
    resting: |until| format!("tries again {until}"),
    no_worker_pill: "no worker",
    calls_of: |month| format!("Calls in {month}"),
    calls: |used, all| format!("{used} of {all}"),
    calls_left: |left, ends| format!("{left} left; the month ends {ends}"),
    calls_used: |ends| format!("used; the month ends {ends}"),
    no_allowance: "No monthly limit is set.",
    paused: |until| format!("QuickBooks said too many: nobody calls before {until}."),
    down: |until| format!("QuickBooks does not answer: the next call is made at {until}."),
    steps: "Three steps to the first rows",
    step_connect: "Connect the company",
    step_connect_how: "Agree on Intuit’s page, once.",
    step_run: "Plan a run",
    step_run_how: "Choose pipelines and dates; the price in calls stands beside the button.",
    step_worker: "Let a worker run",
    step_worker_how: "It starts what is due: “qbo-backfill worker”, or this console itself.",
    done: "done",
};

/// In Spanish.
pub(crate) const ES: TodayWords = TodayWords {
    blocked: "Bloqueado",
    incomplete: "Falta algo",
    working: "Leyendo",
    complete: "Completo",
    provisional: "Provisional",
    read_again_later: |days| {
        match days {
        1 => "todo lo planificado se ha leído; 1 día terminó demasiado cerca del momento actual y hay que leerlo otra vez.".to_owned(),
        _ => format!("todo lo planificado se ha leído; {} días terminaron demasiado cerca del momento actual y hay que leerlos otra vez.", Language::Es.number(days)),
    }
    },
    to_check: "Por revisar",
    open_points: |points| match points {
        1 => "todo lo planificado se ha leído, y hay un punto por revisar antes de darlo por completo."
            .to_owned(),
        _ => format!(
            "todo lo planificado se ha leído, y hay {} puntos por revisar antes de darlo por completo.",
            Language::Es.number(points)
        ),
    },
    confirmed: "Confirmado",
    unavailable: "no disponible",
    empty: "Vacío",
    no_consent: "Esta empresa no está conectada a QuickBooks.",
    consent_ended: "El permiso de QuickBooks ha caducado.",
    used_up: |until| format!("Las llamadas de este mes se han agotado hasta {until}."),
    no_worker: "Hay un disparador pendiente y ningún worker en marcha.",
    is_working: "Se está leyendo todo lo planificado.",
    ended_today: |time| format!("La última ejecución terminó a las {time};"),
    ended_tonight: |time| format!("Anoche terminó a las {time};"),
    ended_on: |day| format!("La última ejecución terminó el {day};"),
    no_run: "Todavía no ha terminado ninguna ejecución;",
    missing: missing_in_spanish,
    all_but: |days| match days {
        1 => "todo lo planificado está leído; falta confirmar por conteo 1 día.".to_owned(),
        _ => format!(
            "todo lo planificado está leído; falta confirmar por conteo {} días.",
            Language::Es.number(days)
        ),
    },
    all_there: "todo lo planificado está leído y los conteos de QuickBooks lo confirman.",
    nothing: "Todavía no se ha leído nada.",
    run: "Ejecución",
    to: "a",
    windows_of: |closed, all| {
        format!("{} de {} ventanas", Language::Es.number(closed), Language::Es.number(all))
    },
    now: "Ahora",
    reading: |at| format!("leyendo {at}"),
    at_least_calls: |calls| format!("al menos {}", (state::ES.calls)(calls)),
    time_left: |time| format!("quedan unos {time}"),
    time_left_range: |least, most| format!("quedan entre {least} y {most}"),
    stopping: "deteniéndose: antes se guarda la página en curso",
    watch: "Ver en vivo",
    stop: "Detener…",
    interrupted: "interrumpida",
    todo: "Para una persona",
    days_failed: |entity| format!("de {entity} con fallos."),
    days_unread: |entity| format!("de {entity} sin leer."),
    read_again: |calls| format!("Leer otra vez · al menos {}", (state::ES.calls)(calls)),
    read_again_plain: "Leer otra vez",
    read_missing: "Leer lo que falta",
    consent_left: |day| format!("hasta que caduque el permiso de QuickBooks ({day})."),
    renew: "Renovar el permiso",
    connect: "Conectar",
    quarantined: |entity| format!("en cuarentena, en {entity}."),
    quarantined_many: "en cuarentena, en varios pipelines.",
    and_more: |more| format!("y {} más", Language::Es.number(more)),
    look: "Ver",
    warning: "aviso",
    error: "error",
    worker: "worker",
    start_worker: "No hay ningún worker en marcha, así que los disparadores no se activarán. Inicie uno con «qbo-backfill worker».",
    pipelines: "Pipelines",
    pipeline: "Pipeline",
    state: "Estado",
    by_month: |first, last| {
        if first == last { format!("{first}, por mes") } else { format!("{first} – {last}, por mes") }
    },
    days_read: "Días leídos",
    of: |one, all| format!("{one} de {all}"),
    rows: "Filas",
    last: "Última",
    failed_days: counted!(Es, "día con fallo", "días con fallo"),
    unread_days: counted!(Es, "día sin leer", "días sin leer"),
    unconfirmed_days: counted!(Es, "día sin confirmar", "días sin confirmar"),
    not_offered: "la empresa no lo tiene",
    reading_now: "leyendo",
    triggers: "Disparadores",
    no_triggers: "No hay disparadores armados. «Nueva ejecución» arma uno.",
    waits_for: |other| format!("se activa después de {other}"),
    held_up: |other, state| match state {
        TriggerState::Failed => format!("espera a {other}, que falló"),
        _ => format!("espera a {other}, que está {}", (state::ES.trigger)(state)),
    },
    held_up_pill: "detenido",
    after_pill: "en cadena",
    resting: |until| format!("lo intenta otra vez {until}"),
    no_worker_pill: "sin worker",
    calls_of: |month| format!("Llamadas de {month}"),
    calls: |used, all| format!("{used} de {all}"),
    calls_left: |left, ends| format!("quedan {left}; el mes acaba {ends}"),
    calls_used: |ends| format!("usadas; el mes acaba {ends}"),
    no_allowance: "No hay límite mensual configurado.",
    paused: |until| format!("QuickBooks respondió «demasiadas»: nadie llama antes de las {until}."),
    down: |until| format!("QuickBooks no responde: la próxima llamada será a las {until}."),
    steps: "Tres pasos hasta las primeras filas",
    step_connect: "Conectar la empresa",
    step_connect_how: "Dar el permiso en la página de Intuit, una sola vez.",
    step_run: "Planificar una ejecución",
    step_run_how: "Elija pipelines y fechas; junto al botón verá el precio en llamadas.",
    step_worker: "Poner en marcha un worker",
    step_worker_how: "Inicia lo que toca: «qbo-backfill worker», o esta misma consola.",
    done: "hecho",
};
