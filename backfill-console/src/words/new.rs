//! The texts of New.

use backfill_core::ChunkSize;
use raw_store::WindowSelection;

use crate::words::language::Language;
use crate::words::state;

/// The texts of New.
#[derive(Debug)]
pub(crate) struct NewWords {
    pub(crate) title: &'static str,
    pub(crate) pipelines: &'static str,
    pub(crate) all: &'static str,
    pub(crate) transactions: &'static str,
    pub(crate) lists: &'static str,
    pub(crate) single: &'static str,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    pub(crate) end_hint: &'static str,
    pub(crate) days_of: &'static str,
    pub(crate) what: &'static str,
    pub(crate) selection: fn(WindowSelection) -> &'static str,
    pub(crate) when: &'static str,
    pub(crate) now: &'static str,
    pub(crate) at: &'static str,
    pub(crate) at_hint: fn(&str) -> String,
    pub(crate) if_missed: &'static str,
    pub(crate) late: &'static str,
    pub(crate) skip: &'static str,
    pub(crate) more: &'static str,
    pub(crate) every: &'static str,
    pub(crate) by: &'static str,
    pub(crate) chunk: &'static str,
    pub(crate) chunk_word: fn(ChunkSize) -> &'static str,
    pub(crate) every_word: fn(ChunkSize) -> &'static str,
    pub(crate) name: &'static str,
    pub(crate) name_hint: &'static str,
    pub(crate) preview: &'static str,
    pub(crate) preview_again: &'static str,
    pub(crate) look_only: &'static str,

    pub(crate) changed: &'static str,
    pub(crate) not_armed: &'static str,
    pub(crate) wrong_axis: &'static str,
    pub(crate) wrong_chunk: &'static str,
    pub(crate) wrong_what: &'static str,
    pub(crate) wrong_when: &'static str,
    pub(crate) wrong_every: &'static str,
    pub(crate) wrong_missed: &'static str,
    pub(crate) wrong_days: &'static str,
    pub(crate) wrong_name: &'static str,
    pub(crate) no_pipeline: fn(&str, Option<&str>) -> String,
    pub(crate) choose_pipeline: &'static str,
    pub(crate) not_by_axis: fn(&str) -> String,
    pub(crate) none_by_axis: &'static str,
    pub(crate) empty_range: &'static str,
    pub(crate) no_time_of_day: &'static str,
    pub(crate) begins_later: &'static str,
    pub(crate) none_failed: &'static str,
    pub(crate) too_many: &'static str,
    pub(crate) chain_too_long: &'static str,
    pub(crate) chain_name_too_long: &'static str,
    pub(crate) name_taken: fn(&str) -> String,

    pub(crate) windows: fn(u64, u64, u64, u64) -> String,
    pub(crate) nothing_to_read: &'static str,
    pub(crate) only_counted: fn(u64) -> String,
    pub(crate) calls: fn(u64) -> String,
    pub(crate) settling: fn(u64) -> String,
    pub(crate) left: fn(&str, &str) -> String,
    pub(crate) not_enough: &'static str,
    pub(crate) range: &'static str,
    pub(crate) last_day: fn(&str) -> String,
    pub(crate) fires: &'static str,
    pub(crate) fires_now: &'static str,
    pub(crate) no_worker: &'static str,
    pub(crate) parts: fn(u64) -> String,
    pub(crate) without: fn(&str) -> String,
    pub(crate) armed_already: &'static str,
    pub(crate) command: &'static str,
    pub(crate) each: &'static str,
    pub(crate) all_windows: &'static str,
    pub(crate) done: &'static str,
    pub(crate) to_read: &'static str,
    pub(crate) reads: &'static str,
    pub(crate) read_now: fn(u64, u64) -> String,
    pub(crate) retry_now: fn(u64, u64) -> String,
    pub(crate) again_now: fn(u64, u64) -> String,
    pub(crate) count_now: fn(u64) -> String,
    pub(crate) arm: fn(&str, u64) -> String,
    pub(crate) arm_chain: fn(u64, u64) -> String,
}

fn windows_in_english(number: u64) -> String {
    match number {
        1 => "1 window".to_owned(),
        _ => format!("{} windows", Language::En.number(number)),
    }
}

fn windows_in_spanish(number: u64) -> String {
    match number {
        1 => "1 ventana".to_owned(),
        _ => format!("{} ventanas", Language::Es.number(number)),
    }
}

