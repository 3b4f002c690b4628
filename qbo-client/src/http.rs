//! The one request loop: admit → token → send → classify → accept, wait or give up.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use qbo_auth::{Clock, Endpoints, RealmId, TokenProvider};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;

use crate::classify::by_fault;
use crate::split::total_count;
use crate::transport::{LARGEST_BODY, Lost, Received, Transport};
use crate::{
    Answer, Backoff, Breaker, Cause, EntityName, Error, ErrorKind, Fault, Limits, Meter, QboClient, Query,
    RawPage, Signal, SplitError, Throttle, Ticket, Usage, Verdict, WaitReason, classify,
};

/// Requests of one company that may be under way at the same time (Intuit's blog of 2016 and most clients).
const IN_FLIGHT: usize = 10;

/// How often one request is repeated before it is given up.
const MAX_RETRIES: u32 = 5;

/// How often a page is repeated that fails with code 10000, before it is asked for in parts.
const MAX_RETRIES_WHOLE: u32 = 2;

/// Waits shorter than this are not worth telling.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// [`QboClient`] over HTTPS.
pub struct HttpQboClient {
    transport: Transport,
    tokens: Arc<dyn TokenProvider>,
    clock: Arc<dyn Clock>,
    in_flight: Semaphore,
    gate: Mutex<Gate>,
    meter: Meter,
    seed: u64,
    requests: AtomicU64,
    signals: Option<UnboundedSender<Signal>>,
}

/// The machines that decide when a request may go, behind one lock that is never held while waiting.
#[derive(Debug)]
struct Gate {
    throttle: Throttle,
    breaker: Breaker,
}

/// Builds an [`HttpQboClient`].
#[derive(Debug)]
#[must_use]
pub struct HttpQboClientBuilder {
    realm: RealmId,
    endpoints: Endpoints,
    tokens: Arc<dyn TokenProvider>,
    clock: Arc<dyn Clock>,
    limits: Option<Limits>,
    seed: u64,
    signals: Option<UnboundedSender<Signal>>,
}

/// The HTTP client could not be set up, for example without any root certificate.
#[derive(Debug, thiserror::Error)]
#[error("the HTTPS client cannot be set up")]
pub struct BuildError(#[source] reqwest::Error);

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
            limits: Some(Limits::QBO),
            seed: 0,
            signals: None,
        }
    }
}

impl HttpQboClientBuilder {
    /// Sets the call limits; default [`Limits::QBO`]. `None` only makes sense for an emulator.
    pub fn limits(mut self, limits: Option<Limits>) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the seed of the back-off's jitter; default 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Tells waits, repeats and the breaker's changes through a channel.
    pub fn signals(mut self, signals: UnboundedSender<Signal>) -> Self {
        self.signals = Some(signals);
        self
    }

    /// Builds the client. No request is made.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if TLS cannot be set up.
    pub fn build(self) -> Result<HttpQboClient, BuildError> {
        let base = self.endpoints.api();
        let url = format!("{}/v3/company/{}/query", base.trim_end_matches('/'), self.realm);
        let secure = !base.starts_with("http://");
        Ok(HttpQboClient {
            transport: Transport::new(url, secure, IN_FLIGHT).map_err(BuildError)?,
            tokens: self.tokens,
            clock: self.clock,
            in_flight: Semaphore::new(IN_FLIGHT),
            gate: Mutex::new(Gate { throttle: Throttle::new(self.limits), breaker: Breaker::default() }),
            meter: Meter::default(),
            seed: self.seed,
            requests: AtomicU64::new(0),
            signals: self.signals,
        })
    }
}

#[async_trait]
impl QboClient for HttpQboClient {
    async fn fetch_page(&self, query: &Query) -> Result<RawPage, Error> {
        let question =
            Question { entity: query.entity(), text: &query.text(), records: query.page_size().get() };
        self.ask(&question, |received| {
            let page = RawPage::answering(received.body.clone(), query)?;
            Ok(page.or_answered_at(received.date))
        })
        .await
    }

    async fn count(&self, query: &Query) -> Result<u64, Error> {
        let question = Question { entity: query.entity(), text: &query.count_text(), records: 0 };
        self.ask(&question, |received| total_count(&received.body)).await
    }

    fn usage(&self) -> Usage {
        self.meter.usage()
    }
}

/// One question, as often as it is sent.
struct Question<'a> {
    entity: &'a EntityName,
    text: &'a str,
    /// How many records it asks for; none if it counts.
    records: u16,
}

/// How one attempt ended, once the answer is understood.
struct Attempt<T> {
    verdict: Result<T, Verdict>,
    intuit_tid: Option<Box<str>>,
}

