//! The tones of the states of runs.

/// The tone of a run's state.
pub(super) fn tone(status: raw_store::RunStatus) -> &'static str {
    use raw_store::RunStatus as Status;
    match status {
        Status::Running => "busy",
        Status::Completed => "good",
        Status::Incomplete | Status::Failed => "bad",
        Status::Stopped => "warn",
    }
}
