//! The source: a company whose records change while they are read, that counts who calls it, and the way there from one process.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fastrand::Rng;
use fixtures::{Company, EntityKind, Hostile, Record, Shape};
use qbo_auth::AccessToken;
use qbo_client::{Call, Include, RatePolicy, Received, Transport, TransportError};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::process::Process;
use crate::profile::{Fault, OddTime, Profile};
use crate::reports;
use crate::tokens;
use crate::world::{BEGIN, World};

pub(crate) const ENTITY: &str = "Invoice";
pub(crate) const REALM: &str = "9130000000000001";

/// A custom field that only an answer with all of them holds.
const FURTHER_FIELD: &str = r#"{"DefinitionId":"4","Name":"Weight","Type":"NumberType","NumberValue":1.50}"#;

/// How long a copy lags behind at most; well below the margin that a window is closed with.
const LAG: Duration = Duration::from_secs(60);

/// What is still on its way when a pause begins: a permit may be five seconds old when its request leaves.
const ON_THE_WAY: Duration = Duration::from_secs(8);

pub(crate) struct Source {
    pub(crate) company: Company,
    ids: Vec<String>,
    next_id: u64,
    /// A copy that lags behind, and until when.
    lagging: Option<(Company, Duration)>,
    arrivals: VecDeque<Duration>,
    in_flight: u32,
    down_until: Duration,
    pauses: Vec<Pause>,
    requests: u64,
    pub(crate) odd: Option<OddRecord>,
}

/// A record that says another time than the source goes by.
pub(crate) struct OddRecord {
    pub(crate) id: String,
    pub(crate) sound: String,
    pub(crate) odd: String,
}

/// A pause that a process was told of.
struct Pause {
    told: Duration,
    until: Duration,
    process: Arc<Process>,
}

thread_local! {
    static EMPTY: Company = Company::generate(1, &Shape::empty().with_now(BEGIN));
}

/// From where to where is read.
pub(crate) fn span(profile: &Profile) -> (OffsetDateTime, OffsetDateTime) {
    let midnight = BEGIN.replace_time(time::Time::MIDNIGHT);
    let start = midnight - time::Duration::days(profile.days.into());
    let end = match profile.ends_in {
        Some(seconds) => BEGIN + time::Duration::seconds(seconds.into()),
        None if profile.to_now => midnight + time::Duration::days(2),
        None => midnight,
    };
    (start, end)
}

impl Source {
    pub(crate) fn new(profile: &Profile, rng: &mut Rng) -> Self {
        let mut company = EMPTY.with(Clone::clone);
        company.add_entity(ENTITY, EntityKind::Transaction);
        let (start, end) = span(profile);
        let from = (start - time::Duration::DAY).unix_timestamp();
        let to = end.min(BEGIN - time::Duration::HOUR).unix_timestamp();
        let at = |second| OffsetDateTime::from_unix_timestamp(second).unwrap();
        let crowd_at = at(rng.i64(start.unix_timestamp()..to));
        let mut source = Self {
            company,
            ids: Vec::new(),
            next_id: 1,
            lagging: None,
            arrivals: VecDeque::new(),
            in_flight: 0,
            down_until: Duration::ZERO,
            pauses: Vec::new(),
            requests: 0,
            odd: None,
        };
        for n in 0..profile.records + profile.crowd {
            let mut moment = at(rng.i64(from..to));
            if rng.u32(0..5) == 0 {
                moment = moment.replace_time(time::Time::MIDNIGHT);
            }
            if n >= profile.records {
                moment = crowd_at;
            }
            source.add(moment, [0, 8, 9][rng.usize(0..3)]);
        }
        for part in profile.refused() {
            source.company.refuse(ENTITY, part);
        }
        if profile.unstorable {
            source.add_unstorable(at(rng.i64(start.unix_timestamp()..to)));
            let poisoned = source.add(at(rng.i64(start.unix_timestamp()..to)), 0);
            source.company.poison(ENTITY, &poisoned);
            source.ids.pop();
        }
        if profile.odd != OddTime::None {
            source.add_odd(profile, rng, start..at(to));
        }
        source
    }

