//! The request loop against a real HTTP server on loopback, in a time that the tests own.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fixtures::{CallKind, Company, Fault, Rule, Sandbox, SandboxOptions, Shape};
use futures_util::future::join_all;
use qbo_auth::mock::MockTokenProvider;
use qbo_auth::{
    AccessToken, AuthError, Clock, Endpoints, Environment, ManualClock, StaticProvider, TokenError,
    TokenErrorKind, TokenProvider,
};
use qbo_client::mock::{MockCallBudget, MockCallPermit};
use qbo_client::{
    Admission, Advice, BreakerState, BudgetError, Call, CallBudget, CallEnd, CallPermit, Cause, ClientEvent,
    ErrorKind, HttpQboClient, HttpQboClientBuilder, Include, MonthlyCalls, PageSize, QboClient, Query,
    Received, Refusal, Transport, TransportError, WaitReason,
};
use time::macros::datetime;
use wiremock::matchers::{body_string, header, method, path, query_param};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

const PAGE: &str = r#"{"QueryResponse":{"Invoice":[{"Id":"1","TotalAmt":10.50}],"startPosition":1,"maxResults":1},"time":"2026-05-05T03:28:39.892-07:00"}"#;
const THROTTLED: &str = r#"<?xml version="1.0"?><IntuitResponse><Fault type="SERVICE"><Error code="3001"><Message>message=ThrottleExceeded; errorCode=003001; statusCode=429</Message></Error></Fault></IntuitResponse>"#;

/// Hands out `fake-token-N`, where N grows with every refusal.
#[derive(Debug, Default)]
struct CountingTokens(AtomicU32);

#[async_trait]
impl TokenProvider for CountingTokens {
    async fn access_token(&self) -> Result<AccessToken, AuthError> {
        Ok(AccessToken::new(format!("fake-token-{}", self.0.load(Ordering::SeqCst))))
    }

    async fn invalidate(&self, rejected: &AccessToken) {
        assert_eq!(rejected.expose(), format!("fake-token-{}", self.0.fetch_add(1, Ordering::SeqCst)));
    }
}

/// Answers in turn; the last answer is repeated.
struct Script {
    answers: Vec<ResponseTemplate>,
    asked: AtomicU32,
}

impl Respond for Script {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let n = self.asked.fetch_add(1, Ordering::SeqCst) as usize;
        self.answers[n.min(self.answers.len() - 1)].clone()
    }
}

/// Lets every request go, and notes when it did.
#[derive(Debug)]
struct Watching {
    clock: Arc<ManualClock>,
    went: Arc<Mutex<Vec<Duration>>>,
}

#[derive(Debug)]
struct Gone;

#[async_trait]
impl CallBudget for Watching {
    async fn admit(&self) -> Result<Admission, BudgetError> {
        self.went.lock().unwrap().push(self.clock.elapsed());
        Ok(Admission::Go(Box::new(Gone)))
    }

    async fn throttled(&self, _: Duration) -> Result<Duration, BudgetError> {
        Ok(Duration::ZERO)
    }
}

#[async_trait]
impl CallPermit for Gone {
    fn leave(&mut self) -> bool {
        true
    }

    async fn conclude(self: Box<Self>, end: CallEnd) {
        assert_ne!(end, CallEnd::Unsent);
    }
}

/// A budget of five calls a month, which lets every request go.
fn five_calls() -> MockCallBudget {
    let (mut budget, used) = (MockCallBudget::new(), AtomicU32::new(0));
    budget.expect_admit().returning(move || {
        let used = used.fetch_add(1, Ordering::SeqCst) + 1;
        let mut permit = MockCallPermit::new();
        permit.expect_month().returning(move || Some(MonthlyCalls { used: used.into(), allowance: 5 }));
        permit.expect_leave().returning(|| true);
        permit.expect_conclude().returning(|_| ());
        Ok(Admission::Go(Box::new(permit)))
    });
    budget
}

