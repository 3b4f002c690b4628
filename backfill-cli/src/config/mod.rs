//! What the settings file, the environment and the options say together, and whose files are obeyed.

pub(crate) mod file_system;
pub(crate) mod profile;
pub(crate) mod proxy;
pub(crate) mod settings;
pub(crate) mod trusted;
