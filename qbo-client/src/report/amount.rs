//! An exact amount of money.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub};
use std::str::FromStr;

/// The number of decimals that an amount keeps: more than any currency or price in a report has.
const DECIMALS: usize = 9;

/// One whole unit of the currency.
const UNIT: i128 = 10_i128.pow(9);

/// The most digits before the decimal point, so that no sum over a company can overflow.
const MOST_DIGITS: usize = 18;

/// An exact amount in the report's currency, in billionths: sums of it are exact, whatever their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Amount(i128);

/// A text that is not an amount as reports write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not an amount such as 2000.00 or .00")]
pub struct UnreadableAmount;

impl Amount {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// Whether the amount is zero.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The amount without its sign.
    #[must_use]
    pub fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// The billionths of the amount.
    pub fn billionths(self) -> i128 {
        self.0
    }
}

/// Reads what reports write: `2000.00`, `-900.00`, `.00`, and nothing at all for no amount, which is zero. Thousands are not
/// separated in reports, so a text that separates them is refused: it could mean two amounts.
impl FromStr for Amount {
    type Err = UnreadableAmount;

    fn from_str(text: &str) -> Result<Self, UnreadableAmount> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self::ZERO);
        }
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let decimals = decimals.trim_end_matches('0');
        let has_digits = digits.bytes().any(|b| b.is_ascii_digit());
        let are_digits = whole.bytes().chain(decimals.bytes()).all(|b| b.is_ascii_digit());
        let whole = whole.trim_start_matches('0');
        if !has_digits || !are_digits || whole.len() > MOST_DIGITS || decimals.len() > DECIMALS {
            return Err(UnreadableAmount);
        }
        let number = |text: &str| if text.is_empty() { Ok(0) } else { text.parse::<i128>() };
        let whole = number(whole).map_err(|_| UnreadableAmount)?;
        let fraction = number(&format!("{decimals:0<DECIMALS$}")).map_err(|_| UnreadableAmount)?;
        Ok(Self(sign * (whole * UNIT + fraction)))
    }
}

/// Writes at least two decimals, and no more than the amount has.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:0DECIMALS$}", self.0.abs() % UNIT);
        let shown = fraction.trim_end_matches('0').len().max(2);
        let sign = if self.0 < 0 { "-" } else { "" };
        f.pad(&format!("{sign}{}.{}", self.0.abs() / UNIT, &fraction[..shown]))
    }
}

impl Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Amount {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Amount {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_as_reports_write_them() {
        let check = |text: &str, shown: &str| assert_eq!(text.parse::<Amount>().unwrap().to_string(), shown);
        check("", "0.00");
        check(".00", "0.00");
        check("2000.00", "2000.00");
        check("-900.5", "-900.50");
        check("-.05", "-0.05");
        check("0012.3456", "12.3456");
        check("7", "7.00");
    }

    #[test]
    fn a_text_that_could_mean_two_amounts_is_none() {
        for text in ["1,234.00", "1.234,00", "abc", "-", ".", "1 000", "--1", "1e5", "0.0000000001", "NaN"] {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn sums_are_exact(cents in prop::collection::vec(-1_000_000_000_i64..1_000_000_000, 0..50)) {
            let text = |cents: i64| {
                format!("{}{}.{:02}", if cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100)
            };
            let sum: Amount = cents.iter().map(|one| text(*one).parse::<Amount>().unwrap()).sum();
            prop_assert_eq!(sum.to_string(), text(cents.iter().sum()));
        }
    }
}
