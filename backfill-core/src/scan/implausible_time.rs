//! Finds the records of a page whose time contradicts the request or their neighbours, and decides whether they are few enough
//! to believe the rest. Pure.

use std::fmt;

use time::OffsetDateTime;

/// At most one record in this many may be odd: beyond that, the order of a page proves nothing.
const ONE_IN: usize = 4;

/// Why a record's time cannot be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OddTime {
    /// The time lies outside of the requested range.
    Outside,
    /// The time contradicts the requested order.
    Disorder,
}

impl fmt::Display for OddTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outside => "QuickBooks sent this record with a time outside the requested range",
            Self::Disorder => "QuickBooks sent this record out of order",
        })
    }
}

impl OddTime {
    /// Whether the rest of a page can be believed. One record outside of the range says nothing of the others; of two records
    /// that contradict each other, it is unknown which one is odd.
    pub(crate) fn are_few(outside: usize, disorder: usize, records: usize) -> bool {
        (outside <= 1 || outside * ONE_IN <= records) && disorder * ONE_IN <= records
    }
}

/// What the order of a page says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The record is in its place.
    Sound,
    /// Either this record is odd or another one that it contradicts: it is unknown which.
    Contested,
    /// The record contradicts more records than agree with it.
    Odd,
}

/// Judges each record by the longest never-descending sequences of a page: a record is sound if it is part of all of them, and
/// odd if it is part of none. A record without an instant contradicts nothing.
pub(crate) fn standings(instants: &[Option<OffsetDateTime>]) -> Vec<Standing> {
    let second = |at: OffsetDateTime| at.unix_timestamp();
    let known: Vec<_> = instants.iter().flatten().map(|at| second(*at)).collect();
    if known.is_sorted() {
        return vec![Standing::Sound; instants.len()];
    }
    let ending = lengths(known.iter().copied());
    let mut beginning = lengths(known.iter().rev().map(|second| -second));
    beginning.reverse();
    let longest = ending.iter().max().copied().unwrap_or(0);
    let is_part = |n: usize| ending[n] + beginning[n] == longest + 1;
    // The number of records that may stand at each place of a longest sequence.
    let mut rivals = vec![0_u32; longest + 1];
    (0..known.len()).filter(|n| is_part(*n)).for_each(|n| rivals[ending[n]] += 1);
    let mut judged = (0..known.len()).map(|n| match (is_part(n), rivals[ending[n]]) {
        (false, _) => Standing::Odd,
        (true, 1) => Standing::Sound,
        (true, _) => Standing::Contested,
    });
    let standing = |at: &Option<OffsetDateTime>| at.and_then(|_| judged.next()).unwrap_or(Standing::Sound);
    instants.iter().map(standing).collect()
}

/// Returns, for each number, the length of the longest never-descending sequence that ends with it.
fn lengths(numbers: impl Iterator<Item = i64>) -> Vec<usize> {
    // The least number that a sequence of each length ends with.
    let mut least: Vec<i64> = Vec::new();
    let length = |number: i64| {
        let shorter = least.partition_point(|end| *end <= number);
        if shorter == least.len() {
            least.push(number);
        } else {
            least[shorter] = number;
        }
        shorter + 1
    };
    numbers.map(length).collect()
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use time::macros::datetime;

    use super::*;

    fn those(wanted: Standing, seconds: &[i64]) -> Vec<i64> {
        let at = |second: &i64| {
            (*second >= 0).then(|| datetime!(2026-01-01 0:00 UTC) + Duration::seconds(*second))
        };
        let standings = standings(&seconds.iter().map(at).collect::<Vec<_>>());
        seconds.iter().zip(standings).filter(|(_, one)| *one == wanted).map(|(second, _)| *second).collect()
    }

    #[test]
    fn the_fewest_records_that_explain_a_disorder_are_odd() {
        let odd = |seconds: &[i64]| {
            assert_eq!(those(Standing::Contested, seconds), [] as [i64; 0], "{seconds:?}");
            those(Standing::Odd, seconds)
        };
        assert_eq!(odd(&[1, 2, 2, 3]), [] as [i64; 0]);
        assert_eq!(odd(&[1, 2, 90, 3, 4]), [90]);
        assert_eq!(odd(&[90, 1, 2, 3]), [90]);
        assert_eq!(odd(&[5, 6, 7, 1]), [1]);
        // An hour that was sent with the offset of another one.
        assert_eq!(odd(&[50, 60, 70, 11, 12, 80, 90]), [11, 12]);
        // A record without a time contradicts nothing.
        assert_eq!(odd(&[5, -1, 6, 1, -1, 7]), [1]);
        assert_eq!(odd(&[]), [] as [i64; 0]);
    }

    #[test]
    fn of_two_that_contradict_each_other_nobody_knows_which_one_is_odd() {
        assert_eq!(those(Standing::Contested, &[50, 2, 60, 70]), [50, 2]);
        assert_eq!(those(Standing::Contested, &[5, 6, 9, 8]), [9, 8]);
        assert_eq!(those(Standing::Contested, &[5, 4]), [5, 4]);
        assert_eq!(those(Standing::Contested, &[5, 6, 8, 7, 9, 1]), [8, 7]);
        assert_eq!(those(Standing::Odd, &[5, 6, 8, 7, 9, 1]), [1]);
    }

    #[test]
    fn what_is_odd_is_a_small_part_of_its_page() {
        assert!(OddTime::are_few(1, 0, 1) && OddTime::are_few(0, 1, 4) && OddTime::are_few(250, 250, 1000));
        assert!(!OddTime::are_few(2, 0, 2) && !OddTime::are_few(0, 1, 2) && !OddTime::are_few(0, 251, 1000));
    }
}
