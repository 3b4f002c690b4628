//! What a form would arm, said before it is armed.

use backfill_report::instant::{short, utc};
use raw_store::{IfMissed, NewTrigger, TriggerName, WindowSelection};
use time::Duration;

use crate::pages::new::asked::Asked;
use crate::pages::new::known::Known;
use crate::pages::new::price::Price;
use crate::pages::new::triggers::is_same;
use crate::pages::new::typed::Typed;
use crate::visit::CompanyVisit;
use crate::when::Both;

/// Everything that a form comes to.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) asked: Asked,
    pub(super) name: TriggerName,
    pub(super) triggers: Vec<NewTrigger>,
    pub(super) price: Price,
    pub(super) known: Known,
}

/// One pipeline of the plan.
#[derive(Debug)]
pub(super) struct PipelineLine {
    pub(super) name: String,
    pub(super) windows: String,
    pub(super) done: String,
    pub(super) to_read: String,
    pub(super) scans: String,
}

/// The preview as it is shown.
#[derive(Debug)]
pub(super) struct Preview {
    pub(super) sentences: Vec<String>,
    pub(super) warnings: Vec<String>,
    pub(super) from: Both,
    pub(super) to: Both,
    pub(super) last_day: Option<String>,
    /// When the trigger fires, and how long that is from now; `None` for now.
    pub(super) fires: Option<(Both, String)>,
    pub(super) pipelines: Vec<PipelineLine>,
    /// A trigger that is armed for the same: its address and name.
    pub(super) armed: Option<(String, String)>,
    pub(super) command: Option<String>,
    pub(super) button: String,
    pub(super) made: String,
    pub(super) seen: String,
}

