//! The sentence at the top of Today, and the run behind it.

use raw_store::RunRecord;
use time::Duration;

use crate::facts::{Blocked, Verdict, days_begun};
use crate::pages::today::known::Today;
use crate::visit::CompanyVisit;
use crate::when::Both;

/// The answer to "is everything there?".
#[derive(Debug)]
pub(crate) struct Sentence {
    pub(crate) pill: &'static str,
    /// `good`, `warn`, `bad`, `busy` or nothing.
    pub(crate) tone: &'static str,
    pub(crate) text: String,
    pub(crate) run: Option<LastRun>,
}

/// The newest run that has ended.
#[derive(Debug)]
pub(crate) struct LastRun {
    pub(crate) id: String,
    pub(crate) from: Both,
    pub(crate) to: Both,
    /// Windows, records and calls.
    pub(crate) numbers: String,
}

impl Sentence {
    pub(crate) fn new(visit: &CompanyVisit, today: &Today) -> Self {
        let w = &visit.visit.words().today;
        let after_run = |rest: &str| format!("{} {rest}", ended(visit, today));
        let (pill, tone, text) = match &today.verdict {
            Verdict::Blocked(blocked) => (w.blocked, "bad", self::blocked(visit, today, *blocked)),
            Verdict::Incomplete(missing) => (w.incomplete, "bad", after_run(&(w.missing)(missing))),
            Verdict::Working => (w.working, "busy", w.is_working.to_owned()),
            Verdict::Open(points) => (w.to_check, "bad", after_run(&(w.open_points)(*points))),
            Verdict::Provisional(time) => {
                (w.provisional, "warn", after_run(&(w.read_again_later)(days_begun(*time))))
            }
            Verdict::Unconfirmed(time) => (w.complete, "warn", after_run(&(w.all_but)(days_begun(*time)))),
            Verdict::Complete => (w.confirmed, "good", after_run(w.all_there)),
            Verdict::Nothing => (w.empty, "", w.nothing.to_owned()),
        };
        let run = today.last_ended().and_then(|run| LastRun::new(visit, today, run));
        Self { pill, tone, text, run }
    }
}

fn blocked(visit: &CompanyVisit, today: &Today, blocked: Blocked) -> String {
    let w = &visit.visit.words().today;
    match blocked {
        Blocked::NoConsent => w.no_consent.to_owned(),
        Blocked::ConsentEnded => w.consent_ended.to_owned(),
        Blocked::UsedUp(until) => (w.used_up)(&visit.when.moment(until, today.now).first),
        Blocked::NoWorker => w.no_worker.to_owned(),
    }
}

/// The beginning of a sentence: when the last run ended.
fn ended(visit: &CompanyVisit, today: &Today) -> String {
    let w = &visit.visit.words().today;
    let Some(end) = today.last_ended().and_then(|run| run.finished_at) else { return w.no_run.to_owned() };
    let day = visit.when.day(end);
    if day != visit.when.day(today.now) {
        return (w.ended_on)(&visit.visit.language().day(day));
    }
    let time = visit.when.clock(end);
    let is_night = end - visit.when.midnight(day) < Duration::hours(6);
    if is_night && today.now - end > Duration::hours(3) {
        (w.ended_tonight)(&time)
    } else {
        (w.ended_today)(&time)
    }
}

impl LastRun {
    fn new(visit: &CompanyVisit, today: &Today, run: &RunRecord) -> Option<Self> {
        let words = visit.visit.words();
        let (opened, closed, records) =
            run.pipelines.iter().fold((0, 0, 0), |(opened, closed, records), one| {
                let done = one.windows_completed + one.windows_provisional + one.windows_unavailable;
                (opened + one.windows_opened, closed + done, records + one.counts.read())
            });
        Some(Self {
            id: run.id.to_string(),
            from: visit.when.moment(run.started_at, today.now),
            to: visit.when.moment(run.finished_at?, today.now),
            numbers: format!(
                "{}, {}, {}.",
                (words.today.windows_of)(closed, opened),
                (words.state.records)(records),
                (words.state.calls)(run.calls)
            ),
        })
    }
}
