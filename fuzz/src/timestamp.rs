//! F5: times as `QuickBooks` writes them.

use std::ops::RangeInclusive;

use qbo_client::{Comparison, Deletions, EntityName, Predicate, Property, Query, RawPage, Value};
use raw_store::Window;
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime, UtcOffset};

use crate::memory::bounded;
use crate::shape::Shape;

/// The bodies around a time, written by `serde_json`.
const SPARE: usize = 16 << 10;

/// Shapes that cost most for their bytes.
pub const SHAPES: &[Shape] = &[
    Shape { name: "a fraction", head: "2024-01-02T03:04:05.", unit: "0", tail: "Z" },
    Shape { name: "escapes", head: "2024-01-02T03:04:05", unit: "\"", tail: "Z" },
];

/// Reads a time wherever a body may have one, and writes what was read.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let record =
        json!({"Id": "1", "TxnDate": text, "MetaData": {"CreateTime": text, "LastUpdatedTime": text}});
    let body = json!({"QueryResponse": {"Invoice": [record]}, "time": text}).to_string();
    let page = bounded(body.as_bytes(), SPARE, || RawPage::split(body.clone().into(), "Invoice"));
    let page = page.expect("whatever the time is, the page is whole");
    let record = page.records().next().expect("it has one record");
    let at = record.updated_at();
    assert_eq!((at, at), (record.created_at(), page.answered_at()));
    assert_eq!(at.is_some(), oracle(text).is_some(), "{text:?} is a time to one reader alone");
    if let Some(at) = at {
        assert_eq!(Some(at.unix_timestamp()), oracle(text), "{text:?}");
        can_be_worked_with(at);
    }
    let stub = json!({"Id": "1", "status": "Deleted", "MetaData": {"LastUpdatedTime": text}});
    let changes = json!({"CDCResponse": [{"QueryResponse": [{"Invoice": [stub]}]}]}).to_string();
    let deletions = Deletions::read(changes.as_bytes()).expect("whatever the time is, the answer is whole");
    assert_eq!(deletions.deleted[0].at, at);
}

/// A time that was read can be asked for, stored and shown.
fn can_be_worked_with(at: OffsetDateTime) {
    assert_eq!(at.offset(), UtcOffset::UTC);
    let entity: EntityName = "Invoice".parse().expect("it is a name");
    let condition = Predicate::compare(Property::LAST_UPDATED_TIME, Comparison::AtLeast, Value::Instant(at));
    let question = Query::select(entity).filter(condition).count_text();
    let values = fixtures::literals(&question).expect("the question can be read");
    let asked = OffsetDateTime::parse(&values[0], &Rfc3339).expect("the literal is a time");
    assert_eq!(asked.unix_timestamp(), at.unix_timestamp());
    if let Some(end) = at.checked_add(Duration::SECOND) {
        assert!(Window::new(at, end).expect("a second is a window").to_string().contains('/'));
    }
}

/// Seconds since 1970 of RFC 3339, or of another spelling that means the same beyond doubt.
fn oracle(text: &str) -> Option<i64> {
    rfc3339(text).or_else(|| rfc3339(&spelled_out(text)?))
}

/// A space or a small letter in place of `T` and `Z`, a comma before the fraction, an offset without its colon or minutes.
fn spelled_out(text: &str) -> Option<String> {
    let text = Some(text.trim()).filter(|text| text.is_ascii())?;
    let (head, tail) = text.split_at_checked(19)?;
    matches!(head.as_bytes()[10], b'T' | b't' | b' ').then_some(())?;
    let digits = |rest: &str| rest.bytes().take_while(u8::is_ascii_digit).count();
    let length = tail.strip_prefix(['.', ',']).map_or(0, digits);
    let (fraction, zone) = tail.split_at(if length > 0 { length + 1 } else { 0 });
    let zone = zone.strip_prefix(' ').unwrap_or(zone);
    let zone = match (zone.len(), zone.strip_prefix(['+', '-']).map_or(0, digits)) {
        (1, _) => zone.to_uppercase(),
        (6, _) => zone.to_owned(),
        (5, 4) => format!("{}:{}", &zone[..3], &zone[3..]),
        (3, 2) => format!("{zone}:00"),
        _ => return None,
    };
    Some(format!("{}T{}{}{zone}", &head[..10], &head[11..], fraction.replace(',', ".")))
}

/// RFC 3339 by hand: seconds since 1970, where UTC's year has four digits.
fn rfc3339(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |range: RangeInclusive<usize>| -> Option<i64> {
        let digits = bytes.get(range)?;
        digits
            .iter()
            .try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    };
    let sign = |at: usize, wanted: u8| (*bytes.get(at)? == wanted).then_some(());
    let (year, month, day) = (number(0..=3)?, number(5..=6)?, number(8..=9)?);
    let (hour, minute, mut second) = (number(11..=12)?, number(14..=15)?, number(17..=18)?);
    sign(4, b'-')?;
    sign(7, b'-')?;
    sign(13, b':')?;
    sign(16, b':')?;
    // RFC 3339 lets another sign stand for the T.
    let mut rest = &bytes[19..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        rest = fraction.get(digits..).filter(|_| digits > 0)?;
    }
    let offset = match rest {
        [b'Z' | b'z'] => 0,
        [direction @ (b'+' | b'-'), _, _, b':', _, _] => {
            let at = bytes.len() - 5;
            let (hours, minutes) = (number(at..=at + 1)?, number(at + 3..=at + 4)?);
            let minutes = (hours <= 23 && minutes <= 59).then_some(hours * 60 + minutes)?;
            if *direction == b'+' { minutes } else { -minutes }
        }
        _ => return None,
    };
    let leap = second == 60;
    if leap {
        second = 59;
    }
    let leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = [31, if leap_year { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month_index = usize::try_from(month - 1).ok()?;
    let sound = (1..=*days.get(month_index)?).contains(&day) && hour <= 23 && minute <= 59 && second <= 59;
    let before: i64 = days[..month_index].iter().sum();
    let past = year - 1;
    let day_number =
        365 * year + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400) + before + day - 1;
    // Day 719,528 of this count is 1970-01-01.
    let at = (day_number - 719_527) * 86_400 + (hour * 60 + minute - offset) * 60 + second;
    // A leap second ends a month of UTC.
    let ends_month =
        OffsetDateTime::from_unix_timestamp(at + 1).is_ok_and(|next| next.day() == 1 && next.hour() == 0);
    let is_in_calendar =
        OffsetDateTime::from_unix_timestamp(at).is_ok_and(|at| (0..=9999).contains(&at.year()));
    (sound && is_in_calendar && (!leap || ends_month && at.rem_euclid(86_400) == 86_399)).then_some(at)
}
