//! The members of a JSON object and where they stand in its text. No tree, no copy.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// One member of an object.
pub(crate) struct Member<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) value: &'a RawValue,
    /// From the quote before its name to the end of its value, within the object's text.
    pub(crate) range: Range<usize>,
}

/// The members of an object, in their order; `None` for any other value.
pub(crate) fn members(object: &str) -> Option<Vec<Member<'_>>> {
    let mut deserializer = serde_json::Deserializer::from_str(object);
    deserializer.deserialize_map(Members { base: object.as_ptr() as usize }).ok()
}

/// What to leave out of an object so that some of its members are gone and everything else is as it was: each run of
/// them with the comma that would otherwise be one too many.
pub(crate) fn cuts(members: &[Member<'_>], unwanted: impl Fn(&str) -> bool) -> Vec<Range<usize>> {
    let mut cuts: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < members.len() {
        let run = members[at..].iter().take_while(|member| unwanted(&member.name)).count();
        if run == 0 {
            at += 1;
            continue;
        }
        let next = at + run;
        cuts.push(match (members.get(next), at.checked_sub(1)) {
            (Some(follower), _) => members[at].range.start..follower.range.start,
            (None, Some(before)) => members[before].range.end..members[next - 1].range.end,
            (None, None) => members[at].range.start..members[next - 1].range.end,
        });
        at = next;
    }
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

struct Members {
    base: usize,
}

impl<'de> Visitor<'de> for Members {
    type Value = Vec<Member<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
            let start = name.get().as_ptr() as usize - self.base;
            let end = value.get().as_ptr() as usize - self.base + value.get().len();
            let name = text(name).unwrap_or_default();
            members.push(Member { name, value, range: start..end });
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::{cuts, members};

    fn without(object: &str) -> String {
        let cuts = cuts(&members(object).unwrap(), |name| name.starts_with("Link"));
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
            assert!(members(other).is_none(), "{other}");
        }
    }
}
