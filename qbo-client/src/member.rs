//! The members of a JSON object and where they stand in its text. No tree, no copy.

use std::borrow::Cow;
use std::ops::Range;

use crate::json::{Reader, text};

/// One member of an object.
pub(crate) struct Member<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) value: &'a str,
    /// From the quote before its name to the end of its value, within the object's text.
    pub(crate) range: Range<usize>,
}

/// The members of an object, in their order; `None` for any other value.
pub(crate) fn members(object: &str) -> Option<Vec<Member<'_>>> {
    let mut members = Vec::new();
    let base = object.as_ptr() as usize;
    Reader::new(object).object(|reader, name| {
        let start = name.as_ptr() as usize - base;
        let value = reader.value()?;
        members.push(Member { name: text(name).unwrap_or_default(), value, range: start..reader.position() });
        Some(())
    })?;
    Some(members)
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