impl Preview {
    pub(super) fn new(visit: &CompanyVisit, typed: &Typed, ready: &Ready) -> Self {
        let Ready { asked, known, price, .. } = ready;
        let moment = |at| visit.when.moment(at, known.now);
        let is_same = |one: &&raw_store::Trigger| {
            let may_be = |new| is_same(one, new, asked.is_now);
            !one.state.is_spent() && ready.triggers.iter().any(may_be)
        };
        let armed = known.triggers.iter().find(is_same).map(|one| one.asked.name.to_string());
        let fires = (moment(asked.fire_at), visit.when.until(asked.fire_at, known.now));
        Self {
            sentences: sentences(visit, ready),
            warnings: warnings(visit, ready),
            from: moment(asked.span.start()),
            to: moment(asked.span.end()),
            last_day: last_day(visit, typed, asked),
            fires: (!asked.is_now).then_some(fires),
            pipelines: price.plan.pipelines.iter().map(|one| line(visit, one)).collect(),
            armed: armed.map(|name| (format!("{}/triggers/{name}", visit.base()), name)),
            command: command(visit, typed, asked),
            button: button(visit, ready),
            made: ready.name.to_string(),
            seen: typed.digest(),
        }
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn sentences(visit: &CompanyVisit, ready: &Ready) -> Vec<String> {
    let (w, language) = (&visit.visit.words().new, visit.visit.language());
    let Ready { price, known, .. } = ready;
    let done = price.windows - price.open;
    let mut all =
        vec![(w.windows)(number(price.windows), number(done), number(price.open), number(price.scans))];
    if price.open == 0 && price.uncounted > 0 {
        all.push((w.only_counted)(number(price.uncounted)));
    } else if price.open == 0 {
        all.push(w.nothing_to_read.to_owned());
    }
    all.push((w.calls)(price.calls()));
    if let Some(settling) = price.settling {
        all.push((w.settling)(number(settling.windows)));
    }
    if ready.triggers.len() > 1 {
        all.push((w.parts)(number(ready.triggers.len())));
    }
    if let Some(most) = visit.company.monthly_calls {
        let left = most.saturating_sub(known.budget.used);
        all.push((w.left)(&language.number(left), &language.number(most)));
    }
    all
}

fn warnings(visit: &CompanyVisit, ready: &Ready) -> Vec<String> {
    let (words, language) = (visit.visit.words(), visit.visit.language());
    let w = &words.new;
    let Ready { asked, price, known, .. } = ready;
    let mut all = Vec::new();
    if !asked.without.is_empty() {
        let names: Vec<_> =
            asked.without.iter().map(|spec| language.entity_within(spec.entity_name())).collect();
        all.push((w.without)(&names.join(", ")));
    }
    if let Some(second) = asked.twice {
        let first = visit.when.exact(asked.fire_at);
        let first =
            if first.second.is_empty() { first.first } else { format!("{} ({})", first.first, first.second) };
        all.push((words.time.twice)(&first, &utc(second)));
    }
    let left = visit.company.monthly_calls.map(|most| most.saturating_sub(known.budget.used));
    if left.is_some_and(|left| left < price.calls()) {
        all.push(w.not_enough.to_owned());
    }
    if !known.is_worked {
        all.push(w.no_worker.to_owned());
    }
    all
}

/// The last day of a range that ends with a day.
fn last_day(visit: &CompanyVisit, typed: &Typed, asked: &Asked) -> Option<String> {
    let end = asked.span.end();
    let day = if typed.days == "own" && asked.axis != backfill_core::Axis::TxnDate {
        let day = visit.when.day(end);
        (visit.when.midnight(day) == end).then(|| day.previous_day())?
    } else {
        (end.time() == time::Time::MIDNIGHT).then(|| (end - Duration::SECOND).date())
    };
    Some((visit.visit.words().new.last_day)(&visit.visit.language().day(day?)))
}

fn line(visit: &CompanyVisit, plan: &backfill_core::PipelinePlan) -> PipelineLine {
    let language = visit.visit.language();
    let text = |count| language.number(number(count));
    PipelineLine {
        name: language.entity(plan.spec.entity_name()),
        windows: text(plan.windows.len()),
        done: text(plan.completed),
        to_read: text(plan.windows.len() - plan.completed),
        scans: text(plan.scans.len()),
    }
}

/// What the button does.
fn button(visit: &CompanyVisit, ready: &Ready) -> String {
    let w = &visit.visit.words().new;
    let Ready { asked, price, known, triggers, .. } = ready;
    let (windows, calls) = (number(price.open), price.calls());
    if triggers.len() > 1 {
        return (w.arm_chain)(number(triggers.len()), calls);
    }
    if !asked.is_now {
        return (w.arm)(&visit.when.moment(asked.fire_at, known.now).first, calls);
    }
    match asked.selection {
        WindowSelection::Failed => (w.retry_now)(windows, calls),
        WindowSelection::Again => (w.again_now)(windows, calls),
        WindowSelection::Open if windows == 0 => (w.count_now)(calls),
        WindowSelection::Open => (w.read_now)(windows, calls),
    }
}

/// The command that arms the same, if a shell needs no quotes for its names.
fn command(visit: &CompanyVisit, typed: &Typed, asked: &Asked) -> Option<String> {
    let profile = &visit.company.profile;
    let is_plain = |name: &str| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    if !is_plain(profile) || !typed.pipelines.iter().all(|name| is_plain(name)) {
        return None;
    }
    let mut words = vec![
        format!("qbo-backfill --profile {profile} trigger add {}", typed.pipelines.join(",")),
        format!("--from {} --to {}", short(asked.span.start()), short(asked.span.end())),
        if asked.is_now { "--now".to_owned() } else { format!("--at {}", utc(asked.fire_at)) },
    ];
    words.extend((typed.by != "updated").then(|| format!("--by {}", asked.axis.as_str())));
    words.extend((typed.chunk != "day").then(|| format!("--chunk {}", asked.chunk)));
    let is_usual = asked.selection == WindowSelection::Open;
    words.extend((!is_usual).then(|| format!("--windows {}", asked.selection.as_str())));
    words.extend(asked.every.map(|every| format!("--every {every}")));
    words.extend((asked.if_missed == IfMissed::Skip).then(|| "--if-missed skip".to_owned()));
    words.extend(asked.name.as_ref().map(|name| format!("--name {name}")));
    Some(words.join(" "))
}
