//! Records what people do.

use raw_store::{HistoryPhase, NewEvent, RunId, Severity, TriggerName};

use crate::company::OpenCompany;
use crate::trouble::Trouble;
use crate::visit::CompanyVisit;

/// What a person did, and what became of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Act<'a> {
    /// The kind of act in a few words, such as `secret replaced`.
    pub(crate) event: &'a str,
    pub(crate) run: Option<RunId>,
    pub(crate) trigger: Option<TriggerName>,
    pub(crate) entity_name: Option<Box<str>>,
    /// Details without a secret and without text of a document.
    pub(crate) detail: Option<String>,
    /// Whether it was refused.
    pub(crate) is_refused: bool,
}

/// Records an act under the name of the person who is signed in.
pub(crate) async fn record(visit: &CompanyVisit, open: &OpenCompany, act: Act<'_>) -> Result<(), Trouble> {
    let event = NewEvent {
        at: visit.visit.now(),
        level: if act.is_refused { Severity::Warning } else { Severity::Info },
        phase: HistoryPhase::Console,
        event: act.event.into(),
        run: act.run,
        entity_name: act.entity_name,
        trigger: act.trigger,
        who: Some(visit.visit.who().into()),
        code: None,
        detail: act.detail.map(Into::into),
    };
    Ok(open.store.record_events(&[event]).await?)
}
