//! `match[]` parameters: which series are meant.

use std::sync::Mutex;

use base::Instant;
use promql::{Limits, Query, ValueKind};
use samples::{Labels, Matcher, SampleSource, Series, SourceError};

/// Some selectors; a series is meant when one of them selects it.
#[derive(Debug)]
pub struct Selectors(Vec<Vec<Matcher>>);

/// Takes down what a query asks for, and has nothing.
#[derive(Default)]
struct Asked(Mutex<Vec<Vec<Matcher>>>);

impl SampleSource for Asked {
    fn select(&self, matchers: &[Matcher], _: i64, _: i64) -> Result<Vec<Series>, SourceError> {
        if let Ok(mut asked) = self.0.lock() {
            asked.push(matchers.to_vec());
        }
        Ok(Vec::new())
    }
}

impl Selectors {
    /// Reads selectors.
    ///
    /// # Errors
    /// When one of them is anything else, such as a function.
    pub fn parse<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        texts.map(selector).collect::<Result<_, _>>().map(Self)
    }

    /// The only selector, for what takes no more.
    ///
    /// # Errors
    /// As [`Selectors::parse`].
    pub fn one(text: &str) -> Result<Vec<Matcher>, String> {
        selector(text)
    }

    /// Whether the series with these labels is meant; without selectors every one is.
    pub fn select(&self, labels: &Labels) -> bool {
        let accepts = |matchers: &Vec<Matcher>| matchers.iter().all(|m| m.accepts_labels(labels));
        self.0.is_empty() || self.0.iter().any(accepts)
    }
}

fn selector(text: &str) -> Result<Vec<Matcher>, String> {
    let query = Query::parse(text).map_err(|error| error.to_string())?;
    let refuse =
        || format!("`{text}` is not a selector; write one such as `up{{role=\"prover\"}}`");
    // Only a selector without any modifier can get a range.
    let is_plain = Query::parse(&format!("last_over_time({text}[1s])")).is_ok();
    if query.kind() != ValueKind::Vector || !is_plain {
        return Err(refuse());
    }
    let asked = Asked::default();
    promql::instant(&query, &asked, Instant::default(), &Limits::default())
        .map_err(|error| error.to_string())?;
    let mut asked = asked.0.into_inner().map_err(|_| refuse())?;
    match (asked.pop(), asked.is_empty()) {
        (Some(matchers), true) => Ok(matchers),
        _ => Err(refuse()),
    }
}

#[cfg(test)]
mod tests {
    use super::Selectors;
    use samples::Labels;

    #[test]
    fn selectors_select_and_several_add_up() {
        let up = Labels::metric("up", &[("role", "prover")]);
        let other = Labels::metric("height", &[]);
        let selects = |texts: &[&str], labels| {
            Selectors::parse(texts.iter().copied()).unwrap().select(labels)
        };
        assert!(selects(&["up"], &up) && !selects(&["up"], &other));
        assert!(selects(&["up{role!~\"val.*\"}"], &up));
        assert!(!selects(&["{__name__=\"up\",role=\"validator\"}"], &up));
        assert!(selects(&["up", "height"], &other) && selects(&[], &other));
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for bad in [
            "",
            "{}",
            "sum(up)",
            "up + up",
            "-up",
            "(up)",
            "up offset 5m",
            "up @ 3",
            "up[5m]",
            "1",
            "\"up\"",
            "up[1s]) + count_over_time(up",
            "up unless up",
        ] {
            assert!(Selectors::parse([bad].into_iter()).is_err(), "{bad}");
        }
    }
}