/// A token service that has had enough.
fn no_tokens() -> MockTokenProvider {
    let mut tokens = MockTokenProvider::new();
    let throttled = || TokenError::new(TokenErrorKind::Throttled { retry_after: None });
    tokens.expect_access_token().returning(move || Err(AuthError::Endpoint(throttled())));
    tokens
}

/// A budget that cannot be reached.
fn no_budget() -> MockCallBudget {
    let mut budget = MockCallBudget::new();
    let unreachable = || BudgetError::Unavailable { may_pass: true, source: "nobody is there".into() };
    budget.expect_admit().returning(move || Err(unreachable()));
    budget
}

struct Bench {
    server: MockServer,
    clock: Arc<ManualClock>,
    client: HttpQboClient,
    events: tokio::sync::mpsc::UnboundedReceiver<ClientEvent>,
}

async fn bench(answers: impl IntoIterator<Item = ResponseTemplate>) -> Bench {
    let server = MockServer::start().await;
    let script = Script { answers: answers.into_iter().collect(), asked: AtomicU32::new(0) };
    Mock::given(method("POST")).respond_with(script).mount(&server).await;
    let clock = Arc::new(ManualClock::auto(datetime!(2026-11-22 10:00 UTC)));
    let endpoints = Endpoints::of(Environment::Sandbox).with_api(&server.uri()).unwrap();
    let client = HttpQboClient::builder(
        "1234567890".parse().unwrap(),
        endpoints,
        Arc::new(CountingTokens::default()),
        clock.clone(),
    )
    .seed(1)
    .build()
    .unwrap();
    let events = client.subscribe();
    Bench { server, clock, client, events }
}

/// An emulated company, for many requests at once.
async fn sandbox() -> Sandbox {
    let company = Company::generate(3, &Shape::default().with_counts(5, 1, 1));
    Sandbox::start(company, SandboxOptions::default()).await.unwrap()
}

/// A client that the emulated company knows.
fn visitor(sandbox: &Sandbox, clock: Arc<ManualClock>) -> HttpQboClientBuilder {
    let endpoints = Endpoints::of(Environment::Sandbox).with_api(&sandbox.url()).unwrap();
    let tokens = Arc::new(StaticProvider::new(AccessToken::new(sandbox.access_token())));
    HttpQboClient::builder(sandbox.realm_id().parse().unwrap(), endpoints, tokens, clock)
}

fn answer(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body, "application/json;charset=utf-8")
}

fn invoices() -> Query {
    Query::select("Invoice".parse().unwrap()).page(1, PageSize::default())
}

#[tokio::test]
async fn a_question_is_a_post_of_its_text_with_version_token_and_compression() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v3/company/1234567890/query"))
        .and(query_param("minorversion", "75"))
        .and(header("content-type", "application/text"))
        .and(header("accept", "application/json"))
        .and(header("accept-encoding", "gzip"))
        .and(header("authorization", "Bearer fake-token-0"))
        .and(body_string("SELECT * FROM Invoice STARTPOSITION 1 MAXRESULTS 1000"))
        .respond_with(answer(200, PAGE))
        .expect(1)
        .mount(&server)
        .await;
    let endpoints = Endpoints::of(Environment::Sandbox).with_api(&server.uri()).unwrap();
    let clock = Arc::new(ManualClock::auto(datetime!(2026-11-22 10:00 UTC)));
    let tokens = Arc::new(CountingTokens::default());
    let client =
        HttpQboClient::builder("1234567890".parse().unwrap(), endpoints, tokens, clock).build().unwrap();
    let page = client.fetch_page(&invoices()).await.unwrap();
    assert_eq!(page.records().next().unwrap().bytes(), br#"{"Id":"1","TotalAmt":10.50}"#.as_slice());
    assert_eq!(client.usage().calls, 1);
}

