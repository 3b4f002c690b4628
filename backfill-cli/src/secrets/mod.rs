//! The secrets of one process: where they come from, what opens the vault, and what the database knows of the consent.

pub(crate) mod provided;
pub(crate) mod lookup;
pub(crate) mod database;
pub(crate) mod postgres;
pub(crate) mod keyring;
pub(crate) mod prompt;
pub(crate) mod text;
pub(crate) mod unlock;
pub(crate) mod lineage;

mod opening;

pub(crate) use lookup::Secrets;
