//! The texts about times that people type.

/// The texts about times that people type.
#[derive(Debug)]
pub(crate) struct TimeWords {
    pub(crate) missing: &'static str,
    pub(crate) unreadable: fn(&str) -> String,
    /// A time that the clocks of a zone skip, and the name of the zone.
    pub(crate) skipped: fn(&str, &str) -> String,
    /// A time that the clocks show twice: the first instant, and the second.
    pub(crate) twice: fn(&str, &str) -> String,
    pub(crate) out_of_range: &'static str,
    pub(crate) past: &'static str,
}

/// In English.
pub(crate) const EN: TimeWords = TimeWords {
    missing: "Enter a time, such as 2026-12-02 or 2026-12-02 10:00.",
    unreadable: |text| format!("“{text}” is not a time. Write it as 2026-12-02 or 2026-12-02 10:00."),
    skipped: |text, zone| {
        format!(
            "{text} does not exist in {zone}: the clocks are put forward over it. Choose an earlier or a later time."
        )
    },
    twice: |first, second| {
        format!(
            "The clocks are put back, so this time comes twice. {first} is meant; for the later one, enter {second}."
        )
    },
    out_of_range: "Enter a year from 1900 to 2200.",
    past: "This time has passed. Choose a later one, or “now”.",
};

/// In Spanish.
pub(crate) const ES: TimeWords = TimeWords {
    missing: "Escriba una fecha, por ejemplo 2026-12-02 o 2026-12-02 10:00.",
    unreadable: |text| {
        format!("«{text}» no es una fecha ni una hora. Escriba, por ejemplo, 2026-12-02 o 2026-12-02 10:00.")
    },
    skipped: |text, zone| {
        format!(
            "{text} no existe en {zone}: a esa hora se adelantan los relojes. Elija una hora anterior o posterior."
        )
    },
    twice: |first, second| {
        format!(
            "Esa noche se atrasan los relojes y la hora se repite. Se toma {first}; para la segunda, escriba {second}."
        )
    },
    out_of_range: "El año debe estar entre 1900 y 2200.",
    past: "Esa hora ya pasó. Elija otra posterior o «ahora».",
};
