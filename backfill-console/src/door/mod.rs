//! Decides which requests may come in, before any page sees them.

mod public_url;
mod addresses;
mod guard;
mod headers;

pub use self::addresses::OWN_HOST;
pub(crate) use self::addresses::{Addresses, Origin};
pub(crate) use self::guard::{Guard, guard};
pub(crate) use self::headers::protect;
pub use self::public_url::{InvalidPublicUrl, PublicUrl};
