//! Finds days that should not be empty and days that stand out, from the numbers of records per day alone.
//!
//! A day is compared only with its neighbours of the same weekday, so a company that never books on Sundays has no finding on a
//! Sunday. Everything is derived from medians, which the gap or the peak in question does not move.

use std::ops::Range;

use time::Date;

use super::thresholds::Thresholds;

/// The number of nearest days of the same weekday on each side that a day is compared with.
const NEIGHBOURS: usize = 8;

/// With fewer neighbours than this, a day is not judged.
const FEWEST: usize = 4;

/// A weekday on which more than this share of the days is empty is not expected to have records.
const MAY_BE_EMPTY: f64 = 0.2;

/// The most days of a thousand that may have half as many records as an outlier; more of them are a habit, such as a monthly
/// billing.
const RARE_PERMILLE: usize = 5;

/// Converts the median absolute deviation to a standard deviation, for a normal distribution.
const MAD_TO_DEVIATION: f64 = 1.4826;

/// The median of the square of a normally distributed value with a deviation of one.
const MEDIAN_OF_SQUARES: f64 = 0.455;

/// From this number of records on, the distribution of a count is near enough to a normal one.
const MANY: f64 = 3.0;

/// The records of one day that was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayVolume {
    /// The day, in UTC.
    pub day: Date,
    /// The number of records of the day.
    pub records: u64,
}

/// Consecutive days without records where records are expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EmptyStretch {
    /// The first day without records.
    pub first: Date,
    /// The last day without records.
    pub last: Date,
    /// How many of the days usually have records.
    pub days: u64,
    /// The usual number of records of such a day.
    pub usual: f64,
}

/// A day with far more records than usual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlier {
    /// The day that stands out, in UTC.
    pub day: Date,
    /// The number of records of the day.
    pub records: u64,
    /// The usual number of records.
    pub usual: f64,
}

/// Which share of a day's records can still be seen. A record that was changed after the time that was read cannot: it is
/// counted where it is now, or nowhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sight {
    /// The first day of which nothing is known; `None` if there is none.
    end: Option<Date>,
    /// The share of records that had been changed for the last time this many days after they were created; ascending.
    settled: Vec<(i64, f64)>,
}

impl Sight {
    /// Describes what can be seen of the days before `end`. `lags` says how many records were changed for the last time how
    /// many days after they were created.
    pub fn until(end: Date, lags: &[(u32, u64)]) -> Self {
        let all: u64 = lags.iter().map(|(_, records)| records).sum();
        let mut sum = 0;
        let share = |(days, records): &(u32, u64)| {
            sum += records;
            (i64::from(*days), real(sum) / real(all.max(1)))
        };
        Self { end: Some(end), settled: lags.iter().map(share).collect() }
    }

    /// Returns the share of a day's records that can be seen.
    fn share(&self, day: Date) -> f64 {
        let Some(end) = self.end else { return 1.0 };
        let left = (end - day).whole_days() - 1;
        let known = self.settled.partition_point(|(days, _)| *days <= left);
        match self.settled.get(known.wrapping_sub(1)) {
            _ if self.settled.is_empty() => 1.0,
            Some((_, share)) => *share,
            None => 0.0,
        }
    }

    /// Leaves out days without a record right before the end, which prove nothing: all of their records may have been changed
    /// since.
    fn judged<'a>(&self, days: &'a [DayVolume]) -> &'a [DayVolume] {
        let last = days.iter().rposition(|day| day.records > 0);
        if self.end.is_some() { &days[..last.map_or(0, |last| last + 1)] } else { days }
    }
}

/// Finds the days that should not be empty. `days` is in ascending order and leaves out days that were not read.
pub fn empty_stretches(days: &[DayVolume], sight: &Sight, thresholds: &Thresholds) -> Vec<EmptyStretch> {
    let days = sight.judged(days);
    // Before its first record a company has no habits.
    let Some(mut at) = days.iter().position(|day| day.records > 0) else { return Vec::new() };
    let spread = typical_spread(days);
    let mut found = Vec::new();
    let follows = |a: &DayVolume, b: &DayVolume| a.day.next_day() == Some(b.day);
    for stretch in days[at..].chunk_by(|a, b| a.records == 0 && b.records == 0 && follows(a, b)) {
        let own = at..at + stretch.len();
        at = own.end;
        if stretch[0].records == 0 {
            found.extend(unexpected(days, &own, (sight, spread), thresholds));
        }
    }
    found
}

