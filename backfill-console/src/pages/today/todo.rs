//! What a person has to do, each with the one next step.

use std::collections::BTreeMap;

use raw_store::{LogLine, Severity};
use time::Duration;

use crate::consents::ConsentStatus;
use crate::facts::{Due, days_begun, least_calls};
use crate::pages::new::new_run;
use crate::pages::step::Step;
use crate::pages::today::known::{FAILED, Today};
use crate::plain::Plain;
use crate::visit::CompanyVisit;

/// The end of a consent is told this long before.
const CONSENT_NEAR: Duration = Duration::days(30);

/// The most findings that are told one by one.
const FINDINGS: usize = 3;

/// Something that a person has to do.
#[derive(Debug)]
pub(crate) struct Todo {
    pub(crate) pill: String,
    pub(crate) tone: &'static str,
    pub(crate) text: String,
    /// The program's own sentence about it, in English.
    pub(crate) original: Option<Plain>,
    pub(crate) step: Option<Step>,
}

/// Lists what a person has to do, the most important first.
pub(crate) fn todo(visit: &CompanyVisit, today: &Today) -> Vec<Todo> {
    let mut all = failed(visit, today);
    all.extend(unread(visit, today));
    all.extend(worker(visit, today));
    all.extend(consent(visit, today));
    all.extend(quarantine(visit, today));
    all.extend(findings(visit, today));
    all
}

fn failed(visit: &CompanyVisit, today: &Today) -> Vec<Todo> {
    let (words, language) = (visit.visit.words(), visit.visit.language());
    let failing = today.pipelines.iter().filter(|facts| !facts.failed.is_zero());
    let told = failing.map(|facts| {
        let own =
            |line: &&LogLine| line.entity_name == facts.entity_name && line.time_axis == facts.time_axis;
        let lines: Vec<LogLine> = today.failed.iter().filter(own).cloned().collect();
        let price = least_calls(&visit.company.catalog, &lines);
        // The price of some of them is not the price.
        let at_once = price
            .filter(|_| today.failed.len() < FAILED as usize)
            .and_then(|calls| Step::read_now(visit, "failed", &lines, (words.today.read_again)(calls)));
        let pipeline = (&*facts.entity_name, &*facts.time_axis);
        let asks = || Step::act(visit, &new_run("failed", pipeline, None), words.today.read_again_plain);
        let reason = lines.iter().find_map(|line| line.error_message.as_deref());
        let code = lines.iter().find_map(|line| line.error_code.as_deref());
        let failed = (words.today.days_failed)(&language.entity_within(&facts.entity_name));
        let why = code.and_then(|code| language.reason(code));
        Todo {
            pill: (words.state.days)(days_begun(facts.failed)),
            tone: "bad",
            text: why.map_or_else(|| failed.clone(), |why| format!("{failed} {why}")),
            original: reason.map(Plain::new),
            step: offered(visit, at_once.unwrap_or_else(asks)),
        }
    });
    told.collect()
}

fn unread(visit: &CompanyVisit, today: &Today) -> Vec<Todo> {
    let (words, language) = (visit.visit.words(), visit.visit.language());
    let told = today.pipelines.iter().filter(|facts| !facts.missing().is_zero()).map(|facts| {
        let href = new_run("open", (&facts.entity_name, &facts.time_axis), facts.span);
        Todo {
            pill: (words.state.days)(days_begun(facts.missing())),
            tone: "warn",
            text: (words.today.days_unread)(&language.entity_within(&facts.entity_name)),
            original: None,
            step: offered(visit, Step::act(visit, &href, words.today.read_missing)),
        }
    });
    told.collect()
}

fn worker(visit: &CompanyVisit, today: &Today) -> Option<Todo> {
    let w = &visit.visit.words().today;
    let is_awaited = today.dues.iter().any(|due| !matches!(due, Due::Spent(_)));
    (is_awaited && !today.is_worked).then(|| Todo {
        pill: w.worker.to_owned(),
        tone: "bad",
        text: w.start_worker.to_owned(),
        original: None,
        step: None,
    })
}

fn consent(visit: &CompanyVisit, today: &Today) -> Option<Todo> {
    let words = visit.visit.words();
    let w = &words.today;
    let step = |text| offered(visit, Step::act(visit, "/company", text));
    match today.consent? {
        ConsentStatus::Missing => Some(Todo {
            pill: w.blocked.to_owned(),
            tone: "bad",
            text: w.no_consent.to_owned(),
            original: None,
            step: step(w.connect),
        }),
        ConsentStatus::Given { ends_unused_at, ends_at, .. } => {
            let end = [ends_unused_at, ends_at].into_iter().flatten().min()?;
            let left = end - today.now;
            (left < CONSENT_NEAR).then(|| Todo {
                pill: (words.state.days)(u64::try_from(left.whole_days()).unwrap_or_default()),
                tone: if left < Duration::days(7) { "bad" } else { "warn" },
                text: (w.consent_left)(&visit.when.day(end).to_string()),
                original: None,
                step: step(w.renew),
            })
        }
    }
}

fn quarantine(visit: &CompanyVisit, today: &Today) -> Option<Todo> {
    let (words, language) = (visit.visit.words(), visit.visit.language());
    let mut by_entity: BTreeMap<&str, u64> = BTreeMap::new();
    for one in &today.quarantine {
        *by_entity.entry(&one.entity_name).or_default() += 1;
    }
    let (first, _) = by_entity.first_key_value()?;
    let text = match by_entity.len() {
        1 => (words.today.quarantined)(&language.entity_within(first)),
        _ => words.today.quarantined_many.to_owned(),
    };
    Some(Todo {
        pill: (words.state.records)(by_entity.values().sum()),
        tone: "warn",
        text,
        original: None,
        step: Some(look(visit, "/quarantine")),
    })
}

fn findings(visit: &CompanyVisit, today: &Today) -> Vec<Todo> {
    let (words, language) = (visit.visit.words(), visit.visit.language());
    let told = today.findings.iter().take(FINDINGS).map(|one| {
        let is_error = one.finding.severity == Severity::Error;
        Todo {
            pill: if is_error { words.today.error } else { words.today.warning }.to_owned(),
            tone: if is_error { "bad" } else { "warn" },
            text: match language.finding(&one.finding.kind) {
                Some(about) => format!("{}: {about}.", language.entity(&one.entity_name)),
                None => format!("{}:", language.entity(&one.entity_name)),
            },
            original: Some(Plain::new(&one.finding.detail)),
            step: Some(look(visit, &format!("/pipelines/{}", one.entity_name))),
        }
    });
    told.collect()
}

/// A step that changes something; none where pages only show.
fn offered(visit: &CompanyVisit, step: Step) -> Option<Step> {
    (!visit.visit.app.look_only).then_some(step)
}

fn look(visit: &CompanyVisit, path: &str) -> Step {
    Step::look(format!("{}{path}", visit.base()), visit.visit.words().today.look)
}
