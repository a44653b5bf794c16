use base::{Instant, Subject};
use serde::{Deserialize, Serialize};

/// From when on a deployment ran a subject; it ran until the next interval begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubjectInterval {
    /// The first instant at which the subject ran.
    pub from: Instant,
    /// What ran.
    pub subject: Subject,
}

/// The last span during which `candidate` ran: its first instant, and the instant at which
/// another subject took its place, if one did. `None` when it never ran.
///
/// `intervals` are in time order; neighbouring ones of the same subject count as one.
#[must_use]
pub fn candidate_span(
    intervals: &[SubjectInterval],
    candidate: &Subject,
) -> Option<(Instant, Option<Instant>)> {
    let last = intervals.iter().rposition(|interval| interval.subject == *candidate)?;
    let first = intervals[..=last]
        .iter()
        .rposition(|interval| interval.subject != *candidate)
        .map_or(0, |foreign| foreign + 1);
    Some((intervals[first].from, intervals.get(last + 1).map(|next| next.from)))
}

#[cfg(test)]
mod tests {
    use super::{SubjectInterval, candidate_span};
    use base::{Digest, Instant, NetworkId, Subject};
    use std::collections::BTreeMap;

    fn subject(version: &str) -> Subject {
        Subject {
            network: NetworkId::new("phase-1").unwrap(),
            artifacts: BTreeMap::from([("node".to_owned(), Digest::of(version.as_bytes()))]),
            configuration: Digest::of(b"configuration"),
            versions: BTreeMap::new(),
        }
    }

    fn ran(history: &[(i64, &str)], version: &str) -> Option<(i64, Option<i64>)> {
        let intervals: Vec<_> = history
            .iter()
            .map(|(from, version)| SubjectInterval {
                from: Instant::from_unix_millis(*from),
                subject: subject(version),
            })
            .collect();
        candidate_span(&intervals, &subject(version))
            .map(|(from, until)| (from.unix_millis(), until.map(Instant::unix_millis)))
    }

    #[test]
    fn only_the_last_unbroken_span_counts() {
        assert_eq!(ran(&[(0, "a")], "a"), Some((0, None)));
        assert_eq!(ran(&[(0, "a"), (5, "b")], "a"), Some((0, Some(5))));
        assert_eq!(ran(&[(0, "a"), (5, "b"), (9, "a")], "a"), Some((9, None)));
        assert_eq!(ran(&[(0, "b"), (5, "a"), (7, "a"), (9, "b")], "a"), Some((5, Some(9))));
        assert_eq!(ran(&[(0, "b")], "a"), None);
        assert_eq!(ran(&[], "a"), None);
    }
}