#[tokio::test]
async fn all_custom_fields_are_asked_for_in_the_url_and_never_for_a_count() {
    let company = Company::generate(4711, &Shape::empty().with_counts(3, 2, 1).with_custom_fields());
    let expected: Vec<_> = company.records("Invoice").map(fixtures::Record::full_payload).collect();
    let sandbox = Sandbox::start(company, SandboxOptions::default()).await.unwrap();
    let clock = Arc::new(ManualClock::auto(datetime!(2026-11-22 10:00 UTC)));
    let client = visitor(&sandbox, clock).build().unwrap();
    let all = invoices().include(Include::AllCustomFields);
    let page = client.fetch_page(&all).await.unwrap();
    let records: Vec<_> = page.records().map(|record| record.bytes()).collect();
    assert!(records.len() == 3 && expected.iter().all(|payload| records.contains(payload)));
    assert_eq!(client.count(&all).await.unwrap(), 3);
    client.fetch_page(&invoices()).await.unwrap();
    let journal = sandbox.journal();
    let included: Vec<_> = journal.calls().iter().map(|call| call.include.as_deref()).collect();
    assert_eq!(included, [Some("enhancedAllCustomFields"), None, None]);
    assert!(journal.calls().iter().all(|call| call.minor_version.as_deref() == Some("75")));
}

#[tokio::test]
async fn a_429_pauses_for_as_long_as_it_says_or_a_minute() {
    let mut bench = bench([
        answer(429, THROTTLED).insert_header("Retry-After", "7"),
        answer(403, THROTTLED),
        answer(200, PAGE),
    ])
    .await;
    let began = bench.clock.elapsed();
    bench.client.fetch_page(&invoices()).await.unwrap();
    let waited = bench.clock.elapsed().checked_sub(began).unwrap();
    assert_eq!(waited.as_secs(), 67);
    assert_eq!(bench.client.usage().retries, 2);
    bench.events.close();
    let mut waits = Vec::new();
    while let Some(event) = bench.events.recv().await {
        if let ClientEvent::Waiting { reason, time } = event {
            waits.push((reason, time.as_secs_f64().round()));
        }
    }
    assert_eq!(waits, [(WaitReason::Limit, 7.0), (WaitReason::Limit, 60.0)]);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_and_a_second_refusal_needs_a_person() {
    let gateway = r#"{"fault":{"error":[{"message":"message=AuthenticationFailed; errorCode=003200; statusCode=401","detail":"Token expired","code":"3200"}],"type":"AUTHENTICATION"},"time":1601391072830}"#;
    let healed = bench([answer(401, gateway), answer(200, PAGE)]).await;
    healed.client.fetch_page(&invoices()).await.unwrap();
    let tokens = healed.server.received_requests().await.unwrap();
    let token = |n: usize| tokens[n].headers["authorization"].to_str().unwrap().to_owned();
    assert_eq!((token(0), token(1)), ("Bearer fake-token-0".into(), "Bearer fake-token-1".into()));

    let refused = bench([answer(401, gateway)]).await;
    let error = refused.client.fetch_page(&invoices()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::NeedsConsent));
    assert_eq!(refused.client.usage().calls, 2);
}