/// Whether chance would hardly bring this run of empty days.
fn unexpected(
    days: &[DayVolume],
    own: &Range<usize>,
    (sight, spread): (&Sight, f64),
    thresholds: &Thresholds,
) -> Option<EmptyStretch> {
    let mut chance_log = 0.0;
    let mut usual = Vec::new();
    for at in own.clone() {
        let near = Neighbours::of(days, at, own);
        if near.0.len() < FEWEST || near.share_of_empty() > MAY_BE_EMPTY {
            continue;
        }
        usual.push(near.median());
        // Where records come in bursts, the bursts are the independent events.
        chance_log -= near.median() * sight.share(days[at].day) / spread;
    }
    let is_told = !usual.is_empty() && chance_log < thresholds.gap_chance.ln();
    is_told.then(|| EmptyStretch {
        first: days[own.start].day,
        last: days[own.end - 1].day,
        days: usual.len() as u64,
        usual: median(&mut usual),
    })
}

/// Finds the days with far more records than usual. `days` is in ascending order and leaves out days that were not read.
pub fn outliers(days: &[DayVolume], thresholds: &Thresholds) -> Vec<Outlier> {
    let is_candidate = |day: &DayVolume| day.records >= thresholds.outlier_records;
    if !days.iter().any(is_candidate) {
        // The rest examines the neighbours of every day: too much for years in which nothing happened.
        return Vec::new();
    }
    let spread = common_spread(days);
    let allowed = (days.len() * RARE_PERMILLE / 1000).max(1);
    // If a company has a dozen days with records a year, every such day stands out.
    let mut busy: Vec<f64> = days.iter().filter(|day| day.records > 0).map(|day| real(day.records)).collect();
    let busy = median(&mut busy);
    let stands_out = |(at, day): (usize, &DayVolume)| {
        let (count, near) = (real(day.records), Neighbours::of(days, at, &(at..at + 1)));
        let usual = near.usual();
        // The root of a count has about the same deviation whatever its mean: a half, where days are independent.
        let deviations = 2.0 * (count.sqrt() - usual.sqrt()) / near.spread().max(spread).sqrt();
        let is_high = near.0.len() >= FEWEST
            && count >= usual.max(busy) * thresholds.outlier_factor
            && deviations >= thresholds.outlier_deviations;
        let rivals =
            || days.iter().filter(|other| other.records.saturating_mul(2) >= day.records).count() - 1;
        (is_high && rivals() <= allowed).then_some(Outlier { day: day.day, records: day.records, usual })
    };
    days.iter().enumerate().filter(|(_, day)| is_candidate(day)).filter_map(stands_out).collect()
}

/// The records of the nearest days of the same weekday.
#[derive(Debug)]
struct Neighbours(Vec<f64>);

impl Neighbours {
    /// Collects the neighbours of the day at `at`, outside of the range `own` that the day belongs to.
    fn of(days: &[DayVolume], at: usize, own: &Range<usize>) -> Self {
        let weekday = days[at].day.weekday();
        let same = |day: &&DayVolume| day.day.weekday() == weekday;
        let before = days[..own.start].iter().rev().filter(same).take(NEIGHBOURS);
        let after = days[own.end..].iter().filter(same).take(NEIGHBOURS);
        Self(before.chain(after).map(|day| real(day.records)).collect())
    }

    fn median(&self) -> f64 {
        median(&mut self.0.clone())
    }

    /// Returns the most that is expected of a day: with few records, the median says too little.
    fn usual(&self) -> f64 {
        let mean = self.0.iter().sum::<f64>() / real(self.0.len().max(1) as u64);
        self.median().max(mean)
    }

