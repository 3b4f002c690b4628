//! Finds out in which windows records lie that cannot be delivered, where a scan reads several windows as one instant.
//!
//! A range that fits into a page shows by itself whether it holds such a record. A larger one is halved at the borders of windows.

use time::OffsetDateTime;

use super::Scan;
use super::undeliverable_record::{Answer, Halt};

/// How often a window that holds more than a page is read for a record that makes one of its pages fail: positions may mean
/// another record at every request.
const PASSES: u32 = 3;

impl Scan {
    /// Returns the beginning of a window for each of so many records between two instants that cannot be delivered. A record that
    /// is not found again is placed at the beginning of the range.
    pub(super) async fn places_of(
        &mut self,
        (from, end): (OffsetDateTime, OffsetDateTime),
        records: u32,
    ) -> Result<Vec<OffsetDateTime>, Halt> {
        let records = records as usize;
        let mut places = Vec::with_capacity(records);
        let mut ranges = vec![(from, end)];
        while let Some((from, end)) = ranges.pop() {
            if places.len() == records {
                break;
            }
            let border = self.border_between(from, end);
            if !self.may_hold_one((from, end), border.is_none()).await? {
                continue;
            }
            match border {
                Some(border) => ranges.extend([(border, end), (from, border)]),
                None => places.push(from),
            }
        }
        let last = places.last().copied().unwrap_or(from);
        places.resize(records, last);
        Ok(places)
    }

    /// Returns the border of windows in the middle of a range, if it has one.
    pub(super) fn border_between(&self, from: OffsetDateTime, end: OffsetDateTime) -> Option<OffsetDateTime> {
        let touched =
            self.progress.open().iter().filter(|window| window.end() > from && window.start() < end);
        let starts: Vec<_> = touched.map(|window| window.start()).collect();
        (starts.len() > 1).then(|| starts[starts.len() / 2])
    }

    /// Whether a range may hold a record that cannot be delivered: unless `is_one` window, a range of more than a page may.
    async fn may_hold_one(
        &mut self,
        (from, end): (OffsetDateTime, OffsetDateTime),
        is_one: bool,
    ) -> Result<bool, Halt> {
        let range = self.in_order(self.between(from, end));
        let counted = self.context.count(&range).await?;
        let is_page = counted <= u64::from(self.context.request.page_size.get());
        if counted == 0 || !(is_page || is_one) {
            return Ok(counted > 0);
        }
        for _ in 0..if is_page { 1 } else { PASSES } {
            for part in self.pages_of(&range, counted) {
                if matches!(self.ask_for(&part).await?, Answer::Bad(_)) && self.is_sure(&part).await? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
