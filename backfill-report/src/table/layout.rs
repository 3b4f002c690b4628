//! Chooses what a screen of limited width shows of a table.

use crate::width::Width;

/// The columns before the first cell.
pub(super) const MARGIN: usize = 2;

/// The columns between two cells.
pub(super) const GAP: usize = 3;

/// The narrowest column that sentences are broken into.
const PROSE: usize = 24;

/// What is known of one column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    /// The width of its widest cell.
    pub(super) width: usize,
    /// Whether its cells are sentences, which may be broken.
    pub(super) is_prose: bool,
    /// Whether every cell is empty.
    pub(super) is_blank: bool,
    /// Whether every cell is the number zero.
    pub(super) is_zero: bool,
}

/// How a table is shown.
#[derive(Debug)]
pub(super) enum Layout {
    /// These columns with their widths, and the columns that are left out although they say something.
    Columns { shown: Vec<(usize, usize)>, left_out: Vec<usize> },
    /// Every row as a list of its columns.
    List,
}

impl Layout {
    /// Chooses the layout that shows most of the table. `optional` are the columns that may be left out, the first one first.
    pub(super) fn choose(columns: &[Measured], optional: &[usize], width: Width) -> Self {
        let all: Vec<_> = columns.iter().map(|column| column.width).enumerate().collect();
        let Some(limit) = width.limit().filter(|limit| *limit < span(&all)) else {
            return Self::Columns { shown: all, left_out: Vec::new() };
        };
        let is_blank = |at: &usize| optional.contains(at) && columns[*at].is_blank;
        let fitted = |left_out: &[usize]| {
            // A column without a word costs nothing to leave out.
            let is_shown = |at: &usize| !is_blank(at) && !left_out.contains(at);
            squeeze(columns, all.iter().filter(|(at, _)| is_shown(at)).copied().collect(), limit)
        };
        let candidates = candidates(columns, optional);
        for number in 0..=candidates.len() {
            let Some(mut shown) = fitted(&candidates[..number]) else { continue };
            let mut left_out = candidates[..number].to_vec();
            // A narrow one may still have room beside the others; the last one was left out most reluctantly.
            for at in candidates[..number].iter().rev() {
                let fewer: Vec<_> = left_out.iter().copied().filter(|other| other != at).collect();
                if let Some(wider) = fitted(&fewer) {
                    (shown, left_out) = (wider, fewer);
                }
            }
            left_out.sort_unstable();
            return Self::Columns { shown, left_out };
        }
        Self::List
    }
}

/// The columns that may be left out, the first one first: those of zeros alone, then the optional ones.
fn candidates(columns: &[Measured], optional: &[usize]) -> Vec<usize> {
    let (zeros, others): (Vec<usize>, Vec<usize>) = optional.iter().partition(|at| columns[**at].is_zero);
    let further = (0..columns.len()).filter(|at| columns[*at].is_zero && !optional.contains(at));
    let others = others.into_iter().filter(|at| !columns[*at].is_blank);
    zeros.into_iter().chain(further).chain(others).collect()
}

/// The width of a table with these columns.
pub(super) fn span(shown: &[(usize, usize)]) -> usize {
    (MARGIN + shown.iter().map(|(_, width)| width + GAP).sum::<usize>()).saturating_sub(GAP)
}

/// Narrows the columns of sentences until the table fits; `None` if it does not.
fn squeeze(
    columns: &[Measured],
    mut shown: Vec<(usize, usize)>,
    limit: usize,
) -> Option<Vec<(usize, usize)>> {
    let mut over = span(&shown).saturating_sub(limit);
    while over > 0 {
        // The widest one gives way first, by at most a half at once.
        let prose = shown.iter_mut().filter(|(at, width)| columns[*at].is_prose && *width > PROSE);
        let (_, widest) = prose.max_by_key(|(_, width)| *width)?;
        let cut = over.min(*widest - (*widest / 2).max(PROSE));
        *widest -= cut;
        over -= cut;
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(width: usize) -> Measured {
        Measured { width, is_prose: false, is_blank: false, is_zero: false }
    }

    #[test]
    fn zeros_are_left_out_first_and_blank_columns_without_a_word() {
        let zero = Measured { is_zero: true, ..column(10) };
        let blank = Measured { is_blank: true, ..column(10) };
        let columns = [column(20), zero, column(10), blank, column(10)];
        // 2 + 20 + 4 · (3 + 10) = 74.
        let shown = |limit| match Layout::choose(&columns, &[4, 3], Width::of_screen(limit)) {
            Layout::Columns { shown, left_out } => Some((shown.len(), left_out)),
            Layout::List => None,
        };
        assert_eq!(shown(74), Some((5, vec![])));
        assert_eq!(shown(61), Some((4, vec![])));
        assert_eq!(shown(60), Some((3, vec![1])));
        assert_eq!(shown(47), Some((2, vec![1, 4])));
        assert_eq!(shown(34), None);
    }
}
