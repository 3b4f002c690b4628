//! The sentence above the calendar, its next steps, and the years.

use backfill_core::catalog::pipeline_name;
use backfill_report::calendar::Mark;
use raw_store::{VerifyMethod, VerifyResult};

use crate::facts::{PipelineFacts, days, days_begun, least_calls};
use crate::pages::coverage::known::Coverage;
use crate::pages::coverage::known::MOST_FAILED;
use crate::pages::new::new_run;
use crate::pages::standing::pill;
use crate::pages::step::Step;
use crate::visit::CompanyVisit;

/// What stands above the calendar.
#[derive(Debug)]
pub(crate) struct Overview {
    pub(crate) name: String,
    pub(crate) pipeline: String,
    pub(crate) pill: &'static str,
    pub(crate) tone: &'static str,
    /// The range and the axis.
    pub(crate) range: String,
    /// How many days are read.
    pub(crate) read: String,
    /// What is confirmed, failed, not read and not confirmed.
    pub(crate) rest: String,
    pub(crate) steps: Vec<Step>,
    /// Links to the years, whether each is shown, and its sign.
    pub(crate) years: Vec<(String, i32, bool, &'static str)>,
    /// Links to the other axes, if there are any.
    pub(crate) axes: Vec<(String, &'static str, bool)>,
    /// The newest verifications.
    pub(crate) verified: Vec<(String, &'static str)>,
}

impl Overview {
    pub(crate) fn new(visit: &CompanyVisit, coverage: &Coverage) -> Self {
        let (words, language) = (visit.visit.words(), visit.visit.language());
        let entity = &coverage.entity;
        let mut overview = Self {
            name: language.entity(entity),
            pipeline: pipeline_name(entity),
            pill: words.today.empty,
            tone: "",
            range: (words.state.axis)(&coverage.axis).to_owned(),
            read: words.coverage.not_read.to_owned(),
            rest: String::new(),
            steps: Vec::new(),
            years: years(coverage),
            axes: axes(visit, coverage),
            verified: verified(visit, coverage),
        };
        let Some(facts) = &coverage.facts else { return overview };
        (overview.pill, overview.tone) = pill(visit, facts.standing());
        if let Some(span) = facts.span {
            let [from, to] = [span.start(), span.end()].map(backfill_report::instant::short);
            overview.range = format!("{from} {} {to}, {}", words.coverage.to, overview.range);
        }
        let number = |number| language.number(number);
        overview.read = (words.coverage.read_of)(&number(days(facts.read)), &number(days(facts.whole())));
        overview.rest = rest(visit, facts);
        overview.steps = steps(visit, coverage, facts);
        overview
    }
}

fn rest(visit: &CompanyVisit, facts: &PipelineFacts) -> String {
    let words = visit.visit.words();
    let mut parts = vec![(words.coverage.confirmed)(days(facts.confirmed))];
    let others = [
        (facts.failed, words.today.failed_days),
        (facts.unread(), words.today.unread_days),
        (facts.unconfirmed + facts.provisional, words.today.unconfirmed_days),
    ];
    let told = others.iter().filter(|(time, _)| !time.is_zero());
    parts.extend(told.map(|(time, words)| words(days_begun(*time))));
    format!("{}.", parts.join(", "))
}

fn steps(visit: &CompanyVisit, coverage: &Coverage, facts: &PipelineFacts) -> Vec<Step> {
    let w = &visit.visit.words().coverage;
    let (base, entity, axis) = (visit.base(), &coverage.entity, &coverage.axis);
    let new = |what, span| new_run(what, (entity, axis), span);
    let mut steps = Vec::new();
    let failed = days_begun(facts.failed);
    if failed > 0 {
        let price = least_calls(&visit.company.catalog, &coverage.failed);
        // The price of some of them is not the price.
        let at_once = price.filter(|_| coverage.failed.len() < MOST_FAILED as usize).and_then(|calls| {
            Step::read_now(visit, "failed", &coverage.failed, (w.read_again)(failed, calls))
        });
        let asks = || Step::act(visit, &new("failed", None), (w.read_again_plain)(failed));
        steps.push(at_once.unwrap_or_else(asks));
        let windows = u64::try_from(coverage.failed.len()).unwrap_or(u64::MAX);
        steps.push(Step::look(format!("{base}/windows?entity={entity}&state=failed"), (w.see)(windows)));
    }
    let open = new("open", facts.span);
    if !facts.unread().is_zero() {
        steps.push(Step::act(visit, &open, w.read_missing));
    } else if !facts.unconfirmed.is_zero() && !visit.visit.app.look_only {
        steps.push(Step::look(format!("{base}{open}"), (w.confirm)(days_begun(facts.unconfirmed))));
    }
    steps.push(Step::look(format!("{base}/windows?entity={entity}"), w.all_windows));
    steps.retain(|step| !(step.is_act && visit.visit.app.look_only));
    steps
}

fn years(coverage: &Coverage) -> Vec<(String, i32, bool, &'static str)> {
    let sign = |mark: Mark| match mark {
        Mark::Empty | Mark::Confirmed => "✓",
        mark => mark.sign(),
    };
    let axis = &coverage.axis;
    let link = |(year, mark): (&i32, &Mark)| {
        (format!("?by={axis}&year={year}"), *year, *year == coverage.year, sign(*mark))
    };
    coverage.years.iter().map(link).collect()
}

fn axes(visit: &CompanyVisit, coverage: &Coverage) -> Vec<(String, &'static str, bool)> {
    let words = visit.visit.words();
    if coverage.axes.len() < 2 {
        return Vec::new();
    }
    let link = |axis: &str| (format!("?by={axis}"), (words.state.axis)(axis), *axis == *coverage.axis);
    coverage.axes.iter().map(|axis| link(axis)).collect()
}

/// How each verification was made and when, and what it has shown.
fn verified(visit: &CompanyVisit, coverage: &Coverage) -> Vec<(String, &'static str)> {
    let w = &visit.visit.words().coverage;
    let told = coverage.verifications.iter().map(|one| {
        let how = match one.method {
            VerifyMethod::Count => w.verified_count,
            VerifyMethod::Compared => w.verified_records,
            VerifyMethod::Report => w.verified_report,
        };
        let found = match one.result {
            VerifyResult::Confirmed => w.found_confirmed,
            VerifyResult::Differs => w.found_differs,
            VerifyResult::Incomplete => w.found_incomplete,
        };
        ((w.verified)(how, &visit.when.ago(one.at, coverage.now)), found)
    });
    told.collect()
}
