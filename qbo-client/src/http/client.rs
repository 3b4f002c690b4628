//! The one request loop: admit → token → send → classify → accept, wait or give up.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use qbo_auth::{AccessToken, Clock, Endpoints, PageTitle, RealmId, TokenProvider};
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;

use super::classify::{by_fault, is_web_page, throttled_tokens};
use super::https::{Https, LARGEST_BODY};
use super::{Answer, Call, Fault, Received, Transport, TransportError, Verdict, classify};
use crate::client::QboClient;
use crate::error::{Cause, Error, ErrorKind, Refusal};
use crate::event::{ClientEvent, Subscribers, WaitReason};
use crate::limit::{
    Admission, Backoff, Breaker, BreakerState, BudgetError, COOL_DOWN, CallBudget, CallEnd, CallPermit,
    LocalBudget, MOST_SILENCE, MonthlyCalls, RatePolicy, Silence,
};
use crate::page::split::total_count;
use crate::page::{Deletions, RawPage, SplitError};
use crate::query::{EntityName, Query};
use crate::report::{Report, ReportRequest};
use crate::usage::{Meter, Usage};

/// How often one request is repeated after a failure before it is given up.
const MAX_RETRIES: u32 = 5;

/// How often these are repeated: a page that fails with code 10000, before it is requested in parts; a page that is not JSON,
/// before it is split around the malformed records; and a probe.
const MAX_RETRIES_WHOLE: u32 = 2;

/// How often one request is repeated for which the gateway finds no server (code 7001).
const MAX_RETRIES_UNROUTED: u32 = 2;

/// How often one request is repeated after a web page with a 4xx status: a firewall seldom changes its decision.
const MAX_RETRIES_BLOCKED: u32 = 2;

/// How often one request is repeated after a refusal for too many calls, while others are served.
const MAX_REFUSALS: u32 = 30;

/// If every call is refused for longer than this, speed is not the cause: the month's allowance is used up, which QBO answers
/// in the same words.
const LASTING: Duration = Duration::from_mins(10);

/// Waits shorter than this are not reported.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// [`QboClient`] over HTTPS.
pub struct HttpQboClient {
    transport: Arc<dyn Transport>,
    tokens: Arc<dyn TokenProvider>,
    clock: Arc<dyn Clock>,
    budget: Arc<dyn CallBudget>,
    /// Held by the one request that asks for a permit or waits for it; the others queue behind it.
    turn: tokio::sync::Mutex<()>,
    breaker: Mutex<Breaker>,
    silence: Mutex<Silence>,
    /// Wakes requests that wait for the breaker when it closes.
    recovered: Notify,
    meter: Meter,
    seed: u64,
    requests: AtomicU64,
    subscribers: Subscribers,
    /// Whether the low allowance was reported.
    told_low: AtomicBool,
}

/// Builds an [`HttpQboClient`].
#[derive(Clone, Debug)]
#[must_use]
pub struct HttpQboClientBuilder {
    realm: RealmId,
    endpoints: Endpoints,
    tokens: Arc<dyn TokenProvider>,
    clock: Arc<dyn Clock>,
    policy: Option<RatePolicy>,
    budget: Option<Arc<dyn CallBudget>>,
    transport: Option<Arc<dyn Transport>>,
    seed: u64,
}

