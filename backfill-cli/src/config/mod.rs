//! Settings, from options, environment and settings file; and which files are trusted.

pub(crate) mod file_system;
pub(crate) mod profile;
pub(crate) mod proxy;
pub(crate) mod settings;
pub(crate) mod trusted;
