//! What a scan advances along: a time axis, or one window that is read as a whole.

use qbo_client::RawRecord;
use raw_store::Window;
use time::{Duration, OffsetDateTime};

use super::time_axis::Axis;

/// The key that a cursor advances by. An entity that is read whole counts as one instant as long as its window: it has no time
/// to query by, so its records are reached by position, with the same checks as records of one second.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ScanKey {
    Along(Axis),
    Whole(Window),
    /// A part of an axis that is read as one instant, in the order of ids, because the times of its records do not show how far
    /// a page has read.
    Part(Axis, Window),
}

impl From<Axis> for ScanKey {
    fn from(axis: Axis) -> Self {
        Self::Along(axis)
    }
}

impl ScanKey {
    /// Rounds down to an instant that a query can name.
    pub(crate) fn floor(self, at: OffsetDateTime) -> OffsetDateTime {
        match self {
            Self::Along(axis) => axis.floor(at),
            Self::Whole(window) => window.start(),
            // A time outside of the part stays one, so that it is noticed.
            Self::Part(_, window) => {
                if window.contains(at) {
                    window.start()
                } else {
                    at
                }
            }
        }
    }

    /// Returns the smallest step of the key.
    pub(crate) fn step(self) -> Duration {
        match self {
            Self::Along(axis) => axis.step(),
            Self::Whole(window) | Self::Part(_, window) => window.end() - window.start(),
        }
    }

    /// Returns the record's time on the key, if it has one.
    pub(crate) fn time_of(self, record: &RawRecord<'_>) -> Option<OffsetDateTime> {
        match self {
            Self::Along(axis) => axis.time_of(record),
            Self::Whole(window) => Some(window.start()),
            // A record without a time belongs to its day or, if that lies elsewhere, to the beginning.
            Self::Part(axis, window) => axis.time_of(record).or_else(|| {
                let day = axis.place_of(record).filter(|day| window.contains(*day));
                Some(day.unwrap_or(window.start()))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

    use qbo_client::{PageSize, RawPage};
    use raw_store::ScanCursor;
    use time::macros::datetime;

    use super::*;
    use crate::scan::keyset::{KeysetCursor, Reached};

    /// Reads records without any usable time from a source that orders them anew for each request. Returns the records taken
    /// and the number of requests.
    fn read_all(records: u32, page: u16, order: impl Fn(u32, u32) -> u64) -> (Vec<String>, u32) {
        let window = Window::new(datetime!(2026-01-01 0:00 UTC), datetime!(2026-02-01 0:00 UTC)).unwrap();
        let cursor = ScanCursor { at: window.start(), seen: Vec::new() };
        let mut keyset =
            KeysetCursor::new(ScanKey::Whole(window), cursor, window.end(), PageSize::new(page).unwrap());
        let (mut taken, mut asked) = (Vec::new(), 0);
        loop {
            asked += 1;
            let (at, position) = keyset.position();
            assert_eq!(at, window.start());
            let mut ids: Vec<u32> = (0..records).collect();
            ids.sort_by_key(|id| order(*id, asked));
            let rows = ids.iter().skip(position as usize - 1).take(page.into());
            let rows: Vec<_> = rows
                .map(|id| {
                    format!(r#"{{"Id":"{id}","MetaData":{{"LastUpdatedTime":"2019-01-01T00:00:00Z"}}}}"#)
                })
                .collect();
            let body =
                format!(r#"{{"QueryResponse":{{"X":[{}]}},"time":"2026-06-01T00:00:00Z"}}"#, rows.join(","));
            let answer = RawPage::split(body.into(), "X").unwrap();
            let step = keyset.take(&answer).unwrap();
            taken.extend(step.fresh.iter().map(|one| one.record.id().unwrap().to_owned()));
            let reached = match step.reached {
                Reached::Unproved => keyset.counted(records.into()).unwrap(),
                reached => reached,
            };
            if reached == Reached::End {
                return (taken, asked);
            }
        }
    }

    #[test]
    fn a_list_without_times_is_read_by_position_at_the_cost_of_its_pages() {
        let (taken, asked) = read_all(2300, 1000, |id, _| u64::from(id));
        assert_eq!((taken.len(), asked), (2300, 3));
        assert_eq!(read_all(0, 1000, |id, _| u64::from(id)), (Vec::new(), 1));
    }

    #[test]
    fn a_list_whose_order_changes_with_every_question_is_read_until_a_count_proves_it() {
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let (taken, _) = read_all(500, 100, |id, asked| hasher.hash_one((id, asked)));
        assert_eq!(taken.len(), 500, "a record was taken twice");
        assert_eq!(taken.into_iter().collect::<BTreeSet<_>>().len(), 500);
    }
}
