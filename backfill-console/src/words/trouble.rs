//! The texts of pages that cannot be shown.

use raw_store::Advice;

/// The texts of pages that cannot be shown.
#[derive(Debug)]
pub(crate) struct TroubleWords {
    pub(crate) pill: &'static str,
    pub(crate) not_found: &'static str,
    pub(crate) no_company: &'static str,
    pub(crate) no_entity: &'static str,
    pub(crate) no_run: &'static str,
    pub(crate) nearest: &'static str,
    pub(crate) database_away: &'static str,
    pub(crate) slow: &'static str,
    pub(crate) next: fn(Advice) -> &'static str,
    pub(crate) next_slow: &'static str,
    pub(crate) next_slow_act: &'static str,
    pub(crate) original: &'static str,
    pub(crate) last_known: fn(&str) -> String,
}

/// In English.
pub(crate) const EN: TroubleWords = TroubleWords {
    pill: "not reachable",
    not_found: "There is no such page.",
    no_company: "There is no such company.",
    no_entity: "The catalogue has no such pipeline.",
    no_run: "The log knows no such run.",
    nearest: "There are these:",
    database_away: "The database did not answer as expected.",
    slow: "The database takes too long to answer.",
    next: |advice| match advice {
        Advice::Retry => {
            "The page tries again by itself. If this stays, check that the database runs and can be reached."
        }
        Advice::FixDatabase => "Run “qbo-backfill doctor”, which names what to change in the database.",
        Advice::FixRequest => "Check the settings with “qbo-backfill doctor”.",
        Advice::WaitForOther => "Another process is at work. Wait until it has finished.",
    },
    next_slow: "The page tries again by itself. If this stays, look for long queries in the database.",
    next_slow_act: "Whether it was done is not known. Go back and look; pressing again does nothing twice.",
    original: "The program’s own message",
    last_known: |age| format!("Last known state, from {age}."),
};

/// In Spanish.
pub(crate) const ES: TroubleWords = TroubleWords {
    pill: "sin acceso",
    not_found: "Esta página no existe.",
    no_company: "Esta empresa no existe.",
    no_entity: "El catálogo no tiene este pipeline.",
    no_run: "El registro no conoce esta ejecución.",
    nearest: "Existen estas opciones:",
    database_away: "La base de datos no respondió como se esperaba.",
    slow: "La base de datos tarda demasiado en responder.",
    next: |advice| match advice {
        Advice::Retry => {
            "La página lo intenta otra vez por sí sola. Si continúa así, compruebe que la base de datos funciona y es \
             accesible."
        }
        Advice::FixDatabase => {
            "Ejecute «qbo-backfill doctor»: indica qué hay que cambiar en la base de datos."
        }
        Advice::FixRequest => "Revise la configuración con «qbo-backfill doctor».",
        Advice::WaitForOther => "Otro proceso está trabajando. Espere a que termine.",
    },
    next_slow: "La página lo intenta otra vez por sí sola. Si continúa así, busque consultas largas en la base de datos.",
    next_slow_act: "No se sabe si se hizo. Vuelva atrás y compruébelo; pulsar otra vez no hace nada dos veces.",
    original: "Mensaje original del programa",
    last_known: |age| format!("Último estado conocido, de {age}."),
};
