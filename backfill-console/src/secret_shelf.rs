//! The seam through which a person sees which secrets are set, and replaces one.

use std::fmt;

use async_trait::async_trait;
use qbo_auth::{SecretInfo, SecretName, SecretString};

use crate::problem::Problem;

/// The secrets of one company. Values go in and never come out.
#[async_trait]
pub trait SecretShelf: fmt::Debug + Send + Sync {
    /// Lists the secrets that are set: names, ages and fingerprints.
    async fn list(&self) -> Result<Vec<SecretInfo>, Problem>;

    /// Names the secrets that a person may set, in the order in which to show them.
    fn names(&self) -> Vec<SecretName>;

    /// Sets or replaces a secret.
    async fn set(&self, name: &SecretName, value: SecretString) -> Result<(), Problem>;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn SecretShelf) = |_| ();