/// In English.
pub(crate) const EN: NewWords = NewWords {
    title: "New run",
    pipelines: "Pipelines",
    all: "all",
    transactions: "transactions",
    lists: "lists",
    single: "Single pipelines",
    from: "From",
    to: "To",
    end_hint: "The end is not included.",
    days_of: "Days of",
    what: "What",
    selection: |selection| match selection {
        WindowSelection::Open => "what is not read yet",
        WindowSelection::Failed => "what failed",
        WindowSelection::Again => "everything again",
    },
    when: "When",
    now: "now",
    at: "at",
    at_hint: |zone| format!("Time of {zone}"),
    if_missed: "If no worker runs then",
    late: "fire late",
    skip: "skip it",
    more: "More",
    every: "Chain, one trigger for every",
    by: "Axis",
    chunk: "Windows of a",
    chunk_word: |chunk| match chunk {
        ChunkSize::Day => "day",
        ChunkSize::Week => "week",
        ChunkSize::Month => "month",
        ChunkSize::Quarter => "quarter",
        ChunkSize::Year => "year",
        ChunkSize::Whole => "whole range",
    },
    every_word: |chunk| match chunk {
        ChunkSize::Day => "day",
        ChunkSize::Week => "week",
        ChunkSize::Month => "month",
        ChunkSize::Quarter => "quarter",
        ChunkSize::Year => "year",
        ChunkSize::Whole => "no chain",
    },
    name: "Name",
    name_hint: "Left empty, it is made from pipelines and time.",
    preview: "Show what it costs",
    preview_again: "Show again",
    look_only: "This console only shows. Nothing can be armed here.",
    changed: "The form has changed. This is what would be armed now; press the button again.",
    not_armed: "Nothing was armed.",
    wrong_axis: "The axis is updated, created or txn-date.",
    wrong_chunk: "A window is a day, week, month, quarter, year or whole.",
    wrong_what: "Choose open, failed or again.",
    wrong_when: "Choose now or at.",
    wrong_every: "A part is a day, week, month, quarter or year.",
    wrong_missed: "Choose run or skip.",
    wrong_days: "Choose utc or own.",
    wrong_name: "A name has 1 to 80 letters without accents, digits, dots, dashes and underscores.",
    no_pipeline: |asked, nearest| match nearest {
        Some(nearest) => format!("There is no pipeline “{asked}”. Did you mean {nearest}?"),
        None => format!("There is no pipeline “{asked}”."),
    },
    choose_pipeline: "Choose at least one pipeline.",
    not_by_axis: |entity| format!("{entity} cannot be read by this axis. Choose another axis below “More”."),
    none_by_axis: "None of these can be read by this axis. Choose another axis below “More”.",
    empty_range: "The end is not after the start. It is not included, so for one day enter the next day.",
    no_time_of_day: "Transaction dates have no time of day. Enter a day.",
    begins_later: "The range begins after the trigger fires, so there is nothing to read yet.",
    none_failed: "No window of these pipelines has failed.",
    too_many: "The range has more than 25,000 windows. Choose longer windows or a shorter range.",
    chain_too_long: "The chain would have more than 400 parts. Choose longer parts or a shorter range.",
    chain_name_too_long: "With the dates of its parts, the name is longer than 80 characters.",
    name_taken: |name| format!("Another trigger or chain is called {name}. Choose another name."),
    windows: |windows, done, open, scans| {
        let reads = if scans == 1 {
            "1 ordered read".to_owned()
        } else {
            format!("{} ordered reads", Language::En.number(scans))
        };
        let [done, open] = [done, open].map(|number| Language::En.number(number));
        format!("{}: {done} done, {open} to read in {reads}.", windows_in_english(windows))
    },
    nothing_to_read: "Everything in this range is read and confirmed. There is nothing to do now.",
    only_counted: |ranges| match ranges {
        1 => "Everything is read; a count confirms it.".to_owned(),
        _ => format!("Everything is read; {} counts confirm it.", Language::En.number(ranges)),
    },
    calls: |calls| {
        let calls = (state::EN.calls)(calls);
        format!("At least {calls}, and one more for every 999 records that are not in the log yet.")
    },
    settling: |windows| {
        let ends = if windows == 1 { "ends" } else { "end" };
        format!(
            "{} {ends} too near to that time, and will be read once more; their calls are counted in.",
            windows_in_english(windows)
        )
    },
    left: |left, all| format!("Left this month: {left} of {all}."),
    not_enough: "That is more than is left this month. The run stops when the calls are used up, and goes on next month.",
    range: "Range",
    last_day: |day| format!("the end not included: {day} is the last day"),
    fires: "Fires",
    fires_now: "now: a worker starts it within seconds",
    no_worker: "No worker runs now. The trigger waits until one does: “qbo-backfill worker”.",
    parts: |parts| {
        format!("{} triggers, one after another; a failure stops the chain.", Language::En.number(parts))
    },
    without: |names| format!("Left out, because they cannot be read by this axis: {names}."),
    armed_already: "The same is armed already:",
    command: "Same as",
    each: "By pipeline",
    all_windows: "Windows",
    done: "Done",
    to_read: "To read",
    reads: "Ordered reads",
    read_now: |windows, calls| {
        format!("Read {} now · at least {}", windows_in_english(windows), (state::EN.calls)(calls))
    },
    retry_now: |windows, calls| {
        format!(
            "Read {} that failed again · at least {}",
            windows_in_english(windows),
            (state::EN.calls)(calls)
        )
    },
    again_now: |windows, calls| {
        format!("Read {} again now · at least {}", windows_in_english(windows), (state::EN.calls)(calls))
    },
    count_now: |calls| format!("Confirm by a count now · at least {}", (state::EN.calls)(calls)),
    arm: |time, calls| format!("Arm for {time} · at least {}", (state::EN.calls)(calls)),
    arm_chain: |parts, calls| {
        format!("Arm {} triggers · at least {}", Language::En.number(parts), (state::EN.calls)(calls))
    },
};

