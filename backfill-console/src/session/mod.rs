//! Knows who is signed in: one-time links, the key, and the sessions that follow from both.

mod person_name;
mod link;
mod key;
mod cookie;
mod sessions;

pub(crate) use self::cookie::{cookie_value, session_cookie, session_cookie_name};
pub(crate) use self::key::{KeyCheck, SignInKey};
pub(crate) use self::link::Links;
pub use self::link::sign_in_path;
pub use self::person_name::{InvalidPersonName, PersonName};
pub(crate) use self::sessions::{Session, Sessions};