    fn add_odd(&mut self, profile: &Profile, rng: &mut Rng, within: std::ops::Range<OffsetDateTime>) {
        let any = |rng: &mut Rng| {
            let second = rng.i64(within.start.unix_timestamp()..within.end.unix_timestamp());
            OffsetDateTime::from_unix_timestamp(second).unwrap()
        };
        let true_time = any(rng);
        let id = self.add(true_time, 0);
        self.ids.pop();
        let mut plain = self.company.record(ENTITY, &id).expect("it was added").clone();
        plain.further_fields = None;
        self.company.insert(ENTITY, plain);
        let far = time::Duration::days(400);
        // One that passes would be kept as the newer version if its time could be believed.
        let said = match rng.u32(0..3) {
            0 => true_time - far,
            1 if profile.odd == OddTime::ForEver => any(rng),
            _ => true_time + far,
        };
        let sound = payload(&id, 0, true_time, "");
        let stamp = |at: OffsetDateTime| format!(r#""LastUpdatedTime":"{}""#, at.format(&Rfc3339).unwrap());
        let odd = sound.replace(&stamp(true_time), &stamp(said));
        self.odd = Some(OddRecord { id, sound, odd });
    }

    fn add(&mut self, at: OffsetDateTime, token: u64) -> String {
        let id = self.next_id.to_string();
        self.next_id += 1;
        let mut record = Record::from_payload(payload(&id, token, at, "")).expect("a sound record");
        record.further_fields = Some(FURTHER_FIELD.into());
        self.company.insert(ENTITY, record);
        self.ids.push(id.clone());
        id
    }

    fn add_unstorable(&mut self, at: OffsetDateTime) {
        let id = self.next_id.to_string();
        self.next_id += 1;
        let mut record = Record::from_payload(payload(&id, 0, at, "")).expect("a sound record");
        record.payload = payload(&id, 0, at, "\\u0000").into();
        record.hostile = Some(Hostile::NulEscape);
        self.company.insert(ENTITY, record);
    }

    fn tick(&mut self, now: OffsetDateTime) {
        let whole = now.replace_nanosecond(0).unwrap();
        if whole > self.company.now() {
            let by = whole - self.company.now();
            self.company.advance(by);
        }
    }

    /// People work.
    fn drift(&mut self, profile: &Profile, rng: &mut Rng, now: Duration) {
        let happens = |rng: &mut Rng, percent: u32| rng.u32(0..100) < percent;
        let any = |rng: &mut Rng, ids: &[String]| (!ids.is_empty()).then(|| rng.usize(0..ids.len()));
        for chance in [profile.edits, profile.edits.saturating_sub(100)] {
            if let (true, Some(n)) = (happens(rng, chance), any(rng, &self.ids)) {
                self.company.edit(ENTITY, &self.ids[n]);
                if profile.replicas && rng.bool() {
                    self.lagging = Some((self.company.clone(), now + LAG));
                    self.company.edit(ENTITY, &self.ids[n]);
                }
            }
        }
        if happens(rng, profile.inserts) {
            let at = self.company.now();
            self.add(at, 0);
        }
        if let (true, Some(n)) = (happens(rng, profile.deletes), any(rng, &self.ids)) {
            let id = self.ids.swap_remove(n);
            self.company.delete(ENTITY, &id);
        }
    }

    fn answer(
        &mut self,
        (statement, include): (&str, Option<Include>),
        profile: &Profile,
        rng: &mut Rng,
        now: Duration,
    ) -> (u16, Vec<u8>) {
        if !profile.sorts_ids && statement.contains("ORDERBY Id") {
            return (400, br#"{"Fault":{"Error":[{"Message":"Invalid query","Detail":"QueryValidationError: not sortable","code":"4001"}],"type":"ValidationFault"},"time":"2026-03-02T10:00:00Z"}"#.to_vec());
        }
        self.requests += 1;
        let include = include.map(Include::as_str);
        let shuffle = profile.shuffled.then_some(self.requests << 20);
        let lagging = self.lagging.as_ref().filter(|(_, until)| now < *until && rng.u32(0..3) == 0);
        let (status, body) = match lagging {
            Some((company, _)) => {
                let mut company = company.clone();
                let by = self.company.now() - company.now();
                company.advance(by);
                fixtures::answer(&company, statement, include, shuffle)
            }
            None => fixtures::answer(&self.company, statement, include, shuffle),
        };
        match &self.odd {
            Some(record) if profile.odd == OddTime::ForEver || rng.u32(0..3) == 0 => {
                let body = String::from_utf8(body).unwrap();
                (status, body.replace(&record.sound, &record.odd).into_bytes())
            }
            _ => (status, body),
        }
    }

    /// Whether it is the record that says another time.
    pub(crate) fn is_odd(&self, id: &str) -> bool {
        self.odd.as_ref().is_some_and(|odd| odd.id == id)
    }
}

/// Where the time of an answer stands, behind everything else.
fn time_of(body: &str) -> Option<usize> {
    body.rfind("\"time\":\"").map(|at| at + "\"time\":\"".len())
}

/// The answer without its records, which says nothing of them.
fn hollow(body: &[u8]) -> Vec<u8> {
    let body = std::str::from_utf8(body).unwrap();
    match time_of(body) {
        Some(at) if body.contains("QueryResponse") => {
            format!(r#"{{"QueryResponse":{{}},"time":"{}"#, &body[at..]).into_bytes()
        }
        _ => body.into(),
    }
}

/// The answer, given at another time as it says.
fn at_another_time(body: &[u8], time: OffsetDateTime) -> Vec<u8> {
    let body = std::str::from_utf8(body).unwrap();
    let Some(at) = time_of(body) else { return body.into() };
    let end = at + body[at..].find('"').unwrap_or(0);
    format!("{}{}{}", &body[..at], time.format(&Rfc3339).unwrap(), &body[end..]).into_bytes()
}

fn payload(id: &str, token: u64, at: OffsetDateTime, note: &str) -> String {
    let stamp = at.format(&Rfc3339).unwrap();
    format!(
        r#"{{"Id":"{id}","SyncToken":"{token}","MetaData":{{"CreateTime":"{stamp}","LastUpdatedTime":"{stamp}"}},"TxnDate":"2026-01-01","Realm":"{REALM}","PrivateNote":"{note}"}}"#
    )
}

/// The way to the source from one process.
pub(crate) struct Way {
    pub(crate) process: Arc<Process>,
    /// Whose records are asked for.
    pub(crate) realm: &'static str,
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Way")
    }
}

/// A call that the source is at work on.
struct InFlight(Arc<World>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.state().source.in_flight -= 1;
    }
}

impl Way {
    /// The call has arrived.
    fn arrive(&self, left: Duration) -> InFlight {
        let (process, world) = (&self.process, &self.process.world);
        let now = world.elapsed();
        let limits = [(1, world.profile.per_second), (60, world.profile.per_minute)];
        let mut wrong = Vec::new();
        let mut state = world.state();
        let source = &mut state.source;
        source.in_flight += 1;
        if source.in_flight > RatePolicy::QBO.in_flight {
            wrong.push(format!("{} calls under way", source.in_flight));
        }
        source.pauses.retain(|pause| now < pause.until);
        let ignored = source.pauses.iter().find(|pause| {
            now > pause.told + ON_THE_WAY
                && pause.process.is_undisturbed_since(pause.told)
                && process.is_undisturbed_since(pause.told)
        });
        if let Some(pause) = ignored {
            wrong.push(format!(
                "process {} calls in a pause that {} was told of",
                process.id, pause.process.id
            ));
        }
        // Frozen between the last look at its permit and the wire: nobody can help that.
        if process.is_undisturbed_since(left) {
            source.arrivals.push_front(now);
            source.arrivals.truncate(600);
            for (seconds, limit) in limits {
                let earlier = source.arrivals.get(limit as usize);
                if earlier.is_some_and(|at| *at + Duration::from_secs(seconds) > now) {
                    wrong.push(format!("more than {limit} calls in {seconds} s"));
                }
            }
        }
        drop(state);
        for how in wrong {
            world.breaks("I7", how);
        }
        InFlight(Arc::clone(world))
    }

