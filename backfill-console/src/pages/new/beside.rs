//! What is wrong with a form, each beside its field.

/// A sentence beside each field that cannot be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Beside {
    pub(super) pipelines: Option<String>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) days: Option<String>,
    pub(super) what: Option<String>,
    pub(super) when: Option<String>,
    pub(super) at: Option<String>,
    pub(super) if_missed: Option<String>,
    pub(super) every: Option<String>,
    pub(super) by: Option<String>,
    pub(super) chunk: Option<String>,
    pub(super) name: Option<String>,
}

impl Beside {
    /// The names of the fields that have a sentence.
    pub(super) fn fields(&self) -> Vec<&'static str> {
        let all = [
            ("pipelines", &self.pipelines),
            ("from", &self.from),
            ("to", &self.to),
            ("days", &self.days),
            ("what", &self.what),
            ("when", &self.when),
            ("at", &self.at),
            ("if_missed", &self.if_missed),
            ("every", &self.every),
            ("by", &self.by),
            ("chunk", &self.chunk),
            ("name", &self.name),
        ];
        all.into_iter().filter(|(_, sentence)| sentence.is_some()).map(|(field, _)| field).collect()
    }

    /// Whether a field below "more" has a sentence.
    pub(super) fn is_below_more(&self) -> bool {
        self.every.is_some()
            || self.by.is_some()
            || self.chunk.is_some()
            || self.name.is_some()
            || self.if_missed.is_some()
    }
}
