//! Whether a run settles the windows that end too near to now.

use crate::clock_check::CLOCKS_AGREE_WITHIN;

/// The longest wait of [`Settle::Soon`]: the margin of a window by time, and as much again for a clock that is behind.
const SOON: time::Duration = CLOCKS_AGREE_WITHIN.checked_mul(2).expect("minutes");

/// Whether a run waits for the windows that ended too near to now, and reads them once more before it ends.
///
/// A record becomes visible to queries a little after its time, so a window is `completed` only if it ended some minutes
/// before it was read; a later one is `provisional`. Settling waits until these minutes have passed by QuickBooks' clock, and
/// reads the provisional windows again. No lease is held while the run waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Settle {
    /// Leaves provisional windows to a later run.
    Never,
    /// Settles a range for whose last window it waits no longer than ten minutes: one that ends now.
    #[default]
    Soon,
    /// Settles every window, however long that takes: until the end of a range that lies ahead, or a day and a half for
    /// transaction dates.
    Always,
}

impl Settle {
    /// Whether a run waits this long.
    pub(super) fn waits(self, wait: time::Duration) -> bool {
        match self {
            Self::Never => false,
            Self::Soon => wait <= SOON,
            Self::Always => true,
        }
    }
}