#[tokio::test]
async fn failures_are_repeated_five_times_and_then_given_up() {
    let bad = [
        (answer(500, ""), Cause::Server),
        (answer(200, ""), Cause::Garbled),
        (answer(200, "{}"), Cause::Garbled),
        (answer(200, &PAGE[..PAGE.len() / 2]), Cause::Garbled),
        (
            answer(400, "<html><p>message=No destination found; errorCode=007001; statusCode=400</p></html>"),
            Cause::Server,
        ),
        (answer(200, r#"{"QueryResponse":{"totalCount":2500},"time":"x"}"#), Cause::Contradiction),
        (answer(200, &PAGE.replace("\"maxResults\":1", "\"totalCount\":7")), Cause::Contradiction),
    ];
    for (template, expected) in bad {
        let bench = bench([template]).await;
        let error = bench.client.fetch_page(&invoices()).await.unwrap_err();
        assert_eq!(error.advice(), Advice::TryLater);
        assert!(
            matches!(error.kind, ErrorKind::Exhausted { attempts: 6, cause } if cause == expected),
            "{error}"
        );
        assert_eq!(bench.client.usage().calls, 6);
        assert!(bench.clock.elapsed() <= Duration::from_secs(1 + 2 + 4 + 8 + 16));
    }
}

#[tokio::test]
async fn a_web_page_is_named_and_blames_neither_token_nor_company_nor_query() {
    for (status, calls) in [(400, 3), (401, 3), (403, 3), (404, 3), (407, 3), (451, 3), (503, 6), (200, 6)] {
        let page = "<html><head><title>Blocked by\n<b>policy</b></title></head><body>canary</body></html>";
        // The tokens of this bench count how often one was given up.
        let bench = bench([answer(status, page)]).await;
        let error = bench.client.fetch_page(&invoices()).await.unwrap_err();
        assert_eq!(error.advice(), Advice::TryLater, "{error}");
        let said = error.to_string();
        assert!(said.contains("a web page came instead") && said.contains("\"Blocked by policy\""), "{said}");
        assert!(!said.contains("canary") && said.contains(&status.to_string()), "{said}");
        let asked = bench.server.received_requests().await.unwrap();
        assert_eq!(asked.len(), calls, "{status}");
        let tokens =
            asked.iter().map(|request| request.headers["authorization"].to_str().unwrap().to_owned());
        assert!(tokens.collect::<Vec<_>>().iter().all(|token| token == "Bearer fake-token-0"), "{status}");
    }
    let passing = bench([answer(403, "<html/>"), answer(200, PAGE)]).await;
    passing.client.fetch_page(&invoices()).await.unwrap();
}

#[tokio::test]
async fn a_company_that_no_server_is_found_for_is_refused_after_a_few_calls() {
    let fault = r#"{"Fault":{"Error":[{"Message":"No destination found for given partition key","code":"007001"}],"type":"SystemFault"}}"#;
    for status in [200, 400, 500] {
        let lasting = bench([answer(status, fault)]).await;
        let error = lasting.client.fetch_page(&invoices()).await.unwrap_err();
        assert_eq!(error.advice(), Advice::Refused, "{error}");
        assert!(error.to_string().contains("subscription has lapsed"), "{error}");
        assert_eq!(lasting.client.usage().calls, 3);
        let passing = bench([answer(status, fault), answer(200, PAGE)]).await;
        passing.client.fetch_page(&invoices()).await.unwrap();
    }
}

#[tokio::test]
async fn a_packed_body_is_read_however_its_header_is_spelled() {
    let pack = |text: &str| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut packed, text.as_bytes()).unwrap();
        packed.finish().unwrap()
    };
    let (one, other) = PAGE.split_at(40);
    let members = [pack(one), pack(other)].concat();
    for encoding in [Some("gzip"), Some("GZIP"), Some("x-gzip"), Some("X-GZip"), None] {
        for body in [pack(PAGE), members.clone()] {
            let mut template = ResponseTemplate::new(200).set_body_raw(body, "application/json");
            if let Some(encoding) = encoding {
                template = template.insert_header("Content-Encoding", encoding);
            }
            let bench = bench([template]).await;
            assert_eq!(bench.client.fetch_page(&invoices()).await.unwrap().len(), 1, "{encoding:?}");
        }
    }
    // A header that stayed on what a proxy has unpacked.
    let stale = answer(200, PAGE).insert_header("Content-Encoding", "gzip");
    assert_eq!(bench([stale]).await.client.fetch_page(&invoices()).await.unwrap().len(), 1);
    let bomb = ResponseTemplate::new(200)
        .set_body_raw(pack(&" ".repeat(65 << 20)), "application/json")
        .insert_header("Content-Encoding", "x-gzip");
    let error = bench([bomb]).await.client.fetch_page(&invoices()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::BodyTooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_page_that_takes_too_long_or_fails_for_one_record_is_to_be_asked_in_parts() {
    let xml = r#"<IntuitResponse><Fault type="SystemFault"><Error code="6002"/></Fault></IntuitResponse>"#;
    let fault = r#"{"Fault":{"Error":[{"code":"10000"}],"type":"SystemFault"}}"#;
    let inside = r#"{"QueryResponse":{"Fault":{"Error":[{"code":"10000"}]}},"time":"x"}"#;
    let poisoned = r#"{"Fault":{"Error":[{"code":"4002"}],"type":"ValidationFault"}}"#;
    for (template, calls) in [
        (answer(504, xml), 1),
        (answer(504, ""), 1),
        (answer(400, poisoned), 1),
        (answer(500, fault), 3),
        (answer(200, inside), 3),
    ] {
        let bench = bench([template]).await;
        let error = bench.client.fetch_page(&invoices()).await.unwrap_err();
        assert_eq!(error.advice(), Advice::AskFewer, "{error}");
        assert_eq!(bench.client.usage().calls, calls, "{error}");
    }
    // A single record cannot be divided: it is asked for as patiently as anything else.
    let bench = bench([answer(504, xml)]).await;
    let one = invoices().page(1, qbo_client::PageSize::new(1).unwrap());
    let error = bench.client.fetch_page(&one).await.unwrap_err();
    assert_eq!((error.advice(), bench.client.usage().calls), (Advice::TryLater, 6));
}

#[tokio::test]
async fn a_failure_that_passes_costs_one_repeat() {
    let bench = bench([answer(502, "<html/>"), answer(200, PAGE)]).await;
    assert_eq!(bench.client.fetch_page(&invoices()).await.unwrap().len(), 1);
    assert_eq!((bench.client.usage().calls, bench.client.usage().retries), (2, 1));
}

#[tokio::test]
async fn what_will_not_pass_is_not_repeated() {
    let cases = [
        (
            answer(
                400,
                r#"{"Fault":{"Error":[{"Message":"Invalid query","Detail":"QueryValidationError: invalid context declaration: Custmoer","code":"4001"}],"type":"ValidationFault"}}"#,
            ),
            Advice::GiveUp,
        ),
        (answer(403, r#"{"fault":{"error":[{"code":"3100"}],"type":"SERVICE"}}"#), Advice::Refused),
        (answer(302, "").insert_header("Location", "http://127.0.0.1:1/elsewhere"), Advice::Refused),
        (answer(404, ""), Advice::Refused),
    ];
    for (template, advice) in cases {
        let bench = bench([template]).await;
        let error = bench.client.fetch_page(&invoices()).await.unwrap_err();
        assert_eq!(error.advice(), advice, "{error}");
        assert_eq!(bench.client.usage().calls, 1);
    }
}

#[tokio::test]
async fn what_the_server_says_in_prose_never_reaches_an_error() {
    let leak = "customer-data-9f3a";
    let body = format!(
        r#"{{"Fault":{{"Error":[{{"Message":"{leak}","Detail":"{leak}","code":"4000"}}],"type":"{leak}"}}}}"#
    );
    let bench = bench([answer(400, &body).insert_header("intuit_tid", "1-5f-abc")]).await;
    let error = bench.client.fetch_page(&invoices()).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(leak));
    assert_eq!(error.intuit_tid.as_deref(), Some("1-5f-abc"));
    assert!(!matches!(error.kind, ErrorKind::Refused { why: Refusal::Application, .. }));
}

#[tokio::test]
async fn counting_asks_for_the_same_records_without_a_page() {
    let bench =
        bench([answer(200, r#"{"QueryResponse":{"totalCount":26},"time":"2026-05-05T03:28:39.892-07:00"}"#)])
            .await;
    assert_eq!(bench.client.count(&invoices()).await.unwrap(), 26);
    let asked = bench.server.received_requests().await.unwrap();
    assert_eq!(asked[0].body, b"SELECT COUNT(*) FROM Invoice");
}

#[tokio::test]
async fn a_broken_connection_is_a_failure_that_may_pass() {
    let bench = bench([answer(200, PAGE)]).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let endpoints = Endpoints::of(Environment::Sandbox).with_api(&format!("http://{address}")).unwrap();
    let tokens = Arc::new(CountingTokens::default());
    let client =
        HttpQboClient::builder("1".parse().unwrap(), endpoints, tokens, bench.clock).build().unwrap();
    let error = client.fetch_page(&invoices()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Exhausted { cause: Cause::Connection, .. }), "{error}");
}

/// Every request takes as long as one may, and nothing comes back.
#[derive(Debug)]
struct Silent(Arc<ManualClock>);

#[async_trait]
impl Transport for Silent {
    async fn send<'a>(&self, _: Call<'a>, _: &AccessToken) -> Result<Received, TransportError> {
        self.0.advance(Duration::from_secs(130));
        Err(TransportError::Timeout)
    }
}

/// However it is asked, and in however many parts: a caller that asks for ever smaller pages hears the same.
#[tokio::test]
async fn a_source_that_never_answers_is_given_up_in_minutes() {
    let clock = Arc::new(ManualClock::auto(datetime!(2026-11-22 10:00 UTC)));
    let client = HttpQboClient::builder(
        "1".parse().unwrap(),
        Endpoints::of(Environment::Sandbox),
        Arc::new(CountingTokens::default()),
        clock.clone(),
    );
    let client = client.transport(Arc::new(Silent(clock.clone()))).build().unwrap();
    let error = client.fetch_page(&invoices()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::PageTooSlow), "{error}");
    let error = client.fetch_page(&invoices()).await.unwrap_err();
    assert_eq!((error.advice(), error.kind.code()), (Advice::TryLater, "source.unanswered"));
    assert_eq!(error.kind.to_string(), "QuickBooks has not answered at all for 4 minutes");
    assert!(clock.elapsed() < Duration::from_mins(5), "{:?}", clock.elapsed());
    let error = client.count(&invoices()).await.unwrap_err();
    assert_eq!(error.kind.code(), "source.unanswered");
    assert_eq!(client.usage().calls, 3);
}

#[tokio::test]
async fn four_fifths_of_the_month_are_said_once_and_to_every_subscriber() {
    let sandbox = sandbox().await;
    let clock = Arc::new(ManualClock::auto(datetime!(2026-11-22 10:00 UTC)));
    let client = visitor(&sandbox, clock).budget(Arc::new(five_calls())).build().unwrap();
    let mut subscribers = [client.subscribe(), client.subscribe()];
    drop(client.subscribe());
    for call in 1..=5 {
        client.count(&invoices()).await.unwrap();
        for events in &mut subscribers {
            let low = ClientEvent::AllowanceLow { used: 4, allowance: 5 };
            assert_eq!(events.try_recv().ok(), (call == 4).then_some(low), "call {call}");
        }
    }
}

#[tokio::test]
async fn a_source_that_is_down_is_called_twice_a_minute_by_all_together_and_found_again_without_help() {
    let sandbox = sandbox().await;
    sandbox.faults().push(Rule::on(CallKind::Query, Fault::Html { status: 503 }).times(28));
    let clock = Arc::new(ManualClock::auto(datetime!(2026-11-22 10:00 UTC)));
    let went = Arc::new(Mutex::new(Vec::new()));
    let budget = Arc::new(Watching { clock: clock.clone(), went: went.clone() });
    let client = visitor(&sandbox, clock).budget(budget).build().unwrap();
    let mut events = client.subscribe();
    let query = invoices();
    for page in join_all((0..10).map(|_| client.fetch_page(&query))).await {
        page.unwrap();
    }
    let went = went.lock().unwrap().clone();
    // Eight failures in a row open the breaker; at most nine further requests were under way by then.
    for three in went[17..28].windows(3) {
        assert!(three[2].checked_sub(three[0]).unwrap() >= Duration::from_mins(1), "{went:?}");
    }
    assert_eq!(went.len(), 38, "one page each, and nothing more than the outage cost");
    events.close();
    let mut states = Vec::new();
    while let Some(event) = events.recv().await {
        if let ClientEvent::Breaker(state) = event {
            states.push(state);
        }
    }
    assert_eq!((states.first(), states.last()), (Some(&BreakerState::Open), Some(&BreakerState::Closed)));
}

#[tokio::test]
async fn one_fault_in_ten_costs_at_most_a_fifth_more_calls() {
    let sandbox = sandbox().await;
    sandbox.faults().random(7, 100, vec![Fault::Html { status: 503 }]);
    let clock = Arc::new(ManualClock::auto(datetime!(2026-11-22 10:00 UTC)));
    let client = visitor(&sandbox, clock).seed(7).build().unwrap();
    let query = invoices();
    for _ in 0..25 {
        for page in join_all((0..20).map(|_| client.fetch_page(&query))).await {
            page.unwrap();
        }
    }
    let usage = client.usage();
    assert!((500..=600).contains(&usage.calls), "{usage:?}");
}

#[tokio::test]
async fn refusals_that_last_are_taken_for_a_spent_allowance() {
    let bench = bench([answer(429, THROTTLED)]).await;
    let error = bench.client.fetch_page(&invoices()).await.unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::LastingRefusal { refused } if refused.as_secs() == 660),
        "{error}"
    );
    assert_eq!((error.advice(), error.attempts), (Advice::TryLater, 12));

    let endpoints = Endpoints::of(Environment::Sandbox).with_api(&bench.server.uri()).unwrap();
    let realm = "1234567890".parse().unwrap();
    let client =
        HttpQboClient::builder(realm, endpoints, Arc::new(no_tokens()), bench.clock).build().unwrap();
    let error = client.fetch_page(&invoices()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::LastingRefusal { .. }), "{error}");
    assert_eq!(client.usage().calls, 0);
}

