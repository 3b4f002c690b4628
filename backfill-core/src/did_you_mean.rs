//! The nearest known word to one that is not known.

/// The known word that `asked` was most likely meant to be, if any is near. Letter case does not matter.
pub fn nearest<'a>(asked: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let asked = asked.to_lowercase();
    let distance = |word: &str| strsim::damerau_levenshtein(&word.to_lowercase(), &asked);
    let near = known.into_iter().map(|word| (distance(word), word)).min_by_key(|(distance, _)| *distance);
    // Farther than half of the word is a guess, not a suggestion.
    near.filter(|(distance, _)| *distance <= asked.chars().count().div_ceil(2)).map(|(_, word)| word)
}

/// `; did you mean day?`, behind a word that is not known.
pub fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|word| format!("; did you mean {word}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_suggested_and_nothing_else() {
        let near = |asked| nearest(asked, ["schema", "realm", "rate"]);
        assert_eq!(near("shema"), Some("schema"));
        assert_eq!(near("RELAM"), Some("realm"));
        assert_eq!(near("colour"), None);
    }
}
