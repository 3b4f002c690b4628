//! `triggers.yaml` as Mage writes it beside a pipeline.

use serde::Deserialize;

/// A Mage `triggers.yaml`.
#[derive(Debug, Deserialize)]
struct File {
    triggers: Vec<Entry>,
}

/// The fields that matter here; Mage writes others beside them.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// Not there in every version; the file's folder says it too.
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