/// The HTTP client could not be set up, for example because there is no root certificate.
#[derive(Debug, thiserror::Error)]
#[error("the HTTPS client cannot be set up")]
pub struct BuildError(#[source] pub(crate) reqwest::Error);

impl HttpQboClient {
    /// Starts building a client for one company.
    pub fn builder(
        realm: RealmId,
        endpoints: Endpoints,
        tokens: Arc<dyn TokenProvider>,
        clock: Arc<dyn Clock>,
    ) -> HttpQboClientBuilder {
        HttpQboClientBuilder {
            realm,
            endpoints,
            tokens,
            clock,
            policy: Some(RatePolicy::QBO),
            budget: None,
            transport: None,
            seed: 0,
        }
    }
}

impl HttpQboClientBuilder {
    /// Sets the rate policy of this client; default [`RatePolicy::QBO`]. `None`, for no limits, only makes sense for an
    /// emulator.
    pub fn rate_policy(mut self, policy: Option<RatePolicy>) -> Self {
        self.policy = policy;
        self
    }

    /// Uses a budget that is shared with others, in place of one of its own. Both should have the same rate policy.
    pub fn budget(mut self, budget: Arc<dyn CallBudget>) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Sends requests through `transport`, in place of HTTPS to the company's address.
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Sets the seed of the back-off's jitter; default 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Builds the client. No request is made.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if TLS cannot be set up.
    pub fn build(self) -> Result<HttpQboClient, BuildError> {
        let base = self.endpoints.api();
        let company = format!("{}/v3/company/{}", base.trim_end_matches('/'), self.realm);
        let secure = !base.starts_with("http://");
        let local = || Arc::new(LocalBudget::new(self.policy, Arc::clone(&self.clock)));
        let budget = self.budget.clone().unwrap_or_else(|| local());
        let connections = self.policy.unwrap_or(RatePolicy::QBO).in_flight as usize;
        let transport = match self.transport {
            Some(transport) => transport,
            None => Arc::new(Https::new(company, secure, connections).map_err(BuildError)?),
        };
        Ok(HttpQboClient {
            transport,
            tokens: self.tokens,
            clock: self.clock,
            budget,
            turn: tokio::sync::Mutex::default(),
            breaker: Mutex::default(),
            silence: Mutex::default(),
            recovered: Notify::new(),
            meter: Meter::default(),
            seed: self.seed,
            requests: AtomicU64::new(0),
            subscribers: Subscribers::default(),
            told_low: AtomicBool::new(false),
        })
    }
}

#[async_trait]
impl QboClient for HttpQboClient {
    async fn fetch_page(&self, query: &Query) -> Result<RawPage, Error> {
        let question = Request {
            entity: query.entity(),
            call: Call::Query { text: &query.text(), include: query.included() },
            records: query.page_size().get(),
            retries: if query.is_probe() { MAX_RETRIES_WHOLE } else { MAX_RETRIES },
        };
        self.ask(&question, |received, is_repeated| {
            let page = match RawPage::answering(received.body.clone(), query) {
                // Malformed the same way each time: then the record itself is malformed.
                Err(SplitError::Malformed) if is_repeated => {
                    RawPage::around_malformed(received.body.clone(), query)?
                }
                page => page?,
            };
            Ok(page.or_answered_at(received.date))
        })
        .await
    }

    async fn count(&self, query: &Query) -> Result<u64, Error> {
        let text = query.count_text();
        // A count holds no fields.
        let call = Call::Query { text: &text, include: None };
        let question = Request::without_records(query.entity(), call);
        self.ask(&question, |received, _| total_count(&received.body)).await
    }

    async fn deleted_since(&self, entity: &EntityName, since: OffsetDateTime) -> Result<Deletions, Error> {
        let question = Request::without_records(entity, Call::Changes { entity, since });
        self.ask(&question, |received, _| Deletions::read(&received.body)).await
    }

    async fn fetch_report(&self, request: &ReportRequest) -> Result<Report, Error> {
        let entity = request.name().entity();
        let question = Request {
            entity: &entity,
            call: Call::Report(request),
            // A report of several days that takes too long is requested in parts, as a page of several records is.
            records: request.days().try_into().unwrap_or(u16::MAX),
            retries: MAX_RETRIES,
        };
        self.ask(&question, |received, _| Report::read(received.body.clone(), request)).await
    }

    fn usage(&self) -> Usage {
        self.meter.usage()
    }

    fn subscribe(&self) -> UnboundedReceiver<ClientEvent> {
        self.subscribers.add()
    }
}

/// One request, however often it is sent.
struct Request<'a> {
    entity: &'a EntityName,
    call: Call<'a>,
    /// Number of records requested, or of days of a report: how far the request can be divided. 0 if it cannot.
    records: u16,
    /// How often the request is repeated after a failure.
    retries: u32,
}

impl<'a> Request<'a> {
    fn without_records(entity: &'a EntityName, call: Call<'a>) -> Self {
        Self { entity, call, records: 0, retries: MAX_RETRIES }
    }
}

/// How one attempt ended, once the answer is understood.
struct Attempt<T> {
    verdict: Result<T, Verdict>,
    intuit_tid: Option<Box<str>>,
    status: u16,
    /// Title of the web page that came in place of an answer.
    title: PageTitle,
}