#[tokio::test]
async fn a_success_in_between_makes_refusals_a_matter_of_speed() {
    let refused = || (0..9).map(|_| answer(429, THROTTLED)).chain([answer(200, PAGE)]);
    let bench = bench(refused().chain(refused())).await;
    for _ in 0..2 {
        bench.client.fetch_page(&invoices()).await.unwrap();
    }
    assert!(bench.clock.elapsed() > Duration::from_mins(18));
}

#[tokio::test]
async fn no_call_is_made_while_nobody_keeps_the_budget() {
    let bench = bench([answer(200, PAGE)]).await;
    let endpoints = Endpoints::of(Environment::Sandbox).with_api(&bench.server.uri()).unwrap();
    let tokens = Arc::new(CountingTokens::default());
    let builder =
        HttpQboClient::builder("1234567890".parse().unwrap(), endpoints, tokens, bench.clock.clone());
    let client = builder.budget(Arc::new(no_budget())).build().unwrap();
    let error = client.fetch_page(&invoices()).await.unwrap_err();
    assert_eq!(error.advice(), Advice::AskBudget);
    assert!(error.to_string().ends_with("could not be checked: nobody is there"), "{error}");
    assert!(bench.clock.elapsed() > Duration::ZERO, "it was asked for more than once");
    assert!(bench.server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_deleted_is_named_and_what_lies_too_far_back_is_refused() {
    let sandbox = sandbox().await;
    let (id, now) = sandbox.with_company(|company| {
        let id = company.ids("Invoice").pop_first().unwrap();
        assert!(company.delete("Invoice", &id));
        (id, company.now())
    });
    let client = visitor(&sandbox, Arc::new(ManualClock::auto(now))).build().unwrap();
    let entity = "Invoice".parse().unwrap();
    let found = client.deleted_since(&entity, now - time::Duration::days(29)).await.unwrap();
    let named: Vec<_> = found.deleted.iter().map(|one| &*one.id).collect();
    assert_eq!((named, found.complete), (vec![&*id], true));
    assert!(found.deleted[0].at.is_some_and(|at| (now - at).whole_seconds() < 2));

    let error = client.deleted_since(&entity, now - time::Duration::days(31)).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::BadQuery { .. }), "{error}");
    assert_eq!(sandbox.journal().count(CallKind::Cdc), 2);
}
