//! The line that shows a run's progress on a terminal. It is never wider than the terminal, moves while the run waits, and
//! counts a wait down.

use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backfill_report::fold::fold;
use backfill_report::number::counted;
use backfill_report::style::{Style, paint};
use backfill_report::untrusted::Untrusted;
use backfill_report::width::columns;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike as _};

use crate::output::colour;
use crate::output::human_duration::human_duration;
use crate::output::screen::Screen;
use crate::output::screen_width;

/// The most frames per second.
const REDRAWN: u8 = 20;

/// Delay between two frames while nothing happens.
const TICK: Duration = Duration::from_millis(250);

/// The shortest wait that is worth a countdown.
const NOTEWORTHY: Duration = Duration::from_secs(1);

/// One line over all windows of a run.
#[derive(Debug)]
pub(super) struct Bar {
    bar: ProgressBar,
    facts: Arc<Mutex<Facts>>,
}

/// What the line says beside the number of windows.
#[derive(Debug, Default)]
struct Facts {
    rows: u64,
    calls: u64,
    wait: Option<Wait>,
}

/// What a run waits for, and until when, measured from the start of the line.
#[derive(Clone, Debug)]
struct Wait {
    what: String,
    until: Duration,
    /// Whether the run does nothing else, so that only the wait is shown.
    is_settling: bool,
}

/// What is shown at one moment.
#[derive(Debug)]
struct Moment {
    done: u64,
    all: u64,
    rows: u64,
    calls: u64,
    elapsed: Duration,
    left: Duration,
    wait: Option<Wait>,
}

impl Bar {
    /// Shows the line for so many windows.
    pub(super) fn start(windows: usize) -> Self {
        let facts: Arc<Mutex<Facts>> = Arc::default();
        let shown = Arc::clone(&facts);
        let line = move |state: &ProgressState, line: &mut dyn Write| {
            // The last column stays free: some terminals move the cursor to the next line behind it.
            let limit = usize::from(Screen::default().width()).saturating_sub("⠋ ".chars().count() + 1);
            let text = moment(state, &lock(&shown)).line(limit);
            // A line that cannot be written is not shown.
            let _ = write!(line, "{}", colour::of_stderr().apply(&text));
        };
        let template = format!("{} {{line}}", paint(Style::Good, "{spinner}"));
        let style = ProgressStyle::with_template(&colour::of_stderr().apply(&template));
        let style = style.expect("the template is a constant").with_key("line", line);
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(Screen::default()), REDRAWN);
        let bar = ProgressBar::with_draw_target(Some(windows as u64), target).with_style(style);
        bar.enable_steady_tick(TICK);
        Self { bar, facts }
    }

    /// Counts a committed page. The run waits for nothing any more.
    pub(super) fn committed(&self, rows: u64, calls: u64) {
        {
            let mut facts = lock(&self.facts);
            facts.rows += rows;
            facts.calls = calls;
            facts.wait = None;
        }
        self.bar.tick();
    }

    /// Counts a window.
    pub(super) fn window(&self) {
        let mut facts = lock(&self.facts);
        facts.wait = facts.wait.take().filter(|wait| !wait.is_settling);
        drop(facts);
        self.bar.inc(1);
    }

    /// Counts a wait down.
    pub(super) fn wait(&self, what: &str, time: Duration) {
        if time >= NOTEWORTHY {
            self.count_down(what.to_owned(), time, false);
        }
    }

    /// Counts the wait for windows that ended too near to now down. They are read once more after it.
    pub(super) fn settle(&self, windows: usize, time: Duration) {
        self.bar.set_position(self.bar.position().saturating_sub(windows as u64));
        self.count_down("settling".to_owned(), time, true);
    }

    fn count_down(&self, what: String, time: Duration, is_settling: bool) {
        let until = self.bar.elapsed() + time;
        lock(&self.facts).wait = Some(Wait { what, until, is_settling });
        self.bar.tick();
    }

    /// Writes a line above this one, in a style.
    pub(super) fn say(&self, style: Option<Style>, line: &str) {
        let line = Untrusted(line).to_string();
        let line = style.map_or_else(|| line.clone(), |style| paint(style, &line).to_string());
        self.bar.println(colour::of_stderr().apply(&fold(&line, screen_width::of_stderr())));
    }
}

impl Drop for Bar {
    /// Removes the line.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn lock(facts: &Mutex<Facts>) -> MutexGuard<'_, Facts> {
    facts.lock().unwrap_or_else(PoisonError::into_inner)
}

