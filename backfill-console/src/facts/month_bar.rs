//! The bar that shows a pipeline's months.

use backfill_report::calendar::Mark;

use crate::facts::pipeline::PipelineFacts;

/// The most pieces of a bar, so that each stays wide enough to be seen.
const MOST: usize = 110;

/// One pipeline's bar, in pieces of equal width.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MonthBar {
    /// Each piece that has windows, with its place.
    pub(crate) pieces: Vec<(usize, Mark)>,
}

/// The bars of all pipelines over the same months: the first year and the last, the number of pieces, and the bars.
pub(crate) fn month_bars(pipelines: &[PipelineFacts]) -> (Option<(i32, i32)>, usize, Vec<MonthBar>) {
    let number = |(year, month): (i32, u8)| i64::from(year) * 12 + i64::from(month) - 1;
    let months = || pipelines.iter().flat_map(|facts| facts.months.keys().copied());
    let (Some(first), Some(last)) = (months().min(), months().max()) else {
        return (None, 0, vec![MonthBar::default(); pipelines.len()]);
    };
    let place = |month| usize::try_from(number(month) - number(first)).unwrap_or_default();
    let step = (place(last) + 1).div_ceil(MOST);
    let bars = pipelines.iter().map(|facts| {
        let mut pieces: Vec<(usize, Mark)> = Vec::new();
        for (month, mark) in &facts.months {
            let at = place(*month) / step;
            match pieces.last_mut().filter(|(last, _)| *last == at) {
                Some((_, worst)) => *worst = (*worst).max(*mark),
                None => pieces.push((at, *mark)),
            }
        }
        MonthBar { pieces }
    });
    (Some((first.0, last.0)), place(last) / step + 1, bars.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_month_of_a_piece_prevails() {
        let months =
            (0..240).map(|at| ((2000 + at / 12, u8::try_from(at % 12).unwrap() + 1), Mark::Confirmed));
        let mut facts = PipelineFacts { months: months.collect(), ..PipelineFacts::default() };
        facts.months.insert((2000, 2), Mark::Failed);
        let (years, pieces, bars) = month_bars(&[facts, PipelineFacts::default()]);
        assert_eq!((years, pieces), (Some((2000, 2019)), 80));
        assert_eq!(bars[0].pieces[..2], [(0, Mark::Failed), (1, Mark::Confirmed)]);
        assert_eq!(bars[1].pieces, []);
    }
}
