//! The database of a user: a private server where none is named, and the password file.

pub(crate) mod pgpass;
#[cfg(feature = "embedded")]
pub(crate) mod private;
#[cfg(feature = "embedded")]
pub(crate) mod shell;
