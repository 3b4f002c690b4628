//! Reads without an order. Where the records of a page follow no order, or give no time to continue at, the cursor cannot tell
//! how far a full page has advanced it. A page that is not full holds everything that was requested, whatever its order: so the
//! time ahead is read in parts, each halved until one page holds it.
//!
//! Records without a time may come with every range that is asked for. If they fill a page, no part is small enough: the rest of
//! the scan is then read once, in the order of ids.

use std::sync::atomic::Ordering;

use time::{Duration, OffsetDateTime};

use super::Scan;
use super::keyset::Reached;
use super::undeliverable_record::{Found, Halt};
use crate::error::RunError;

/// Parts that are read before the order is tried again.
const PARTS: u32 = 16;

impl Scan {
    /// Reads on where a full page gives no time to continue at. If the pipeline has met an instant that fills a page already, the
    /// records are probably in every instant that is asked for, because the source does not know their times either: the rest is
    /// read in the order of ids. Returns whether the scan is over.
    pub(super) async fn read_timeless(&mut self) -> Result<bool, RunError> {
        if !self.context.has_full_instants.load(Ordering::Relaxed) {
            return self.read_in_parts().await;
        }
        match self.keyset.read_rest_by_id(self.context.request.axis) {
            Reached::Unproved => self.prove_instant().await,
            _ => Ok(false),
        }
    }

    /// Reads some parts of the time ahead. Returns whether the scan is over; otherwise the cursor knows what to request next.
    pub(super) async fn read_in_parts(&mut self) -> Result<bool, RunError> {
        self.keyset.go_back();
        let ended = self.parts_ahead().await;
        self.halted(ended).await
    }

    async fn parts_ahead(&mut self) -> Result<bool, Halt> {
        let mut length = self.page_span.unwrap_or(self.span.end() - self.keyset.position().0);
        let mut read = 0;
        while read < PARTS {
            let at = self.keyset.position().0;
            let end = self.part_from(at, length);
            let is_instant = end <= self.keyset.after();
            let query = self.between(at, end);
            match self.find(&query).await? {
                Found::All(page) if self.keyset.can_take_stretch(&page, end) => {
                    if page.len() * 4 < usize::from(query.page_size().get()) {
                        length = length.saturating_add(length);
                    }
                    if self.land_stretch(&query, page, end).await? {
                        return Ok(true);
                    }
                    read += 1;
                }
                // Most of its records are not of the requested time.
                Found::All(_) if self.here().is_none_or(|window| window.end() >= end) => {
                    let message = "QuickBooks sent records outside the requested range";
                    if self.leave(end, message).await? {
                        return Ok(true);
                    }
                    read += 1;
                }
                Found::Page if is_instant => {
                    self.context.has_full_instants.store(true, Ordering::Relaxed);
                    if self.keyset.read_by_id() == Reached::Unproved {
                        return Ok(self.prove_instant().await?);
                    }
                    return Ok(false);
                }
                Found::Bad(why) if is_instant => return self.read_instant(&why).await,
                Found::All(_) | Found::Page | Found::Bad(_) => length = (end - at) / 2,
            }
        }
        Ok(false)
    }

    /// Returns the end of a part, which is an instant that can be queried.
    fn part_from(&self, at: OffsetDateTime, length: Duration) -> OffsetDateTime {
        let end = at.checked_add(length).unwrap_or(self.span.end());
        self.context.request.axis.floor(end).clamp(self.keyset.after(), self.span.end())
    }
}
