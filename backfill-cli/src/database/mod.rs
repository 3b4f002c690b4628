//! How a database is reached: a private server if none is named, and libpq's password file.

pub(crate) mod pgpass;
#[cfg(feature = "embedded")]
pub(crate) mod private;
pub(crate) mod shell;