/// In Spanish.
pub(crate) const ES: NewWords = NewWords {
    title: "Nueva ejecución",
    pipelines: "Pipelines",
    all: "todos",
    transactions: "transacciones",
    lists: "listas",
    single: "Pipelines sueltos",
    from: "fecha_inicio",
    to: "fecha_fin",
    end_hint: "El final no se incluye.",
    days_of: "Días de",
    what: "Qué",
    selection: |selection| match selection {
        WindowSelection::Open => "lo que falta por leer",
        WindowSelection::Failed => "lo que falló",
        WindowSelection::Again => "todo otra vez",
    },
    when: "Cuándo",
    now: "ahora",
    at: "a las",
    at_hint: |zone| format!("Hora de {zone}"),
    if_missed: "Si entonces no hay ningún worker",
    late: "activar tarde",
    skip: "omitir",
    more: "Más",
    every: "Cadena, un disparador por",
    by: "Eje",
    chunk: "Ventanas de un",
    chunk_word: |chunk| match chunk {
        ChunkSize::Day => "día",
        ChunkSize::Week => "semana",
        ChunkSize::Month => "mes",
        ChunkSize::Quarter => "trimestre",
        ChunkSize::Year => "año",
        ChunkSize::Whole => "todo el rango",
    },
    every_word: |chunk| match chunk {
        ChunkSize::Day => "día",
        ChunkSize::Week => "semana",
        ChunkSize::Month => "mes",
        ChunkSize::Quarter => "trimestre",
        ChunkSize::Year => "año",
        ChunkSize::Whole => "sin cadena",
    },
    name: "Nombre",
    name_hint: "Si se deja vacío, se forma con los pipelines y la hora.",
    preview: "Ver cuánto cuesta",
    preview_again: "Ver otra vez",
    look_only: "Esta consola es de solo lectura. Aquí no se puede armar nada.",
    changed: "El formulario ha cambiado. Esto es lo que se armaría ahora; pulse otra vez el botón.",
    not_armed: "No se armó nada.",
    wrong_axis: "El eje es updated, created o txn-date.",
    wrong_chunk: "Una ventana es day, week, month, quarter, year o whole.",
    wrong_what: "Elija open, failed o again.",
    wrong_when: "Elija now o at.",
    wrong_every: "Una parte es day, week, month, quarter o year.",
    wrong_missed: "Elija run o skip.",
    wrong_days: "Elija utc u own.",
    wrong_name: "Un nombre tiene de 1 a 80 letras sin acentos, cifras, puntos, guiones y guiones bajos.",
    no_pipeline: |asked, nearest| match nearest {
        Some(nearest) => format!("No existe el pipeline «{asked}». ¿Quiso decir {nearest}?"),
        None => format!("No existe el pipeline «{asked}»."),
    },
    choose_pipeline: "Elija al menos un pipeline.",
    not_by_axis: |entity| format!("{entity}: no se puede leer por este eje. Elija otro en «Más»."),
    none_by_axis: "Ninguno de estos se puede leer por este eje. Elija otro en «Más».",
    empty_range: "El final no es posterior al inicio. No se incluye, así que para un solo día escriba el día siguiente.",
    no_time_of_day: "Las fechas de transacción no tienen hora. Escriba solo el día.",
    begins_later: "El rango empieza después de que se active el disparador: todavía no hay nada que leer.",
    none_failed: "No ha fallado ninguna ventana de estos pipelines.",
    too_many: "El rango tiene más de 25.000 ventanas. Elija ventanas más largas o un rango más corto.",
    chain_too_long: "La cadena tendría más de 400 partes. Elija partes más largas o un rango más corto.",
    chain_name_too_long: "Con las fechas de sus partes, el nombre supera los 80 caracteres.",
    name_taken: |name| {
        format!("Ya hay otro disparador u otra cadena que se llama {name}. Elija otro nombre.")
    },
    windows: |windows, done, open, scans| {
        let reads = if scans == 1 {
            "1 lectura ordenada".to_owned()
        } else {
            format!("{} lecturas ordenadas", Language::Es.number(scans))
        };
        let [done, open] = [done, open].map(|number| Language::Es.number(number));
        format!("{}: {done} hechas, {open} por leer en {reads}.", windows_in_spanish(windows))
    },
    nothing_to_read: "Todo este rango está leído y confirmado. Ahora no hay nada que hacer.",
    only_counted: |ranges| match ranges {
        1 => "Todo está leído; un conteo lo confirma.".to_owned(),
        _ => format!("Todo está leído; {} conteos lo confirman.", Language::Es.number(ranges)),
    },
    calls: |calls| {
        let calls = (state::ES.calls)(calls);
        format!(
            "Al menos {calls}, y una más por cada 999 registros que aún no están en el registro de ventanas."
        )
    },
    settling: |windows| {
        match windows {
        1 => "1 ventana termina demasiado cerca de esa hora y se leerá una vez más; sus llamadas están incluidas.".to_owned(),
        _ => format!(
            "{} terminan demasiado cerca de esa hora y se leerán una vez más; sus llamadas están incluidas.",
            windows_in_spanish(windows)
        ),
    }
    },
    left: |left, all| format!("Quedan este mes: {left} de {all}."),
    not_enough: "Es más de lo que queda este mes. La ejecución se detiene cuando se agotan las llamadas y continúa el mes siguiente.",
    range: "Rango",
    last_day: |day| format!("el final no se incluye: el último día es el {day}"),
    fires: "Se activa",
    fires_now: "ahora: un worker la inicia en unos segundos",
    no_worker: "Ahora no hay ningún worker en marcha. El disparador espera hasta que haya uno: «qbo-backfill worker».",
    parts: |parts| {
        format!("{} disparadores, uno tras otro; un fallo detiene la cadena.", Language::Es.number(parts))
    },
    without: |names| format!("Quedan fuera, porque no se pueden leer por este eje: {names}."),
    armed_already: "Lo mismo ya está armado:",
    command: "Equivale a",
    each: "Por pipeline",
    all_windows: "Ventanas",
    done: "Hechas",
    to_read: "Por leer",
    reads: "Lecturas ordenadas",
    read_now: |windows, calls| {
        format!("Leer {} ahora · al menos {}", windows_in_spanish(windows), (state::ES.calls)(calls))
    },
    retry_now: |windows, calls| match windows {
        1 => format!("Leer otra vez la ventana que falló · al menos {}", (state::ES.calls)(calls)),
        _ => format!(
            "Leer otra vez las {} que fallaron · al menos {}",
            windows_in_spanish(windows),
            (state::ES.calls)(calls)
        ),
    },
    again_now: |windows, calls| {
        format!("Leer otra vez {} ahora · al menos {}", windows_in_spanish(windows), (state::ES.calls)(calls))
    },
    count_now: |calls| format!("Confirmar ahora por conteo · al menos {}", (state::ES.calls)(calls)),
    arm: |time, calls| format!("Armar para {time} · al menos {}", (state::ES.calls)(calls)),
    arm_chain: |parts, calls| {
        format!("Armar {} disparadores · al menos {}", Language::Es.number(parts), (state::ES.calls)(calls))
    },
};