    fn share_of_empty(&self) -> f64 {
        let empty = self.0.iter().filter(|count| **count == 0.0).count();
        real(empty as u64) / real(self.0.len().max(1) as u64)
    }

    /// Returns how many times as much the counts vary as those of independent events would; at least one.
    fn spread(&self) -> f64 {
        let middle = self.median();
        let mut distances: Vec<f64> = self.0.iter().map(|count| (count - middle).abs()).collect();
        let deviation = MAD_TO_DEVIATION * median(&mut distances);
        if middle > 0.0 { (deviation * deviation / middle).max(1.0) } else { 1.0 }
    }
}

/// Returns [`Neighbours::spread`] of half of the days: days that were empty by accident and outliers do not affect it.
fn typical_spread(days: &[DayVolume]) -> f64 {
    let ratio = |(square, usual)| if usual >= MANY { Some(square / usual) } else { None };
    let mut ratios: Vec<f64> = squares(days, Neighbours::median).filter_map(ratio).collect();
    (median(&mut ratios) / MEDIAN_OF_SQUARES).max(1.0)
}

/// Returns [`Neighbours::spread`] over all days except the few that lie farthest off. It reflects the bursts of companies that
/// have too few records for their weekdays to show them.
fn common_spread(days: &[DayVolume]) -> f64 {
    let mut squares: Vec<_> = squares(days, Neighbours::usual).collect();
    squares.sort_by(|a, b| a.0.total_cmp(&b.0));
    squares.truncate(squares.len().saturating_sub(1 + days.len() * RARE_PERMILLE / 1000));
    let (square, usual) = squares.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    if usual > 0.0 { (square / usual).max(1.0) } else { 1.0 }
}

/// Returns the squared distance of each day from what its neighbours have, and the latter.
fn squares(days: &[DayVolume], usual: fn(&Neighbours) -> f64) -> impl Iterator<Item = (f64, f64)> {
    days.iter().enumerate().map(move |(at, day)| {
        let usual = usual(&Neighbours::of(days, at, &(at..at + 1)));
        let distance = real(day.records) - usual;
        (distance * distance, usual)
    })
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values {
        [] => 0.0,
        values if values.len() % 2 == 1 => values[values.len() / 2],
        values => f64::midpoint(values[values.len() / 2 - 1], values[values.len() / 2]),
    }
}

