//! Why a window failed, by the stable code of the error. The program's own sentence, which is English and has the numbers, is
//! shown below it.

use crate::words::language::Language;

/// A code, and what it says in English and in Spanish.
const REASONS: [(&str, &str, &str); 14] = [
    (
        "count.differs",
        "QuickBooks counts another number of records than was read.",
        "QuickBooks cuenta otro número de registros que los leídos.",
    ),
    ("window.unreadable", "Part of the window cannot be read.", "Una parte de la ventana no se puede leer."),
    (
        "source.page_too_slow",
        "QuickBooks takes too long to answer.",
        "QuickBooks tarda demasiado en responder.",
    ),
    (
        "source.page_too_large",
        "QuickBooks’ answer is too large.",
        "La respuesta de QuickBooks es demasiado grande.",
    ),
    (
        "source.body_too_large",
        "QuickBooks’ answer is too large.",
        "La respuesta de QuickBooks es demasiado grande.",
    ),
    (
        "source.poisoned_page",
        "QuickBooks cannot deliver a record.",
        "QuickBooks no puede entregar un registro.",
    ),
    ("source.unanswered", "QuickBooks did not answer.", "QuickBooks no respondió."),
    ("source.exhausted", "QuickBooks kept failing.", "QuickBooks siguió fallando."),
    ("source.refused", "QuickBooks refused the request.", "QuickBooks rechazó la solicitud."),
    ("source.bad_query", "QuickBooks refused the request.", "QuickBooks rechazó la solicitud."),
    (
        "source.lasting_refusal",
        "QuickBooks keeps refusing the request.",
        "QuickBooks sigue rechazando la solicitud.",
    ),
    ("source.budget", "The calls of the month are used up.", "Las llamadas del mes se han agotado."),
    ("store.unavailable", "The database could not be reached.", "No se pudo acceder a la base de datos."),
    ("auth.needs_consent", "The consent for QuickBooks is missing.", "Falta el permiso de QuickBooks."),
];

impl Language {
    /// What a code of an error says; `None` for one that only the program's own sentence explains.
    pub(crate) fn reason(self, code: &str) -> Option<&'static str> {
        let (_, english, spanish) = REASONS.iter().find(|(own, ..)| *own == code)?;
        Some(match self {
            Self::En => english,
            Self::Es => spanish,
        })
    }
}
