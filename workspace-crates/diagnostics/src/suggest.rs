/// The candidate that `word` was probably meant to be; nothing when none is close.
///
/// Close means an edit distance of at most a third of the longer word, and at least one shared
/// character. Of equally close candidates the first in their order is taken.
#[must_use]
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let distance = strsim::damerau_levenshtein(word, candidate);
            let longer = word.chars().count().max(candidate.chars().count());
            (distance * 3 <= longer.max(3) && distance < longer).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// The help text for a word that is not known: "did you mean", or the words that there are.
///
/// Nothing when there are no candidates.
#[must_use]
pub fn suggestion<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    if let Some(near) = suggest(word, candidates.clone()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let mut quoted: Vec<String> = Vec::new();
    for name in candidates.into_iter().map(|name| format!("`{name}`")) {
        if !quoted.contains(&name) {
            quoted.push(name);
        }
    }
    match quoted.as_slice() {
        [] => None,
        [only] => Some(format!("there is only {only}")),
        [first @ .., last] => Some(format!("there are {} and {last}", first.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::{suggest, suggestion};

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        let words = ["stability", "monitoring", "threat-model"];
        assert_eq!(suggest("stabilty", words), Some("stability"));
        assert_eq!(suggest("montioring", words), Some("monitoring"));
        assert_eq!(suggest("governance", words), None);
        assert_eq!(suggest("x", ["y"]), None);
        assert_eq!(suggest("", words), None);
    }

    #[test]
    fn help_lists_the_words_when_none_is_near() {
        assert_eq!(suggestion("zz", ["a", "b", "c"]).unwrap(), "there are `a`, `b` and `c`");
        assert_eq!(suggestion("zz", ["a", "b", "a"]).unwrap(), "there are `a` and `b`");
        assert_eq!(suggestion("zz", ["abc"]).unwrap(), "there is only `abc`");
        assert_eq!(suggestion("zz", []), None);
    }
}
