//! Finds the members of a JSON object and their positions in its text, without a tree or a copy.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserializer as _;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// One member of an object.
pub(crate) struct Member<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) value: &'a RawValue,
    /// From the quote before its name to the end of its value, within the object's text.
    pub(crate) range: Range<usize>,
}

/// Passes each member of an object to `hand_on`, in order; `None` for any other value. One at a time: a record may have
/// millions.
pub(crate) fn each_member<'a>(object: &'a str, hand_on: impl FnMut(Member<'a>)) -> Option<()> {
    let mut deserializer = serde_json::Deserializer::from_str(object);
    deserializer.deserialize_map(Members { base: object.as_ptr() as usize, hand_on }).ok()
}

/// Passes each element of an array to `hand_on`, in order; `None` for any other value.
pub(crate) fn each_element<'a>(array: &'a str, hand_on: impl FnMut(&'a RawValue)) -> Option<()> {
    let mut deserializer = serde_json::Deserializer::from_str(array);
    deserializer.deserialize_seq(Elements { hand_on }).ok()
}

/// The ranges to cut from an object so that the unwanted members are gone and all else stays as it was: each run of them with
/// the comma that would otherwise be left over.
pub(crate) fn cuts(object: &str, unwanted: impl Fn(&str) -> bool) -> Vec<Range<usize>> {
    let mut cuts = Vec::new();
    let mut kept_until = None;
    let mut run: Option<Range<usize>> = None;
    each_member(object, |member| {
        if unwanted(&member.name) {
            run = Some(run.take().map_or(member.range.start, |run| run.start)..member.range.end);
        } else {
            cuts.extend(run.take().map(|run| run.start..member.range.start));
            kept_until = Some(member.range.end);
        }
    });
    cuts.extend(run.map(|run| kept_until.unwrap_or(run.start)..run.end));
    cuts
}

/// The text of a JSON string; `None` for any other value.
pub(crate) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str::<String>(raw.get()).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

struct Members<F> {
    base: usize,
    hand_on: F,
}

impl<'de, F: FnMut(Member<'de>)> Visitor<'de> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
            let start = name.get().as_ptr() as usize - self.base;
            let end = value.get().as_ptr() as usize - self.base + value.get().len();
            let name = text(name).unwrap_or_default();
            (self.hand_on)(Member { name, value, range: start..end });
        }
        Ok(())
    }
}

struct Elements<F> {
    hand_on: F,
}

impl<'de, F: FnMut(&'de RawValue)> Visitor<'de> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> Result<(), A::Error> {
        while let Some(element) = array.next_element()? {
            (self.hand_on)(element);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{cuts, each_member};

    fn without(object: &str) -> String {
        let cuts = cuts(object, |name| name.starts_with("Link"));
        let mut text = object.to_owned();
        for cut in cuts.into_iter().rev() {
            text.replace_range(cut, "");
        }
        text
    }

    #[test]
    fn a_member_goes_with_its_comma_and_every_other_byte_stays() {
        let check = |object: &str, expected: &str| assert_eq!(without(object), expected, "{object}");
        check(r#"{"Link":"x" , "A": 1.50 }"#, r#"{"A": 1.50 }"#);
        check(r#"{ "A":1, "Link" : "a\"},b" ,"B":2}"#, r#"{ "A":1, "B":2}"#);
        check(r#"{"A":1,"Link":{"B":[1]}}"#, r#"{"A":1}"#);
        check(r#"{"A":1 ,"Link":1, "LinkB":2}"#, r#"{"A":1}"#);
        check(r#"{"Link":1,"A":2,"Link":3,"B":{"Link":4},"LinkB":5}"#, r#"{"A":2,"B":{"Link":4}}"#);
        check(r#"{"Link":1,"LinkB":2}"#, "{}");
        check("{\"\\u004cink\":1,\"A\":2}", r#"{"A":2}"#);
        check(r#"{"A":1}"#, r#"{"A":1}"#);
        check("{}", "{}");
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for other in ["[]", "1", "\"{}\"", "null"] {
            assert!(each_member(other, |_| {}).is_none(), "{other}");
        }
    }
}
