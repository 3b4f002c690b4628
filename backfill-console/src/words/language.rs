//! The languages of the pages, and how each writes numbers and names of months.

use time::{Date, Month};

/// A language of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Language {
    #[default]
    En,
    Es,
}

impl Language {
    /// The language's code, as in `<html lang>`.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Es => "es",
        }
    }

    pub(crate) fn from_code(code: &str) -> Option<Self> {
        [Self::En, Self::Es].into_iter().find(|language| language.code() == code)
    }

    /// The other language, and its own name for itself.
    pub(crate) fn other(self) -> (&'static str, &'static str) {
        match self {
            Self::En => ("es", "Español"),
            Self::Es => ("en", "English"),
        }
    }

    /// The language that an `Accept-Language` header prefers among these.
    pub(crate) fn accepted(header: &str) -> Option<Self> {
        let ranges = header.split(',').enumerate().filter_map(|(place, range)| {
            let mut parts = range.split(';').map(str::trim);
            let language = Self::from_code(parts.next()?.split('-').next()?)?;
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
            (quality > 0.0).then_some((language, quality, place))
        });
        let better = |one: &(Self, f32, usize), other: &(Self, f32, usize)| {
            one.1.total_cmp(&other.1).then(other.2.cmp(&one.2))
        };
        ranges.max_by(better).map(|(language, ..)| language)
    }

    /// Groups digits by three: `1,234` or `1.234`.
    pub(crate) fn number(self, number: u64) -> String {
        let separator = match self {
            Self::En => ',',
            Self::Es => '.',
        };
        let digits = number.to_string();
        let mut text = String::with_capacity(digits.len() + digits.len() / 3);
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                text.push(separator);
            }
            text.push(digit);
        }
        text
    }

    /// A day in words: `14 March 2025` or `14 de marzo de 2025`.
    pub(crate) fn day(self, day: Date) -> String {
        let (number, month, year) = (day.day(), self.month(day.month()), day.year());
        match self {
            Self::En => format!("{number} {month} {year}"),
            Self::Es => format!("{number} de {month} de {year}"),
        }
    }

    /// The name of a month.
    pub(crate) fn month(self, month: Month) -> &'static str {
        const EN: [&str; 12] = [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ];
        const ES: [&str; 12] = [
            "enero",
            "febrero",
            "marzo",
            "abril",
            "mayo",
            "junio",
            "julio",
            "agosto",
            "septiembre",
            "octubre",
            "noviembre",
            "diciembre",
        ];
        let names = match self {
            Self::En => &EN,
            Self::Es => &ES,
        };
        names[usize::from(u8::from(month)) - 1]
    }

    /// The letters of the days of the week, from Monday.
    pub(crate) fn weekdays(self) -> [(&'static str, &'static str); 7] {
        match self {
            Self::En => [
                ("M", "Monday"),
                ("T", "Tuesday"),
                ("W", "Wednesday"),
                ("T", "Thursday"),
                ("F", "Friday"),
                ("S", "Saturday"),
                ("S", "Sunday"),
            ],
            Self::Es => [
                ("L", "lunes"),
                ("M", "martes"),
                ("X", "miércoles"),
                ("J", "jueves"),
                ("V", "viernes"),
                ("S", "sábado"),
                ("D", "domingo"),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browser_chooses_among_the_languages_there_are() {
        let accepted = Language::accepted;
        assert_eq!(accepted("es-EC,es;q=0.9,en;q=0.8"), Some(Language::Es));
        assert_eq!(accepted("de-DE,de;q=0.9,en-US;q=0.6,es;q=0.7"), Some(Language::Es));
        assert_eq!(accepted("en,es"), Some(Language::En));
        assert_eq!(accepted("es;q=0"), None);
        assert_eq!(accepted("fr"), None);
    }

    #[test]
    fn numbers_are_grouped_as_the_language_does() {
        let numbers = [0, 999, 1_000, 1_234_567];
        assert_eq!(numbers.map(|number| Language::En.number(number)), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(numbers.map(|number| Language::Es.number(number)), ["0", "999", "1.000", "1.234.567"]);
    }
}
