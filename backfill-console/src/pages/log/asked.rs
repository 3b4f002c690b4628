//! What the address of the log asks for.

use raw_store::{HistoryFilter, HistoryKey, HistoryKind, RunId};
use serde::Deserialize;
use time::OffsetDateTime;

use super::moment::Moment;
use crate::pages::field::given;
use crate::plain::Plain;
use crate::visit::CompanyVisit;

const KINDS: [HistoryKind; 9] = [
    HistoryKind::Event,
    HistoryKind::Finding,
    HistoryKind::Page,
    HistoryKind::RunAskedToStop,
    HistoryKind::RunBegun,
    HistoryKind::RunEnded,
    HistoryKind::Trigger,
    HistoryKind::Verification,
    HistoryKind::Window,
];

/// What the address asks for. A value that makes no sense is left out, and named where a person has typed it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Asked {
    pub(super) at: Option<String>,
    level: Option<String>,
    phase: Option<String>,
    pub(super) run: Option<String>,
    entity: Option<String>,
    pub(super) who: Option<String>,
    pub(super) q: Option<String>,
    before: Option<String>,
    after: Option<String>,
}

/// Which part of the log is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Newest,
    Around(Moment),
    Before(HistoryKey),
    After(HistoryKey),
}

impl Place {
    /// The moment whose entries are marked.
    pub(super) fn moment(&self) -> Option<Moment> {
        match self {
            Self::Around(moment) => Some(*moment),
            Self::Newest | Self::Before(_) | Self::After(_) => None,
        }
    }
}

impl Asked {
    pub(super) fn filter(&self) -> HistoryFilter {
        let text = |field: &Option<String>| given(field.as_ref()).map(String::into_boxed_str);
        HistoryFilter {
            level: given(self.level.as_ref()).and_then(|word| word.parse().ok()),
            phase: given(self.phase.as_ref()).and_then(|word| word.parse().ok()),
            run: given(self.run.as_ref()).and_then(|run| run.parse().ok()),
            entity_name: text(&self.entity),
            who: text(&self.who),
            text: text(&self.q),
        }
    }

    pub(super) fn place(&self, visit: &CompanyVisit) -> Place {
        let before = || self.before.as_deref().and_then(read_key).map(Place::Before);
        let after = || self.after.as_deref().and_then(read_key).map(Place::After);
        let around = || self.moment(visit).map(Place::Around);
        before().or_else(after).or_else(around).unwrap_or(Place::Newest)
    }

    fn moment(&self, visit: &CompanyVisit) -> Option<Moment> {
        Moment::parse(&given(self.at.as_ref())?, &visit.when, visit.visit.now())
    }

    /// What the field for the time holds: the whole time that was found, or what was typed if it is none.
    pub(super) fn at_field(&self, visit: &CompanyVisit, place: &Place) -> Plain {
        let found = place
            .moment()
            .map(|moment| visit.when.local(moment.from).strftime("%Y-%m-%d %H:%M:%S").to_string());
        let typed = || self.at.clone().filter(|_| *place == Place::Newest);
        Plain::new(&found.or_else(typed).unwrap_or_default())
    }

    pub(super) fn wrong_at(&self, visit: &CompanyVisit) -> Option<String> {
        let is_wrong = given(self.at.as_ref()).is_some() && self.moment(visit).is_none();
        is_wrong.then(|| (visit.visit.words().log.wrong_at)(visit.when.places().0))
    }

    pub(super) fn wrong_run(&self, visit: &CompanyVisit) -> Option<&'static str> {
        let run = given(self.run.as_ref())?;
        run.parse::<RunId>().is_err().then_some(visit.visit.words().log.wrong_run)
    }

    /// The part of the address that stays from page to page, with an `&` behind it.
    pub(super) fn kept(&self) -> String {
        let fields = [
            ("level", &self.level),
            ("phase", &self.phase),
            ("run", &self.run),
            ("entity", &self.entity),
            ("who", &self.who),
            ("q", &self.q),
        ];
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in fields {
            if let Some(value) = given(value.as_ref()) {
                query.append_pair(name, &value);
            }
        }
        let query = query.finish();
        if query.is_empty() { query } else { format!("{query}&") }
    }
}

/// A place in the history as a value of an address.
pub(super) fn write_key(key: &HistoryKey) -> String {
    let text = format!("{}.{}.{}", key.at.unix_timestamp_nanos(), key.kind, key.key);
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn read_key(text: &str) -> Option<HistoryKey> {
    let mut parts = text.splitn(3, '.');
    let at = OffsetDateTime::from_unix_timestamp_nanos(parts.next()?.parse().ok()?).ok()?;
    let word = parts.next()?;
    let kind = KINDS.into_iter().find(|kind| kind.as_str() == word)?;
    // The database knows no text with a zero in it.
    let key = parts.next()?.replace('\0', "");
    Some(HistoryKey { at, kind, key: key.into() })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_place_survives_its_way_through_an_address() {
        for kind in KINDS {
            let at = datetime!(2026-11-29 3:12:04.000911 UTC);
            let key = HistoryKey { at, kind, key: "run-1 invoices 0000000012. &?".into() };
            let written = format!("x={}", write_key(&key));
            let (_, read) = url::form_urlencoded::parse(written.as_bytes()).next().unwrap();
            assert_eq!(read_key(&read), Some(key));
        }
        for wrong in ["", "x", "1.window", "1.nothing.x", "999999999999999999999999999999.window.x"] {
            assert_eq!(read_key(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn filters_stay_and_what_makes_no_sense_is_left_out() {
        let asked = Asked {
            level: Some("warning".into()),
            phase: Some("x".into()),
            q: Some(" 50 % & more ".into()),
            entity: Some(String::new()),
            ..Asked::default()
        };
        let filter = asked.filter();
        assert_eq!((filter.level, filter.phase), (Some(raw_store::Severity::Warning), None));
        assert_eq!((filter.text.as_deref(), filter.entity_name), (Some("50 % & more"), None));
        assert_eq!(asked.kept(), "level=warning&phase=x&q=50+%25+%26+more&");
        assert_eq!(Asked::default().kept(), "");
    }
}
