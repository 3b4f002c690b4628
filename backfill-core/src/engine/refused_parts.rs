//! Finds out which part of a request QuickBooks refuses, and goes on without it.
//!
//! A refusal does not say reliably what it is about. So the parts that can be left out are left out one after the other, those
//! that lose the least first, until the same page is delivered; then they are put back one at a time, because one of them may
//! have been the only cause, or none. A part is refused only if it is refused again. STARTPOSITION and MAXRESULTS always stay.
//! Only a delivered page, or a delivered record of it, shows that a request is accepted: a server's error does not, because it may
//! hide a refusal. What was refused is remembered, so that later runs do not pay for it again. A company that accepts no request at
//! all does not have the entity.
//!
//! Only codes 4000 and 4001 say that a query is not accepted. With another code, the refusal may be about custom fields, which
//! are no part of the query. If the page is refused without them as well, one of its records may be the cause.

use std::iter;

use qbo_client::{ErrorKind, PageSize};
use raw_store::{Reopen, Window, WindowFailure, WindowUpdate};

use crate::catalog::{EntitySpec, RequestPart};
use crate::error::RunError;
use crate::event::RunEventKind;
use crate::scan::is_refused;
use crate::scan::pipeline_context::{FetchFailure, FirstRefusal, PipelineContext};

/// How many records are requested alone where the answer to a page does not say whether the request is accepted.
const MOST_UNCLEAR: u32 = 3;

/// Finds an entity's requests without the refused parts, and remembers these. `None` if there is nothing to read: the windows
/// are then left unread, with the reason.
pub(crate) async fn accepted(
    context: &PipelineContext,
    windows: &[Window],
    refusal: &FirstRefusal,
) -> Result<Option<EntitySpec>, RunError> {
    let spec = match find(context, refusal).await {
        Ok(Found::Accepted(spec)) => spec,
        Ok(Found::NoEntity(message)) => {
            return leave_unread(context, windows, &message).await.map(|()| None);
        }
        Ok(Found::Unclear) => return Ok(Some(context.spec.clone())),
        Err(unread) => {
            let (message, code) = (unread.to_string(), unread.code());
            return match unread.fatal() {
                Some(failure) => Err(context.error(None, failure)),
                None => fail(context, windows, (&message, code)).await.map(|()| None),
            };
        }
    };
    remember(context, &spec).await?;
    if spec.is_snapshot() && !context.spec.is_snapshot() {
        // The entity has one window from now on; those that were opened for it stay behind.
        let message = RequestPart::Time.consequence().into();
        let reason = WindowFailure { message, error_code: None, at: context.clock.now_utc() };
        let open = open(context, windows).await?;
        let left =
            context.store.log.update_windows(context.owner(), &open, WindowUpdate::Unavailable(&reason));
        left.await.map_err(|error| context.error(None, error))?;
    }
    Ok(Some(spec))
}

/// What the requests without some parts have shown.
enum Found {
    /// These requests are accepted.
    Accepted(EntitySpec),
    /// The company does not have the entity, for this reason.
    NoEntity(String),
    /// The refusal is about neither the entity nor a part of its requests: a record may be the cause.
    Unclear,
}

/// How QuickBooks answers a request.
enum Answer {
    Accepted,
    Refused(Refused),
    /// No answer says whether the request is accepted.
    Unclear,
}

/// What a refusal says.
struct Refused {
    /// The reason why the company does not have the entity, if every request is refused in this way.
    no_entity: Option<String>,
    /// Whether the refusal says that the query is not accepted.
    is_about_query: bool,
}

impl Refused {
    fn by(why: &qbo_client::Error) -> Self {
        let is_about_query = is_about_the_query(why);
        let no_entity = match &why.kind {
            ErrorKind::BadQuery { code } if is_about_query => Some(format!(
                "not available in this company: QuickBooks accepts no query for it (code {code})"
            )),
            ErrorKind::EntityUnavailable { .. } => Some(why.kind.to_string()),
            _ => None,
        };
        Self { no_entity, is_about_query }
    }
}

/// Searches for the parts that can stay.
async fn find(context: &PipelineContext, refusal: &FirstRefusal) -> Result<Found, FetchFailure> {
    let parts = context.spec.parts();
    let mut spec = context.spec.clone();
    let mut last = Refused::by(&refusal.why);
    for (at, part) in parts.iter().enumerate() {
        if *part != RequestPart::CustomFields && !last.is_about_query {
            break;
        }
        spec = spec.without(*part);
        match answer(context, &spec, refusal).await? {
            Answer::Accepted => {
                let found = put_back(context, (spec, &parts[..=at]), refusal).await?;
                return Ok(found.map_or(Found::Unclear, Found::Accepted));
            }
            Answer::Refused(refused) => last = refused,
            Answer::Unclear => return Ok(Found::Unclear),
        }
    }
    Ok(last.no_entity.map_or(Found::Unclear, Found::NoEntity))
}

