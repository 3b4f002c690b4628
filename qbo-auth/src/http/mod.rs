//! What every HTTP client of Intuit's services needs to read an answer: this crate's client for tokens, and `qbo-client`'s for
//! records.

#[cfg(feature = "http")]
mod inflate;
mod page_title;
mod retry_after;
#[cfg(feature = "http")]
mod tls_error;

#[cfg(feature = "http")]
#[doc(hidden)]
pub use inflate::{BodyError, Inflating};
pub use page_title::PageTitle;
#[doc(hidden)]
pub use retry_after::{LONGEST_PAUSE, http_date, retry_after};
#[cfg(feature = "http")]
#[doc(hidden)]
pub use tls_error::insecure_reason;
