//! The format of the `triggers.yaml` that Mage writes beside a pipeline.

use serde::Deserialize;

/// A Mage `triggers.yaml`.
#[derive(Debug, Deserialize)]
struct File {
    triggers: Vec<Entry>,
}

/// The fields that are used here; Mage writes others, too.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// Missing in some versions of Mage; the file's folder has the same name.
    pub(crate) pipeline_uuid: Option<String>,
    pub(crate) schedule_interval: Option<String>,
    pub(crate) start_time: Option<String>,
    pub(crate) status: Option<String>,
    #[serde(default)]
    pub(crate) variables: Variables,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Variables {
    #[serde(alias = "from")]
    pub(crate) fecha_inicio: Option<String>,
    #[serde(alias = "to")]
    pub(crate) fecha_fin: Option<String>,
}

/// The entries of a file.
pub(crate) fn entries(text: &str) -> Result<Vec<Entry>, serde_saphyr::Error> {
    serde_saphyr::from_str::<File>(text).map(|file| file.triggers)
}