    /// What change data capture says.
    fn changes(&self, entity: &str, since: OffsetDateTime) -> (u16, Option<String>, Vec<u8>) {
        let world = &self.process.world;
        let mut state = world.state();
        state.source.tick(world.now());
        let (status, body) = fixtures::changes(&state.source.company, entity, since);
        (status, None, body)
    }

    /// What is answered, or nothing.
    fn decide(&self, call: Call<'_>, token: &AccessToken) -> Option<(u16, Option<String>, Vec<u8>)> {
        let world = &self.process.world;
        let now = world.elapsed();
        let fails = |n: u64| match n {
            0 => Some((
                500,
                None,
                br#"{"Fault":{"Error":[{"Message":"m","Detail":"d","code":"10000"}],"type":"SystemFault"}}"#
                    .to_vec(),
            )),
            1 => Some((503, None, b"<html>maintenance</html>".to_vec())),
            2 => Some((504, None, Vec::new())),
            _ => None,
        };
        if world.meets(Fault::SourceDown) {
            let time = Duration::from_secs(world.random(20..400));
            world.state().source.down_until = now + time;
        }
        let is_down = {
            let state = world.state();
            !state.quiet && now < state.source.down_until
        };
        if is_down {
            return fails(1 + 2 * world.random(0..2));
        }
        if world.meets(Fault::Throttled) {
            let seconds = world.random(1..90).to_string();
            return Some((429, Some(seconds), Vec::new()));
        }
        if world.meets(Fault::TokenRejected) {
            world.state().tokens.reject(token);
        }
        if !world.state().tokens.accepts(token, now) {
            return Some((401, None, br#"{"fault":{"error":[{"message":"m","detail":"d","code":"3200"}],"type":"AUTHENTICATION"}}"#.to_vec()));
        }
        if world.meets(Fault::SourceFails) {
            return fails(world.random(0..4));
        }
        if world.meets(Fault::Inside) {
            return Some((200, None, br#"{"Fault":{"Error":[{"Message":"m","Detail":"d","code":"10000"}],"type":"SystemFault"},"time":"2026-03-02T10:00:00Z"}"#.to_vec()));
        }
        let (statement, include) = match call {
            Call::Query { text, include } => (text, include),
            Call::Changes { entity, since } => return Some(self.changes(entity.as_str(), since)),
            Call::Report(request) => return Some(reports::answer(world, request)),
        };
        let torn = world.meets(Fault::Torn);
        let mut state = world.state();
        let state = &mut *state;
        state.source.tick(world.now());
        let (status, mut body) =
            state.source.answer((statement, include), &world.profile, &mut state.rng, now);
        if self.realm != REALM {
            body = String::from_utf8(body).unwrap().replace(REALM, self.realm).into_bytes();
        }
        if !state.quiet {
            state.source.drift(&world.profile, &mut state.rng, now);
        }
        if !state.quiet
            && statement.starts_with("SELECT *")
            && state.rng.u32(0..10_000) < world.profile.hollow
        {
            body = hollow(&body);
        }
        if !state.quiet && world.profile.lies != 0 && state.rng.u32(0..3) == 0 {
            body = at_another_time(&body, world.now() + time::Duration::seconds(world.profile.lies));
        }
        if torn {
            body.truncate(state.rng.usize(0..body.len().max(1)));
        }
        Some((status, None, body))
    }
}

#[async_trait]
impl Transport for Way {
    async fn send<'a>(&self, call: Call<'a>, token: &AccessToken) -> Result<Received, TransportError> {
        let (process, world) = (&self.process, &self.process.world);
        let left = world.elapsed();
        let fate = process.enter("call").await.map_err(|_| TransportError::Connection)?;
        let flight = self.arrive(left);
        tokens::used(world, token);
        match call {
            Call::Query { text, include: Some(_) } => world.note(process.id, "asks for all", text),
            Call::Query { text, include: None } => world.note(process.id, "asks", text),
            _ => world.note(process.id, "asks for changes", ""),
        }
        let time = Duration::from_millis(world.random(1..400));
        tokio::time::sleep(time).await;
        let decided = self.decide(call, token);
        drop(flight);
        let Some((status, retry_after, body)) = decided else {
            let time = Duration::from_secs(world.random(1..130));
            process.disturb();
            tokio::time::sleep(time).await;
            process.alive().await;
            return Err(if time > Duration::from_secs(100) {
                TransportError::Timeout
            } else {
                TransportError::Connection
            });
        };
        let answered = world.elapsed();
        process.leave(fate).await.map_err(|_| TransportError::Connection)?;
        world.note(process.id, "is answered", &format!("{status}, {} bytes", body.len()));
        if status == 429 {
            let seconds = retry_after.as_deref().and_then(|text| text.parse().ok()).unwrap_or(60);
            let until = answered + Duration::from_secs(seconds);
            let pause = Pause { told: world.elapsed(), until, process: Arc::clone(process) };
            world.state().source.pauses.push(pause);
        }
        Ok(Received { status, retry_after, intuit_tid: None, date: None, body: body.into() })
    }
}
