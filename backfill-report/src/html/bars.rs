//! Draws a bar chart as inline SVG for the HTML report.

use std::fmt::Write as _;

use super::escaped::Escaped;

/// The most bars of a chart. Beyond that, neighbours are added up, because single bars would be too narrow.
const MOST: usize = 400;

/// Size of the chart in SVG units; the page scales it.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 100.0;

/// One bar.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    /// Label of the bar, such as a day.
    pub(crate) label: String,
    pub(crate) value: f64,
    /// Whether a finding concerns it.
    pub(crate) marked: bool,
}

/// Draws bars side by side, and labels the highest value and both ends.
pub(crate) fn bars(title: &str, bars: &[Bar], shown: fn(f64) -> String) -> String {
    let together = bars.len().div_ceil(MOST).max(1);
    let bars: Vec<Bar> = bars.chunks(together).filter_map(joined).collect();
    let highest = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let (Some(first), Some(last)) = (bars.first(), bars.last()) else { return String::new() };
    let mut svg = String::new();
    let step = WIDTH / real(bars.len());
    for (at, bar) in bars.iter().enumerate().filter(|(_, bar)| bar.value > 0.0) {
        // Keep small values visible beside a peak.
        let height = (HEIGHT * bar.value / highest).max(1.0);
        let class = if bar.marked { " class=\"marked\"" } else { "" };
        let _ = write!(
            svg,
            "<rect{class} x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{height:.2}\"><title>{}: {}</title></rect>",
            step * real(at),
            HEIGHT - height,
            (step * 0.8).max(0.6),
            Escaped(&bar.label),
            shown(bar.value)
        );
    }
    let sum: f64 = bars.iter().map(|bar| bar.value).sum();
    let said = format!("{title}: {} in all, at most {}", shown(sum), shown(highest));
    format!(
        "<figure class=\"bars\"><figcaption><b>{}</b><span>highest {}</span></figcaption>\
         <svg role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\">{svg}</svg>\
         <div class=\"ends\"><span>{}</span><span>{}</span></div></figure>",
        Escaped(title),
        shown(highest),
        Escaped(&said),
        Escaped(&first.label),
        Escaped(&last.label),
    )
}

fn joined(some: &[Bar]) -> Option<Bar> {
    let (first, last) = (some.first()?, some.last()?);
    let label =
        if some.len() == 1 { first.label.clone() } else { format!("{} to {}", first.label, last.label) };
    let value = some.iter().map(|bar| bar.value).sum();
    Some(Bar { label, value, marked: some.iter().any(|bar| bar.marked) })
}

#[expect(clippy::cast_precision_loss, reason = "a number of bars")]
fn real(number: usize) -> f64 {
    number as f64
}
