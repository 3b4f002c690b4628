//! The number of records to request in one page, within QBO's limit.

/// Number of records to request in one page: 1 to 1000, QBO's maximum for `MAXRESULTS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PageSize(u16);

/// A page size that QBO would refuse or silently reduce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a page holds 1 to 1000 records")]
pub struct InvalidPageSize;

impl PageSize {
    /// QBO's maximum, and the size that costs the fewest calls.
    pub const MAX: Self = Self(1000);

    /// A single record.
    pub const ONE: Self = Self(1);

    /// Builds a page size.
    ///
    /// # Errors
    ///
    /// [`InvalidPageSize`] outside 1 to 1000.
    pub fn new(records: u16) -> Result<Self, InvalidPageSize> {
        if (1..=Self::MAX.0).contains(&records) { Ok(Self(records)) } else { Err(InvalidPageSize) }
    }

    /// The number of records.
    pub fn get(self) -> u16 {
        self.0
    }

    /// Whether a page with this many records was the last one, because it was not full.
    ///
    /// QBO never says that there are more records, `totalCount` is the count of the page, and one record more than requested
    /// has been seen (node-quickbooks issue 89); so only a page with fewer records than requested is the last.
    pub fn is_last_page(self, received: usize) -> bool {
        received < usize::from(self.0)
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::PageSize;

    #[test]
    fn only_a_page_that_is_not_filled_is_the_last_one() {
        let hundred = PageSize::new(100).unwrap();
        assert!(hundred.is_last_page(0));
        assert!(hundred.is_last_page(99));
        assert!(!hundred.is_last_page(100));
        assert!(!hundred.is_last_page(101));
        assert!(PageSize::new(0).is_err() && PageSize::new(1001).is_err());
    }
}
