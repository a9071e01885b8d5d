//! What somebody may have meant by a word that is not known.

/// The candidate that is most like the word, whatever their case, if one is like enough; of several the first by alphabet.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    // Up to a third of the word may be wrong: more, and the guess is more often silly than right.
    let allowed = (word.chars().count() / 3).max(1);
    let distance = |candidate: &str| strsim::damerau_levenshtein(&word, &candidate.to_lowercase());
    let best = candidates.into_iter().map(|candidate| (distance(candidate), candidate)).min();
    best.filter(|(distance, _)| *distance <= allowed).map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near() {
        assert_eq!(nearest("Seatz", ["Seats", "Signup"]), Some("Seats"));
        assert_eq!(nearest("seats", ["Seats", "Signup"]), Some("Seats"));
        assert_eq!(nearest("x", ["Seats", "Signup"]), None);
        assert_eq!(nearest("strats_with", ["starts_with", "ends_with"]), Some("starts_with"));
        assert_eq!(nearest("x", []), None);
    }
}
