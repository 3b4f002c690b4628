//! Reads a page of the log.

use raw_store::{HistoryEntry, HistoryFilter, HistoryKey, HistoryOrder, Window};
use time::OffsetDateTime;
use time::macros::datetime;

use super::asked::{Place, write_key};
use crate::company::OpenCompany;
use crate::trouble::Trouble;

/// Lines on one page.
const PAGE: u32 = 200;

/// Lines above a moment that was asked for.
const LATER: u32 = 3;

/// All that can have happened.
const FIRST: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
const LAST: OffsetDateTime = datetime!(9000-01-01 0:00 UTC);

/// A page of the log, the newest entry first.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) entries: Vec<HistoryEntry>,
    has_earlier: bool,
    has_later: bool,
}

impl Known {
    /// The place behind which the earlier entries come.
    pub(super) fn earlier(&self) -> Option<String> {
        self.entries.last().filter(|_| self.has_earlier).map(|entry| write_key(&HistoryKey::from(entry)))
    }

    /// The place before which the later entries come.
    pub(super) fn later(&self) -> Option<String> {
        self.entries.first().filter(|_| self.has_later).map(|entry| write_key(&HistoryKey::from(entry)))
    }
}

/// Reads a page of the log; an empty one if nothing can match.
pub(super) async fn known(
    open: &OpenCompany,
    can_match: bool,
    filter: &HistoryFilter,
    place: &Place,
) -> Result<Known, Trouble> {
    if !can_match {
        return Ok(Known::default());
    }
    let read = async |from, until, order, after: Option<&HistoryKey>, limit: u32| {
        let Ok(span) = Window::new(from, until) else { return Ok::<_, Trouble>((Vec::new(), false)) };
        // One more than is shown tells whether there are more.
        let mut entries = open.store.happened(span, filter, order, after, limit + 1).await?.value;
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = entries.len() > most;
        entries.truncate(most);
        Ok((entries, has_more))
    };
    let known = match place {
        Place::Newest => {
            let (entries, has_earlier) = read(FIRST, LAST, HistoryOrder::NewestFirst, None, PAGE).await?;
            Known { entries, has_earlier, has_later: false }
        }
        Place::Before(key) => {
            let (entries, has_earlier) =
                read(FIRST, LAST, HistoryOrder::NewestFirst, Some(key), PAGE).await?;
            Known { entries, has_earlier, has_later: true }
        }
        Place::After(key) => {
            let (mut entries, has_later) =
                read(FIRST, LAST, HistoryOrder::OldestFirst, Some(key), PAGE).await?;
            entries.reverse();
            Known { entries, has_earlier: true, has_later }
        }
        Place::Around(moment) => {
            let (mut entries, has_later) =
                read(moment.until, LAST, HistoryOrder::OldestFirst, None, LATER).await?;
            entries.reverse();
            let (earlier, has_earlier) =
                read(FIRST, moment.until, HistoryOrder::NewestFirst, None, PAGE - LATER).await?;
            entries.extend(earlier);
            Known { entries, has_earlier, has_later }
        }
    };
    Ok(known)
}