impl HttpQboClient {
    async fn ask<T>(
        &self,
        question: &Question<'_>,
        read: impl Fn(&Received) -> Result<T, SplitError>,
    ) -> Result<T, Error> {
        let entity = question.entity;
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        let mut backoff = Backoff::new(self.seed ^ request.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut attempts = 0;
        let mut reauthenticated = false;
        loop {
            let attempt = self.attempt(question.text, attempts > 0, &read).await;
            attempts += 1;
            let (kind, tid) = match attempt {
                Err(auth) => (ErrorKind::Auth(auth), None),
                Ok(Attempt { verdict, intuit_tid }) => {
                    match self.weigh(question, verdict, attempts, &mut reauthenticated) {
                        Step::Done(value) => return Ok(value),
                        Step::Again(cause) => {
                            self.tell(Signal::Retrying { entity: entity.clone(), attempt: attempts, cause });
                            // Throttling has paused the gate already, for everybody.
                            if cause != Cause::Throttled {
                                self.wait(backoff.next().unwrap_or_default(), WaitReason::Backoff).await;
                            }
                            continue;
                        }
                        Step::AtOnce => continue,
                        Step::GiveUp(kind) => (kind, intuit_tid),
                    }
                }
            };
            return Err(Error { entity: entity.clone(), intuit_tid: tid, attempts, kind });
        }
    }

    /// One attempt, from admission to a verdict.
    async fn attempt<T>(
        &self,
        text: &str,
        repeated: bool,
        read: impl Fn(&Received) -> Result<T, SplitError>,
    ) -> Result<Attempt<T>, qbo_auth::AuthError> {
        let _place = self.in_flight.acquire().await;
        let ticket = self.admitted().await;
        let token = self.tokens.access_token().await?;
        self.gate().throttle.sent(ticket, self.clock.elapsed());
        self.meter.call(repeated);
        let received = self.transport.query(text, &token).await;
        let now = self.clock.elapsed();
        self.gate().throttle.answered(ticket, now);
        let received = match received {
            Ok(received) => received,
            Err(lost) => {
                return Ok(Attempt { verdict: Err(lost.into()), intuit_tid: None });
            }
        };
        self.meter.received(received.body.len());
        let verdict = judge(&received, self.clock.now_utc(), read);
        if matches!(verdict, Err(Verdict::Reauthenticate)) {
            self.tokens.invalidate(&token).await;
        }
        Ok(Attempt { verdict, intuit_tid: received.intuit_tid })
    }

    /// Keeps the machines informed, and turns a verdict into the loop's next step.
    fn weigh<T>(
        &self,
        question: &Question<'_>,
        verdict: Result<T, Verdict>,
        attempts: u32,
        reauthenticated: &mut bool,
    ) -> Step<T> {
        let now = self.clock.elapsed();
        let changed = match &verdict {
            Err(Verdict::Retry(_)) => self.gate().breaker.failed(now),
            _ => self.gate().breaker.succeeded(),
        };
        if let Some(state) = changed {
            self.tell(Signal::Breaker(state));
        }
        let again = |cause| {
            if attempts > MAX_RETRIES {
                Step::GiveUp(ErrorKind::Exhausted { attempts, cause })
            } else {
                Step::Again(cause)
            }
        };
        match verdict {
            Ok(value) => Step::Done(value),
            Err(Verdict::Retry(Cause::Timeout)) if question.records > 1 => {
                Step::GiveUp(ErrorKind::PageTooSlow)
            }
            Err(Verdict::Retry(Cause::Application))
                if question.records > 0 && attempts > MAX_RETRIES_WHOLE =>
            {
                Step::GiveUp(ErrorKind::PoisonedPage { code: "10000".into() })
            }
            Err(Verdict::Retry(cause)) => again(cause),
            Err(Verdict::Throttled(pause)) => {
                self.gate().throttle.pause_until(now + pause);
                again(Cause::Throttled)
            }
            Err(Verdict::Reauthenticate) if *reauthenticated => Step::GiveUp(ErrorKind::NeedsConsent),
            Err(Verdict::Reauthenticate) => {
                *reauthenticated = true;
                Step::AtOnce
            }
            Err(Verdict::Final(kind)) => Step::GiveUp(kind),
            Err(Verdict::Accept) => Step::GiveUp(ErrorKind::BadQuery { code: "".into() }),
        }
    }

    /// Waits until breaker and throttle let one request go.
    async fn admitted(&self) -> Ticket {
        loop {
            let now = self.clock.elapsed();
            let (until, reason) = {
                let mut gate = self.gate();
                // The throttle first: a probe that the breaker lets out must really go.
                let closed = gate.breaker.state() == crate::BreakerState::Closed;
                match gate.throttle.admit(now) {
                    Err(until) => (until, WaitReason::Limit),
                    Ok(ticket) if closed => return ticket,
                    Ok(ticket) => match gate.breaker.admit(now) {
                        Ok(()) => return ticket,
                        Err(until) => (until, WaitReason::Breaker),
                    },
                }
            };
            self.wait(until.saturating_sub(now), reason).await;
        }
    }

    async fn wait(&self, time: Duration, reason: WaitReason) {
        if time >= WORTH_TELLING {
            self.tell(Signal::Waiting { reason, time });
        }
        self.meter.waited(time);
        self.clock.sleep(time).await;
    }

    fn tell(&self, signal: Signal) {
        if let Some(signals) = &self.signals {
            // A receiver that is gone wants no more news.
            let _ = signals.send(signal);
        }
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Step<T> {
    Done(T),
    /// After the gate lets it.
    Again(Cause),
    /// With a new token.
    AtOnce,
    GiveUp(ErrorKind),
}

fn judge<T>(
    received: &Received,
    now: time::OffsetDateTime,
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
        SplitError::Malformed if received.body.trim_ascii_start().first() == Some(&b'<') => {
            Fault::find(&received.body).map_or(Verdict::Retry(Cause::Html), |fault| by_fault(&answer, &fault))
        }
        _ => Verdict::Retry(Cause::Garbled),
    })
}

impl From<Lost> for Verdict {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Connection => Self::Retry(Cause::Connection),
            Lost::Timeout => Self::Retry(Cause::Timeout),
            Lost::Insecure(reason) => Self::Final(ErrorKind::Insecure(reason)),
            Lost::TooLarge => Self::Final(ErrorKind::BodyTooLarge { limit_mib: (LARGEST_BODY >> 20) as u64 }),
        }
    }
}

impl fmt::Debug for HttpQboClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpQboClient").field("usage", &self.usage()).finish_non_exhaustive()
    }
}