fn moment(state: &ProgressState, facts: &Facts) -> Moment {
    let elapsed = state.elapsed();
    let is_under_way = |wait: &Wait| wait.is_settling || wait.until > elapsed;
    Moment {
        done: state.pos(),
        all: state.len().unwrap_or_default(),
        rows: facts.rows,
        calls: facts.calls,
        elapsed,
        left: state.eta(),
        wait: facts.wait.clone().filter(is_under_way),
    }
}

impl Moment {
    /// The line in at most `limit` columns: what matters most comes first, and what has no room is left out.
    fn line(&self, limit: usize) -> String {
        let left = |wait: &Wait| human_duration(rounded_up(wait.until.saturating_sub(self.elapsed)));
        if let Some(wait) = self.wait.as_ref().filter(|wait| wait.is_settling) {
            return cut(&format!("{}, done in {}", wait.what, left(wait)), limit);
        }
        let bar = self.bar(limit);
        let mut parts = vec![format!("{}/{} windows", self.done, self.all)];
        if let Some(wait) = &self.wait {
            let time = left(wait);
            let whole = format!("{}, {time} left", wait.what);
            let room = limit.saturating_sub(columns(&bar) + columns(&parts[0]) + 4);
            parts.push(if columns(&whole) <= room { whole } else { format!("waiting {time}") });
        }
        if self.wait.is_none() && self.done > 0 && self.done < self.all {
            parts.push(format!("about {} left", human_duration(self.left)));
        }
        parts.extend([
            counted(self.rows, "row", "rows"),
            counted(self.calls, "call", "calls"),
            format!("{} rows/s", self.rate()),
            human_duration(self.elapsed),
        ]);
        let mut line = bar;
        for part in parts {
            let gap = if line.is_empty() { "" } else { "  " };
            let room = limit.saturating_sub(columns(&line) + gap.len());
            if columns(&part) > room {
                break;
            }
            line.push_str(gap);
            line.push_str(&part);
        }
        if line.is_empty() { cut(&format!("{}/{}", self.done, self.all), limit) } else { line }
    }

    /// The bar itself, shorter on a narrow terminal and absent on a very narrow one.
    fn bar(&self, limit: usize) -> String {
        let length = match limit {
            100.. => 30,
            70.. => 16,
            50.. => 8,
            _ => return String::new(),
        };
        let full = usize::try_from(self.done.min(self.all) * length / self.all.max(1)).unwrap_or_default();
        let rest = usize::try_from(length).unwrap_or_default() - full;
        format!("[{}{}]", "━".repeat(full), " ".repeat(rest))
    }

    fn rate(&self) -> u64 {
        let milliseconds = u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        self.rows.saturating_mul(1000) / milliseconds
    }
}

/// A countdown ends at 1 s, not at 0 s.
fn rounded_up(time: Duration) -> Duration {
    if time.subsec_nanos() == 0 { time } else { Duration::from_secs(time.as_secs() + 1) }
}

/// The beginning of a line that has no room.
fn cut(line: &str, limit: usize) -> String {
    if columns(line) <= limit {
        line.to_owned()
    } else {
        line.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(wait: Option<Wait>) -> Moment {
        Moment {
            done: 700,
            all: 1095,
            rows: 123_456,
            calls: 321,
            elapsed: Duration::from_secs(100),
            left: Duration::from_secs(61),
            wait,
        }
    }

    fn wait(is_settling: bool) -> Wait {
        let what = "waiting (limit)".to_owned();
        Wait { what, until: Duration::from_millis(107_300), is_settling }
    }

    #[test]
    fn the_line_says_first_what_matters_most() {
        let line = moment(None).line(76);
        assert_eq!(line, "[━━━━━━━━━━      ]  700/1095 windows  about 1 min 1 s left  123456 rows");
        let line = moment(Some(wait(false))).line(76);
        assert_eq!(line, "[━━━━━━━━━━      ]  700/1095 windows  waiting (limit), 8 s left  123456 rows");
        let short = moment(Some(wait(false))).line(46);
        assert_eq!(short, "700/1095 windows  waiting (limit), 8 s left");
        let wide = moment(None).line(157);
        assert!(wide.ends_with("123456 rows  321 calls  1234 rows/s  1 min 40 s"), "{wide}");
    }

    #[test]
    fn no_line_is_wider_than_its_terminal() {
        for limit in 1..200 {
            for moment in [moment(None), moment(Some(wait(false))), moment(Some(wait(true)))] {
                let line = moment.line(limit);
                assert!(columns(&line) <= limit && !line.is_empty(), "{limit}: {line}");
            }
        }
    }

    #[test]
    fn a_countdown_reaches_no_zero() {
        assert_eq!(rounded_up(Duration::from_millis(1)), Duration::from_secs(1));
        assert_eq!(rounded_up(Duration::from_secs(2)), Duration::from_secs(2));
    }
}
