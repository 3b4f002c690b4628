//! Waits for an answer of QuickBooks.

use qbo_client::Advice;
use tokio_util::sync::CancellationToken;

use crate::error::Failure;

/// Waits for the answer to a request, unless the process is to stop. Returns the answer, or an error that concerns this request
/// alone; other errors end what is being done.
pub(crate) async fn unless_stopped<T>(
    stop: &CancellationToken,
    asked: impl Future<Output = Result<T, qbo_client::Error>>,
) -> Result<Result<T, qbo_client::Error>, Failure> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Failure::Stopped),
        answer = asked => match answer {
            Ok(answer) => Ok(Ok(answer)),
            Err(error) if matches!(error.advice(), Advice::GiveUp | Advice::AskFewer) => Ok(Err(error)),
            Err(error) => Err(Failure::Read(error)),
        },
    }
}
