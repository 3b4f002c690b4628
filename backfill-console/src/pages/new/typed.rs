//! What a person typed into the form, as it was typed.

use backfill_core::Catalog;
use backfill_report::hex;
use sha2::{Digest as _, Sha256};

use crate::local_time::as_field;
use crate::plain::Plain;

/// The most names of pipelines that are looked at.
const MOST_NAMES: usize = 200;

/// The most characters of a field that are kept.
const LONGEST: usize = 200;

/// The fields of the form. The address of the page and the body of a form are read alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Typed {
    pub(super) pipelines: Vec<String>,
    pub(super) from: String,
    pub(super) to: String,
    /// `own` if days begin at the midnight of the company's zone.
    pub(super) days: String,
    pub(super) what: String,
    pub(super) when: String,
    pub(super) at: String,
    pub(super) if_missed: String,
    pub(super) every: String,
    pub(super) by: String,
    pub(super) chunk: String,
    pub(super) name: String,
    /// The name that the preview made, which stays the same however often the button is pressed.
    pub(super) made: String,
    /// What the preview showed, as a digest; empty if the button stands on another page.
    pub(super) seen: String,
}

impl Typed {
    pub(super) fn read(form: &[u8]) -> Self {
        let mut typed = Self::default();
        for (name, value) in url::form_urlencoded::parse(form) {
            let value: String = value.trim().chars().take(LONGEST).collect();
            if name == "pipelines" {
                let words = value.split([',', ' ']).filter(|word| !word.is_empty());
                typed.pipelines.extend(words.map(|word| Plain::new(word).to_string()));
                typed.pipelines.truncate(MOST_NAMES);
            } else if let Some(field) = typed.field(&name) {
                *field = Plain::new(&value).to_string();
            }
        }
        typed
    }

    fn field(&mut self, name: &str) -> Option<&mut String> {
        Some(match name {
            "from" | "fecha_inicio" => &mut self.from,
            "to" | "fecha_fin" => &mut self.to,
            "days" => &mut self.days,
            "what" => &mut self.what,
            "when" => &mut self.when,
            "at" => &mut self.at,
            "if_missed" => &mut self.if_missed,
            "every" => &mut self.every,
            "by" => &mut self.by,
            "chunk" => &mut self.chunk,
            "name" => &mut self.name,
            "made" => &mut self.made,
            "seen" => &mut self.seen,
            _ => return None,
        })
    }

    /// Writes every choice out as the form sends it, so that a form that was not changed stays the same.
    pub(super) fn written_out(mut self, catalog: &Catalog) -> Self {
        let usual = |field: &mut String, word: &str| {
            if field.is_empty() {
                word.clone_into(field);
            }
        };
        usual(&mut self.when, if self.at.is_empty() { "now" } else { "at" });
        usual(&mut self.days, "utc");
        usual(&mut self.what, "open");
        usual(&mut self.if_missed, "run");
        usual(&mut self.every, "whole");
        usual(&mut self.by, "updated");
        usual(&mut self.chunk, "day");
        if let Some(field) = as_field(&self.at) {
            self.at = field;
        }
        let plural = |word: String| match catalog.find(&word) {
            Ok(spec) if !Catalog::is_group(&word) => spec.entity_name().to_owned(),
            _ => word,
        };
        self.pipelines = std::mem::take(&mut self.pipelines).into_iter().map(plural).collect();
        self.pipelines.sort_unstable();
        self.pipelines.dedup();
        self
    }

    /// Whether nothing was chosen yet, so that there is nothing to preview.
    pub(super) fn is_blank(&self) -> bool {
        self.pipelines.is_empty() && self.from.is_empty() && self.to.is_empty()
    }

    /// A digest of what decides what would be armed.
    pub(super) fn digest(&self) -> String {
        let fields = [
            &self.from,
            &self.to,
            &self.days,
            &self.what,
            &self.when,
            &self.at,
            &self.if_missed,
            &self.every,
            &self.by,
            &self.chunk,
            &self.name,
        ];
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.pipelines.iter().map(|name| ("p", name)));
        query.extend_pairs(fields.iter().map(|field| ("f", field)));
        hex(&Sha256::digest(query.finish().as_bytes()))[..16].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_it_was_typed() {
        let typed = Typed::read(
            b"pipelines=invoices&pipelines=items,+customers&fecha_inicio=+2026-01-01&x=y&what=again",
        );
        assert_eq!(typed.pipelines, ["invoices", "items", "customers"]);
        assert_eq!((&*typed.from, &*typed.what, &*typed.to), ("2026-01-01", "again", ""));
        assert!(!Typed::read("from=%E2%80%AEx".as_bytes()).from.contains('\u{202e}'));
    }

    #[test]
    fn the_digest_follows_what_would_be_armed() {
        let typed = Typed::read(b"pipelines=invoices&from=2026-01-01");
        let other = Typed { from: String::new(), to: typed.from.clone(), ..typed.clone() };
        assert_ne!(typed.digest(), other.digest());
        let named = Typed { made: "x".into(), seen: "y".into(), ..typed.clone() };
        assert_eq!(typed.digest(), named.digest());
    }
}
