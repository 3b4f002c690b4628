//! What a person can do next.

use raw_store::{LogLine, Window};

use crate::pages::new::new_run;
use crate::visit::CompanyVisit;

/// A link, or a button that arms a run at once.
#[derive(Debug)]
pub(crate) struct Step {
    /// Where the link leads, or the button's form goes.
    pub(crate) href: String,
    pub(crate) text: String,
    /// Whether it changes something: it then stands on a button.
    pub(crate) is_act: bool,
    /// Fields of the button's form. A step without fields is a link.
    pub(crate) fields: Vec<(String, String)>,
}

impl Step {
    /// A way to another page, which changes nothing.
    pub(crate) fn look(href: String, text: impl Into<String>) -> Self {
        Self { href, text: text.into(), is_act: false, fields: Vec::new() }
    }

    /// A way to a page, below the company's, on which something is changed.
    pub(crate) fn act(visit: &CompanyVisit, path: &str, text: impl Into<String>) -> Self {
        Self { is_act: true, ..Self::look(format!("{}{path}", visit.base()), text) }
    }

    /// A button that reads these windows of one pipeline now: `what` of them, within their span. Its price stands on it, so no preview
    /// comes between.
    ///
    /// The trigger's name follows from what was read last, so that a second press, or one by another person, finds the first's.
    pub(crate) fn read_now(
        visit: &CompanyVisit,
        what: &str,
        lines: &[LogLine],
        text: String,
    ) -> Option<Self> {
        let first = lines.first()?;
        let pipeline = (&*first.entity_name, &*first.time_axis);
        let start = lines.iter().map(|line| line.window.start()).min()?;
        let end = lines.iter().map(|line| line.window.end()).max()?;
        let path = new_run(what, pipeline, Some(Window::new(start, end).ok()?));
        let (path, query) = path.split_once('?')?;
        let fields = url::form_urlencoded::parse(query.as_bytes()).into_owned();
        let read_at = lines.iter().filter_map(|line| line.finished_at).max()?;
        let stamp: String =
            backfill_report::instant::utc(read_at).chars().filter(char::is_ascii_alphanumeric).collect();
        let begin = start.date();
        let entity: String = pipeline.0.chars().take(LONGEST).collect();
        let made = format!("qb_{entity}_backfill-{what}-{begin}-{stamp}");
        let more = [("when", "now".to_owned()), ("made", made)];
        let fields = fields.chain(more.map(|(name, value)| (name.to_owned(), value))).collect();
        Some(Self { fields, ..Self::act(visit, path, text) })
    }
}

/// The most characters of an entity's name in a trigger's, which has 80 at most.
const LONGEST: usize = 28;