impl<T> Attempt<T> {
    /// An attempt that brought no answer.
    fn lost(verdict: Verdict) -> Self {
        Self { verdict: Err(verdict), intuit_tid: None, status: 0, title: PageTitle::default() }
    }
}

/// How often one request was sent, and why it was repeated.
#[derive(Default)]
struct Tries {
    attempts: u32,
    refusals: u32,
    reauthenticated: bool,
}

impl HttpQboClient {
    async fn ask<T>(
        &self,
        question: &Request<'_>,
        read: impl Fn(&Received, bool) -> Result<T, SplitError>,
    ) -> Result<T, Error> {
        let entity = question.entity;
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        let mut backoff = Backoff::new(self.seed ^ request.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut tries = Tries::default();
        loop {
            let is_repeated = tries.attempts - tries.refusals >= MAX_RETRIES_WHOLE;
            let read = |received: &Received| read(received, is_repeated);
            let attempt = self.attempt(question.call, tries.attempts > 0, read).await;
            tries.attempts += 1;
            let (step, tid) = match attempt {
                Err(kind) => (Step::GiveUp(kind), None),
                Ok(mut attempt) => {
                    let tid = attempt.intuit_tid.take();
                    (self.next_step(question, attempt, &mut tries).await, tid)
                }
            };
            let kind = match step {
                Step::Done(value) => return Ok(value),
                Step::Again(cause) => {
                    let attempt = tries.attempts;
                    self.subscribers.send(&ClientEvent::Retrying { entity: entity.clone(), attempt, cause });
                    // Throttling has paused the shared budget already.
                    if cause != Cause::Throttled {
                        self.wait(backoff.next().unwrap_or_default(), WaitReason::Backoff).await;
                    }
                    continue;
                }
                Step::AtOnce => continue,
                Step::GiveUp(kind) => kind,
            };
            return Err(Error { entity: entity.clone(), intuit_tid: tid, attempts: tries.attempts, kind });
        }
    }

    /// One attempt, from admission to a verdict.
    async fn attempt<T>(
        &self,
        call: Call<'_>,
        repeated: bool,
        read: impl Fn(&Received) -> Result<T, SplitError>,
    ) -> Result<Attempt<T>, ErrorKind> {
        let (permit, token) = match self.permit_and_token().await {
            Ok(both) => both,
            Err(ErrorKind::Auth(error)) => {
                let verdict = throttled_tokens(&error).ok_or(ErrorKind::Auth(error))?;
                return Ok(Attempt::lost(verdict));
            }
            Err(kind) => return Err(kind),
        };
        self.meter.call(repeated);
        let sent = self.clock.elapsed();
        let received = match self.transport.send(call, &token).await {
            Ok(received) => {
                self.silence().answered(self.clock.elapsed());
                received
            }
            Err(lost) => {
                match lost {
                    TransportError::Connection | TransportError::Insecure(_) => {
                        permit.conclude(CallEnd::Failed).await;
                    }
                    // The server may still work on it, or has served it: the permit is returned as abandoned.
                    TransportError::Timeout | TransportError::TooLarge => drop(permit),
                }
                let verdict = match lost {
                    TransportError::Connection | TransportError::Timeout => {
                        let silent = self.silence().unanswered(sent, self.clock.elapsed());
                        let is_over = silent >= MOST_SILENCE;
                        if is_over { Verdict::Final(ErrorKind::Unanswered { silent }) } else { lost.into() }
                    }
                    TransportError::Insecure(_) | TransportError::TooLarge => lost.into(),
                };
                return Ok(Attempt::lost(verdict));
            }
        };
        self.meter.received(received.body.len());
        let verdict = judge(&received, self.clock.now_utc(), read);
        permit.conclude(if verdict.is_ok() { CallEnd::Served } else { CallEnd::Failed }).await;
        if matches!(verdict, Err(Verdict::Reauthenticate)) {
            self.tokens.invalidate(&token).await;
        }
        let title = match verdict {
            Err(Verdict::Retry(Cause::Html)) => PageTitle::of(&received.body).unwrap_or_default(),
            _ => PageTitle::default(),
        };
        Ok(Attempt { verdict, intuit_tid: received.intuit_tid, status: received.status, title })
    }

    /// A permit that is still valid, and a token to use it with.
    async fn permit_and_token(&self) -> Result<(Box<dyn CallPermit>, AccessToken), ErrorKind> {
        loop {
            // The permit first: a token service that throttles is left alone just as the company is.
            let mut permit = self.admitted().await?;
            match self.tokens.access_token().await {
                Ok(token) if permit.leave() => return Ok((permit, token)),
                // The refresh took too long for this permit; the token is available now.
                Ok(_) => permit.conclude(CallEnd::Unsent).await,
                Err(error) => {
                    permit.conclude(CallEnd::Unsent).await;
                    return Err(ErrorKind::Auth(error));
                }
            }
        }
    }

    /// Reports to breaker and budget, and turns a verdict into the loop's next step.
    async fn next_step<T>(&self, question: &Request<'_>, attempt: Attempt<T>, tries: &mut Tries) -> Step<T> {
        let Attempt { verdict, status, title, .. } = attempt;
        let failures = tries.attempts - tries.refusals;
        let changed = match &verdict {
            Err(Verdict::Retry(_) | Verdict::Final(ErrorKind::Unanswered { .. })) => {
                self.breaker().failed(self.clock.elapsed())
            }
            // The token service may have sent it, which says nothing about the API.
            Err(Verdict::Throttled(_)) => None,
            _ => self.breaker().succeeded(),
        };
        if let Some(state) = changed {
            if state == BreakerState::Closed {
                self.recovered.notify_one();
            }
            self.subscribers.send(&ClientEvent::Breaker(state));
            if state == BreakerState::Open {
                self.budget.failing(COOL_DOWN).await;
            }
        }
        let exhausted = |cause| ErrorKind::Exhausted { attempts: tries.attempts, cause };
        match verdict {
            Ok(value) => Step::Done(value),
            Err(Verdict::Retry(Cause::Timeout)) if question.records > 1 => {
                Step::GiveUp(ErrorKind::PageTooSlow)
            }
            Err(Verdict::Retry(Cause::Application))
                if question.records > 0 && failures > MAX_RETRIES_WHOLE =>
            {
                Step::GiveUp(ErrorKind::PoisonedPage { code: "10000".into() })
            }
            Err(Verdict::Retry(Cause::NoDestination)) if failures > MAX_RETRIES_UNROUTED => {
                Step::GiveUp(ErrorKind::Refused { why: Refusal::NoDestination, status })
            }
            Err(Verdict::Retry(Cause::Html))
                if failures > question.retries
                    || failures > MAX_RETRIES_BLOCKED && (400..500).contains(&status) =>
            {
                Step::GiveUp(ErrorKind::WebPage { status, title, attempts: tries.attempts })
            }
            Err(Verdict::Retry(cause)) if failures > question.retries => Step::GiveUp(exhausted(cause)),
            Err(Verdict::Retry(cause)) => Step::Again(cause),
            Err(Verdict::Throttled(pause)) => match self.pause_all(pause).await {
                Err(error) => Step::GiveUp(ErrorKind::Budget(error)),
                Ok(refused) if refused > LASTING => Step::GiveUp(ErrorKind::LastingRefusal { refused }),
                Ok(_) if tries.refusals >= MAX_REFUSALS => Step::GiveUp(exhausted(Cause::Throttled)),
                Ok(_) => {
                    tries.refusals += 1;
                    Step::Again(Cause::Throttled)
                }
            },
            Err(Verdict::Reauthenticate) if tries.reauthenticated => Step::GiveUp(ErrorKind::NeedsConsent),
            Err(Verdict::Reauthenticate) => {
                tries.reauthenticated = true;
                Step::AtOnce
            }
            Err(Verdict::Final(kind)) => Step::GiveUp(kind),
            Err(Verdict::Accept) => Step::GiveUp(ErrorKind::BadQuery { code: "".into() }),
        }
    }

    /// Holds back all who share the budget, even if the budget cannot be reached at once.
    async fn pause_all(&self, pause: Duration) -> Result<Duration, BudgetError> {
        let mut patience = self.patience();
        loop {
            match self.budget.throttled(pause).await {
                Ok(refused) => return Ok(refused),
                Err(error) => self.retry_budget(error, &mut patience).await?,
            }
        }
    }

    /// The waits for a budget that cannot be reached.
    fn patience(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        Backoff::new(self.seed).take(MAX_RETRIES as usize)
    }

    /// Waits before a budget is asked again, if that may help and a wait is left.
    async fn retry_budget(
        &self,
        error: BudgetError,
        patience: &mut (impl Iterator<Item = Duration> + Send),
    ) -> Result<(), BudgetError> {
        let may_pass = matches!(error, BudgetError::Unavailable { may_pass: true, .. });
        let Some(time) = patience.next().filter(|_| may_pass) else { return Err(error) };
        self.wait(time, WaitReason::Backoff).await;
        Ok(())
    }

    /// Waits until breaker and budget admit one request.
    async fn admitted(&self) -> Result<Box<dyn CallPermit>, ErrorKind> {
        let _turn = self.turn.lock().await;
        let mut patience = self.patience();
        loop {
            let now = self.clock.elapsed();
            let closed = self.breaker().would_admit(now);
            if let Err(until) = closed {
                tokio::select! {
                    biased;
                    () = self.wait(until.saturating_sub(now), WaitReason::Breaker) => {}
                    () = self.recovered.notified() => {}
                }
                continue;
            }
            match self.budget.admit().await {
                Ok(Admission::Go(permit)) => {
                    self.note_month(permit.month());
                    // A failure may have been reported meanwhile.
                    let closed = self.breaker().admit(self.clock.elapsed());
                    if closed.is_ok() {
                        return Ok(permit);
                    }
                    permit.conclude(CallEnd::Unsent).await;
                }
                Ok(Admission::Wait(time)) => self.wait(time, WaitReason::Limit).await,
                Err(error) => self.retry_budget(error, &mut patience).await.map_err(ErrorKind::Budget)?,
            }
        }
    }

    async fn wait(&self, time: Duration, reason: WaitReason) {
        if time >= WORTH_TELLING {
            self.subscribers.send(&ClientEvent::Waiting { reason, time });
        }
        let _waiting = self.meter.wait(&*self.clock);
        self.clock.sleep(time).await;
    }

    /// Reports once that the month's allowance runs low.
    fn note_month(&self, month: Option<MonthlyCalls>) {
        let Some(low) = month.filter(|month| month.is_low()) else { return };
        if !self.told_low.swap(true, Ordering::Relaxed) {
            let MonthlyCalls { used, allowance } = low;
            self.subscribers.send(&ClientEvent::AllowanceLow { used, allowance });
        }
    }

    fn silence(&self) -> MutexGuard<'_, Silence> {
        self.silence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What to do after one attempt at a request.
enum Step<T> {
    Done(T),
    /// As soon as the budget admits it.
    Again(Cause),
    /// With a new token.
    AtOnce,
    GiveUp(ErrorKind),
}

fn judge<T>(
    received: &Received,
    now: OffsetDateTime,
    read: impl Fn(&Received) -> Result<T, SplitError>,
) -> Result<T, Verdict> {
    let answer = Answer {
        status: received.status,
        retry_after: received.retry_after.as_deref(),
        now,
        body: &received.body,
    };
    match classify(&answer) {
        Verdict::Accept => {}
        other => return Err(other),
    }
    read(received).map_err(|problem| match problem {
        SplitError::Fault => Fault::find(&received.body)
            .map_or(Verdict::Retry(Cause::Garbled), |fault| by_fault(&answer, &fault)),
        SplitError::Malformed if is_web_page(&received.body) => {
            Fault::find(&received.body).map_or(Verdict::Retry(Cause::Html), |fault| by_fault(&answer, &fault))
        }
        SplitError::Contradiction => Verdict::Retry(Cause::Contradiction),
        _ => Verdict::Retry(Cause::Garbled),
    })
}

impl From<TransportError> for Verdict {
    fn from(lost: TransportError) -> Self {
        match lost {
            TransportError::Connection => Self::Retry(Cause::Connection),
            TransportError::Timeout => Self::Retry(Cause::Timeout),
            TransportError::Insecure(reason) => Self::Final(ErrorKind::Insecure(reason)),
            TransportError::TooLarge => {
                Self::Final(ErrorKind::BodyTooLarge { limit_mib: (LARGEST_BODY >> 20) as u64 })
            }
        }
    }
}

impl fmt::Debug for HttpQboClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpQboClient").field("usage", &self.usage()).finish_non_exhaustive()
    }
}