#[expect(clippy::cast_precision_loss, reason = "no company has so many records a day")]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use time::macros::date;

    use super::*;

    /// Creates days from a Monday on; `records` gives the number of records by the day's number and weekday, both from 0.
    fn days(number: u32, mut records: impl FnMut(u32, u32) -> u64) -> Vec<DayVolume> {
        let first = date!(2024 - 01 - 01);
        let one = |n: u32| DayVolume { day: first + Duration::days(n.into()), records: records(n, n % 7) };
        (0..number).map(one).collect()
    }

    /// A Poisson-distributed number, after Knuth.
    fn poisson(rng: &mut fastrand::Rng, mean: f64) -> u64 {
        let (mut count, mut product) = (0, rng.f64());
        while product > (-mean).exp() {
            product *= rng.f64();
            count += 1;
        }
        count
    }

    fn found(days: &[DayVolume]) -> (Vec<EmptyStretch>, Vec<Outlier>) {
        let thresholds = Thresholds::default();
        (empty_stretches(days, &Sight::default(), &thresholds), outliers(days, &thresholds))
    }

    #[test]
    fn a_day_that_is_never_worked_is_no_gap_and_a_working_day_is() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut year = days(364, |_, weekday| if weekday == 6 { 0 } else { poisson(&mut rng, 20.0) });
        assert_eq!(found(&year), (vec![], vec![]));
        // A Wednesday, then a Saturday with the Sunday behind it.
        for empty in [100, 201] {
            year[empty].records = 0;
        }
        let (gaps, _) = found(&year);
        let spans: Vec<_> = gaps.iter().map(|gap| (gap.first, gap.last, gap.days)).collect();
        let day = |n: i64| date!(2024 - 01 - 01) + Duration::days(n);
        assert_eq!(spans, [(day(100), day(100), 1), (day(201), day(202), 1)]);
        assert!((15.0..25.0).contains(&gaps[0].usual), "{gaps:?}");
    }

    #[test]
    fn weeks_without_records_are_found_where_a_day_says_nothing() {
        let mut rng = fastrand::Rng::with_seed(2);
        let mut year = days(364, |_, weekday| if weekday > 4 { 0 } else { 1 + poisson(&mut rng, 1.0) });
        year[150].records = 0;
        assert_eq!(found(&year).0, []);
        for day in &mut year[140..161] {
            day.records = 0;
        }
        let gaps = found(&year).0;
        assert_eq!(gaps.len(), 1);
        // The weekend before belongs to the run.
        assert_eq!((gaps[0].first, gaps[0].days), (date!(2024 - 01 - 01) + Duration::days(138), 15));
    }

    #[test]
    fn before_the_first_record_and_where_nothing_was_read_there_is_no_gap() {
        let mut year = days(364, |n, _| if n < 90 { 0 } else { 25 });
        year.retain(|day| day.day.month() != time::Month::July);
        assert_eq!(found(&year), (vec![], vec![]));
        // At the end there is a gap.
        for day in &mut year[300..] {
            day.records = 0;
        }
        assert_eq!(found(&year).0.len(), 1);
    }

    #[test]
    fn what_was_changed_after_the_end_leaves_no_gap() {
        let thresholds = Thresholds::default();
        let end = date!(2024 - 01 - 01) + Duration::days(364);
        // Nine in ten are paid a month after they were created, which changes them: a tenth is left of the last month.
        let mut year = days(364, |n, _| if n < 334 { 20 } else { 2 });
        for empty in [150, 340, 350, 362, 363] {
            year[empty].records = 0;
        }
        let told = |sight: &Sight| -> Vec<i64> {
            let found = empty_stretches(&year, sight, &thresholds);
            found.iter().map(|gap| (gap.first - date!(2024 - 01 - 01)).whole_days()).collect()
        };
        assert_eq!(told(&Sight::default()), [150, 340, 350, 362]);
        assert_eq!(told(&Sight::until(end, &[(0, 10), (30, 90)])), [150]);
        // If nothing is changed later, a gap is one unless nothing follows it.
        assert_eq!(told(&Sight::until(end, &[(0, 100)])), [150, 340, 350]);
        assert_eq!(told(&Sight::until(end, &[])), [150, 340, 350]);
    }

    #[test]
    fn a_day_that_stands_out_is_found_and_a_monthly_billing_is_not() {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut year = days(364, |_, weekday| if weekday > 4 { 0 } else { poisson(&mut rng, 6.0) });
        year[77].records = 60;
        let outlier = found(&year).1[0];
        assert_eq!((found(&year).1.len(), outlier.day, outlier.records), (1, year[77].day, 60));
        assert!((4.0..9.0).contains(&outlier.usual), "{outlier:?}");
        let monthly = days(364, |n, _| if n % 30 == 0 { 80 } else { 1 });
        assert_eq!(found(&monthly), (vec![], vec![]));
    }

    #[test]
    fn companies_that_live_as_usual_have_no_finding() {
        for seed in 0..500 {
            let mut rng = fastrand::Rng::with_seed(seed);
            // From some records a year to hundreds a day, on some weekdays, growing or not, in bursts or not.
            let mean = 200.0 * (rng.f64() * -9.0).exp();
            let (closed, growth) = (rng.u32(0..8), rng.f64() * 0.004);
            let bursts = if rng.bool() { 1 } else { rng.u64(2..6) };
            let year = days(364, |n, weekday| {
                let mean = mean * (1.0 + growth * f64::from(n));
                if weekday >= closed.max(1) { 0 } else { bursts * poisson(&mut rng, mean / real(bursts)) }
            });
            assert_eq!(found(&year), (vec![], vec![]), "seed {seed}");
        }
    }

    #[test]
    fn an_empty_or_short_history_says_nothing() {
        assert_eq!(found(&[]), (vec![], vec![]));
        assert_eq!(found(&days(20, |n, _| u64::from(n == 3) * 1000)), (vec![], vec![]));
    }
}