/// Puts back the parts with which the request is accepted as well. That includes the last one that was left out: one refusal
/// does not prove that a part is refused, because the response to it may have been a passing fault. `None` if an answer is
/// unclear.
async fn put_back(
    context: &PipelineContext,
    (mut spec, parts): (EntitySpec, &[RequestPart]),
    refusal: &FirstRefusal,
) -> Result<Option<EntitySpec>, FetchFailure> {
    for part in parts {
        let more = spec.clone().with(*part);
        // An entity that is read whole has no order.
        if more.parts().contains(part) {
            match answer(context, &more, refusal).await? {
                Answer::Accepted => {}
                Answer::Refused(_) => continue,
                Answer::Unclear => return Ok(None),
            }
        }
        spec = more;
    }
    Ok(Some(spec))
}

/// Requests the refused page in another way. If it is not delivered for another reason, one record shows whether the request is
/// accepted.
async fn answer(
    context: &PipelineContext,
    spec: &EntitySpec,
    refusal: &FirstRefusal,
) -> Result<Answer, FetchFailure> {
    let (start, end) = (refusal.range.start(), refusal.range.end());
    let query = spec.query(context.request.axis, start, end);
    let page = (1, refusal.page_size);
    let records = (1..=MOST_UNCLEAR).map(|position| (position, PageSize::ONE));
    for (position, size) in iter::once(page).chain(records) {
        match context.ask(&query.clone().page(position, size)).await {
            Ok(_) => return Ok(Answer::Accepted),
            // A page may hold a record that cannot be delivered.
            Err(FetchFailure::Poisoned(_) | FetchFailure::TooMuch(_)) => {}
            Err(FetchFailure::Unavailable(message)) => {
                return Ok(Answer::Refused(Refused { no_entity: Some(message), is_about_query: false }));
            }
            Err(FetchFailure::Refused(why) | FetchFailure::Doubtful(why)) if is_spoilt(&why) => {}
            Err(FetchFailure::Refused(why)) => return Ok(Answer::Refused(Refused::by(&why))),
            Err(FetchFailure::Doubtful(why)) if is_refused(&why) => {
                return Ok(Answer::Refused(Refused::by(&why)));
            }
            Err(unread) => return Err(unread),
        }
    }
    Ok(Answer::Unclear)
}

/// Whether an answer is a refusal without a code. It says nothing about the request: a connection or a gateway may have spoilt it.
fn is_spoilt(why: &qbo_client::Error) -> bool {
    matches!(&why.kind, ErrorKind::BadQuery { code } if code.is_empty())
}

/// Whether QuickBooks says that it does not accept a query.
fn is_about_the_query(why: &qbo_client::Error) -> bool {
    matches!(&why.kind, ErrorKind::BadQuery { code } if matches!(&**code, "4000" | "4001"))
}

/// Remembers what was refused, and tells it.
async fn remember(context: &PipelineContext, spec: &EntitySpec) -> Result<(), RunError> {
    let known = context.spec.left_out();
    let parts: Vec<_> = spec.left_out().iter().copied().filter(|part| !known.contains(part)).collect();
    if parts.is_empty() {
        return Ok(());
    }
    let at = context.clock.now_utc();
    let refusals: Vec<_> = parts.iter().map(|part| part.refused(spec, context.request.axis, at)).collect();
    let kept = context.store.refusals.keep_refusals(&refusals).await;
    kept.map_err(|error| context.error(None, error))?;
    let pipeline = context.spec.pipeline_name();
    context.events.emit(RunEventKind::PartsRefused { pipeline, parts });
    Ok(())
}

/// Leaves the windows unread, because the company accepts no request for the entity.
async fn leave_unread(context: &PipelineContext, windows: &[Window], message: &str) -> Result<(), RunError> {
    if !context.availability.deny(message) {
        let message = format!("{message}, though records were read before");
        return fail(context, windows, (&message, "window.unavailable")).await;
    }
    let open = open(context, windows).await?;
    context.leave_out(&open, message).await.map_err(|error| context.error(None, error))?;
    let (pipeline, windows) = (context.spec.pipeline_name(), open.len());
    context.events.emit(RunEventKind::Unavailable { pipeline, windows, message: message.into() });
    Ok(())
}

async fn fail(context: &PipelineContext, windows: &[Window], reason: (&str, &str)) -> Result<(), RunError> {
    let open = open(context, windows).await?;
    context.fail(&open, reason).await.map_err(|error| context.error(None, error))
}

/// Returns the windows that the run has opened and not closed.
async fn open(context: &PipelineContext, windows: &[Window]) -> Result<Vec<Window>, RunError> {
    let open = context.store.log.open_windows(context.owner(), windows, Reopen::Unfinished).await;
    let open = open.map_err(|error| context.error(None, error))?;
    Ok(open.into_iter().map(|open| open.window).collect())
}
