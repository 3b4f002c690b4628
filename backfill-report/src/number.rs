//! Numbers as people read them.

/// Formats a percentage with as many decimals as it takes to tell it from zero.
#[must_use]
pub fn percent(share: f64) -> String {
    match share {
        0.0 => "0".to_owned(),
        ..0.01 => format!("{share:.4}"),
        ..1.0 => format!("{share:.2}"),
        _ => format!("{share:.1}"),
    }
}

/// Formats a number with its noun, such as `1 record is` or `2 records are`.
#[must_use]
pub fn counted(number: u64, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

/// Formats seconds with one decimal, or with two below one second.
#[must_use]
pub fn seconds(time: f64) -> String {
    if time < 1.0 { format!("{time:.2}") } else { format!("{time:.1}") }
}

/// Groups digits by three with a narrow no-break space, such as `12 345`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Converts a count for division, for shares and bars.
#[expect(clippy::cast_precision_loss, reason = "what people see has fewer digits")]
pub(crate) fn real(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three_digits() {
        let all = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(all, ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
    }
}
