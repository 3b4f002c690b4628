//! The secrets of one process: their sources, the keys of the vault, and the lineage of the consent in the database.

pub(crate) mod provided;
pub(crate) mod lookup;
pub(crate) mod database;
pub(crate) mod postgres;
pub(crate) mod keyring;
pub(crate) mod prompt;
pub(crate) mod text;
pub(crate) mod unlock;
pub(crate) mod lineage;
pub(crate) mod mounts;

mod opening;

pub(crate) use lookup::Secrets;
