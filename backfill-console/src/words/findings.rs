//! What a finding is about, by its kind. The program's own sentence, which is English and has the numbers, is shown beside it.

use backfill_core::FindingKind;

use crate::words::language::Language;

impl Language {
    /// What a kind of finding says; `None` for one that a newer program has stored.
    pub(crate) fn finding(self, kind: &str) -> Option<&'static str> {
        let kind = FindingKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
        Some(match self {
            Self::En => english(kind),
            Self::Es => spanish(kind),
        })
    }
}

fn english(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::KeyMissing => "rows without an id",
        FindingKind::KeyRepeated => "rows that share an id",
        FindingKind::PayloadEmpty => "rows with an empty document",
        FindingKind::TimeDiffers => "rows whose time differs from their document’s",
        FindingKind::OutsideWindow => "rows outside of their window",
        FindingKind::RowsMissing => "rows are missing",
        FindingKind::EmptyDays => "days without records",
        FindingKind::Outlier => "a day with unusually many records",
        FindingKind::NumberRepeated => "documents that share a number",
        FindingKind::CustomFieldsPartial => "custom fields may be missing",
        FindingKind::RequestLimited => "QuickBooks refuses part of the request",
        FindingKind::ClocksDisagree => "clocks disagree",
    }
}

fn spanish(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::KeyMissing => "filas sin id",
        FindingKind::KeyRepeated => "filas que comparten un id",
        FindingKind::PayloadEmpty => "filas con el documento vacío",
        FindingKind::TimeDiffers => "filas cuya hora difiere de la de su documento",
        FindingKind::OutsideWindow => "filas fuera de su ventana",
        FindingKind::RowsMissing => "faltan filas",
        FindingKind::EmptyDays => "días sin registros",
        FindingKind::Outlier => "un día con más registros de lo habitual",
        FindingKind::NumberRepeated => "documentos que comparten un número",
        FindingKind::CustomFieldsPartial => "pueden faltar campos personalizados",
        FindingKind::RequestLimited => "QuickBooks rechaza una parte de la solicitud",
        FindingKind::ClocksDisagree => "los relojes no coinciden",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_words_and_an_unknown_one_has_none() {
        let words =
            |language: Language| FindingKind::ALL.map(|kind| language.finding(kind.as_str()).unwrap());
        for language in [Language::En, Language::Es] {
            let mut all = words(language).to_vec();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), FindingKind::ALL.len());
            assert_eq!(language.finding("of_a_newer_program"), None);
        }
    }
}
