//! Parameters of a request: from the address, and from the form in its body.

use std::time::Duration as StdDuration;

use base::{Duration, Instant};

use super::api::Refusal;
use crate::queries::times;

/// Names and values, in the order in which they came.
#[derive(Debug, Clone, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads the form-encoded texts.
    pub fn of(query: &str, form: &[u8]) -> Self {
        let both = form_urlencoded::parse(query.as_bytes()).chain(form_urlencoded::parse(form));
        Self(both.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// Every value of `name`.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of `name` that is not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, v)| v.as_str())
    }

    /// The value of `name`, which has to be there.
    pub fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::parameter(name, "it is missing"))
    }

    /// An instant.
    pub fn instant(&self, name: &str, now: Instant) -> Result<Option<Instant>, Refusal> {
        let parse = |text| times::instant(text, now).map_err(|e| Refusal::parameter(name, &e));
        self.get(name).map(parse).transpose()
    }

    /// A length of time.
    pub fn length(&self, name: &str) -> Result<Option<Duration>, Refusal> {
        let parse = |text| times::length(text).map_err(|e| Refusal::parameter(name, &e));
        self.get(name).map(parse).transpose()
    }

    /// How long the request may take: what it asks for, but never longer than `most`.
    pub fn timeout(&self, most: StdDuration) -> Result<StdDuration, Refusal> {
        let Some(length) = self.length("timeout")? else { return Ok(most) };
        let asked = StdDuration::try_from_secs_f64(length.seconds())
            .map_err(|_| Refusal::parameter("timeout", "it must not be negative"))?;
        Ok(asked.min(most))
    }

    /// The most items of an answer; 0 and nothing mean all.
    pub fn limit(&self) -> Result<usize, Refusal> {
        let Some(text) = self.get("limit") else { return Ok(usize::MAX) };
        match text.parse::<usize>() {
            Ok(0) => Ok(usize::MAX),
            Ok(limit) => Ok(limit),
            Err(_) => Err(Refusal::parameter("limit", "it must be a whole number, not negative")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Params;
    use std::time::Duration;

    #[test]
    fn both_places_count_and_are_decoded() {
        let params = Params::of("query=up%7Ba%3D%22b%22%7D&x=", b"match%5B%5D=a+b&match[]=c");
        assert_eq!(params.get("query"), Some("up{a=\"b\"}"));
        assert_eq!(params.all("match[]").collect::<Vec<_>>(), ["a b", "c"]);
        assert_eq!(params.get("x"), None);
    }

    #[test]
    fn a_request_cannot_take_longer_than_the_server_allows() {
        let most = Duration::from_secs(120);
        let timeout = |text: &str| Params::of(text, b"").timeout(most).map_err(|r| r.message);
        assert_eq!(timeout(""), Ok(most));
        assert_eq!(timeout("timeout=1h"), Ok(most));
        assert_eq!(timeout("timeout=1.5"), Ok(Duration::from_millis(1_500)));
        assert!(timeout("timeout=-1s").is_err() && timeout("timeout=soon").is_err());
    }
}
