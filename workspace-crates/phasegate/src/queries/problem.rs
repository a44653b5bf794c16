//! What is wrong with a query, shown at its place, and what to do about it.

use std::collections::BTreeSet;

use promql::{EvalError, Query, QueryError};

use super::origin::Sampled;
use crate::exit::Exit;
use crate::failure::Failure;

/// At most this many characters of a query stand on one line of a message.
const EXCERPT: usize = 100;
/// At most this many near names are listed.
const NEAR_MAX: usize = 5;

/// The failure that a text is no query.
pub fn not_a_query(text: &str, error: &QueryError) -> Failure {
    let (what, hint) = match error {
        QueryError::Syntax { reason, .. } => {
            (format!("this is not PromQL: {}", reason.trim()), cure(text, reason).to_owned())
        }
        QueryError::Unsupported { construct, .. } => (
            format!("the query uses {construct}, which is not supported here"),
            "docs/queries.md lists what is left out.".to_owned(),
        ),
        other => (other.to_string(), "Shorten the query, or ask in several.".to_owned()),
    };
    Failure::new(Exit::Usage, format!("{what}\n{}", excerpt(text, place(error)))).hint(hint)
}

/// What to do about a text that is not PromQL.
fn cure(text: &str, reason: &str) -> &'static str {
    let open = text.matches(['(', '[', '{']).count() > text.matches([')', ']', '}']).count();
    if open || text.matches('"').count() % 2 == 1 {
        "Close the bracket or the quote; for the shell, put the whole query into single quotes."
    } else if reason.contains("expected type matrix") {
        "Give it samples over time, such as `up[5m]`."
    } else {
        "docs/queries.md has examples; for the shell, put the whole query into single quotes."
    }
}

/// Where in the text it is, in bytes, where that is known.
fn place(error: &QueryError) -> Option<usize> {
    match error {
        QueryError::Unsupported { place, .. } | QueryError::Syntax { place, .. } => {
            place.map(|place| place.offset)
        }
        _ => None,
    }
}

/// The line of the query with a caret below the place.
fn excerpt(text: &str, at: Option<usize>) -> String {
    let at = at.filter(|at| text.is_char_boundary(*at));
    let start = at.map_or(0, |at| text[..at].rfind('\n').map_or(0, |end| end + 1));
    let line = text[start..].lines().next().unwrap_or_default();
    let column = at.map(|at| text[start..at].chars().count());
    // A long line is cut to what surrounds the place.
    let first = column.map_or(0, |column| column.saturating_sub(EXCERPT / 2));
    let first = if line.chars().count() <= EXCERPT { 0 } else { first };
    let shown: String = line.chars().skip(first).take(EXCERPT).collect();
    let mut out = format!("  {}", diagnostics::render::escape_line(&shown));
    if let Some(column) = column {
        out.push_str(&format!("\n  {}^", " ".repeat(column - first)));
    }
    out
}

/// The failure that a query has no result.
pub fn not_evaluated(text: &str, error: &EvalError) -> Failure {
    let failure = Failure::new(Exit::Failed, format!("{}\n{}", error.failure, excerpt(text, None)));
    match &error.failure {
        promql::Failure::TooManySamples { .. } => {
            failure.hint("Shorten the range, select fewer series, or raise --max-samples.")
        }
        promql::Failure::TooManySteps { .. } => failure.hint("Lengthen --step."),
        promql::Failure::NotARangeQuery(_) => {
            failure.hint("Apply a function such as `rate` or `max_over_time`, or ask with --at.")
        }
        promql::Failure::DuplicateSeries { .. } | promql::Failure::Matching { .. } => {
            failure.hint("Aggregate first, or say `on(…)` with `group_left` or `group_right`.")
        }
        _ => failure,
    }
}

/// A sentence for each metric that the query names and the samples do not have.
pub fn unknown_metrics(query: &Query, sampled: &Sampled) -> Vec<String> {
    let known = sampled.metrics();
    let names = query.metric_names();
    let unknown = names.iter().filter(|name| !known.contains(name.as_str()));
    unknown.map(|name| unknown_metric(name, &known)).collect()
}

fn unknown_metric(name: &str, known: &BTreeSet<&str>) -> String {
    let near = near(name, known);
    let what = format!("There is no metric `{name}` in these samples");
    match near.as_slice() {
        [] => format!("{what}; `{{__name__!=\"\"}}` shows what there is."),
        [only] => format!("{what}; did you mean `{only}`?"),
        several => {
            let all: Vec<String> = several.iter().map(|one| format!("`{one}`")).collect();
            format!("{what}; near it are {}.", all.join(", "))
        }
    }
}

/// Names that are spelt alike, or share most of their words.
fn near<'a>(name: &str, known: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let spelt = diagnostics::suggest(name, known.iter().copied());
    let words: BTreeSet<&str> = name.split('_').filter(|word| word.len() > 2).collect();
    let shared = |one: &str| one.split('_').filter(|word| words.contains(word)).count();
    let mut alike: Vec<(usize, &str)> = known
        .iter()
        .map(|one| (shared(one), *one))
        .filter(|(shared, _)| *shared > 0 && shared * 2 >= words.len())
        .collect();
    alike.sort_by_key(|(shared, one)| (std::cmp::Reverse(*shared), *one));
    let mut found: Vec<&str> =
        spelt.and_then(|near| known.get(near).copied()).into_iter().collect();
    found.extend(alike.into_iter().map(|(_, one)| one));
    let mut seen = BTreeSet::new();
    found.retain(|one| seen.insert(*one));
    found.truncate(NEAR_MAX);
    found
}

#[cfg(test)]
mod tests {
    use super::{excerpt, near, not_a_query};
    use promql::Query;
    use std::collections::BTreeSet;

    #[test]
    fn a_caret_stands_below_the_place() {
        assert_eq!(excerpt("up + info(x)", Some(5)), "  up + info(x)\n       ^");
        assert_eq!(excerpt("up\n+ info(x)", Some(5)), "  + info(x)\n    ^");
        assert_eq!(excerpt("é + x", Some(3)), "  é + x\n    ^");
        assert_eq!(excerpt("up", None), "  up");
    }

    #[test]
    fn of_a_long_line_the_place_is_shown() {
        let text = format!("{}info(x)", "up + ".repeat(60));
        let shown = excerpt(&text, Some(300));
        let (line, caret) = shown.split_once('\n').unwrap();
        assert!(line.len() <= 102);
        assert_eq!(line[caret.find('^').unwrap()..].split('(').next(), Some("info"));
    }

    #[test]
    fn terminal_sequences_of_a_query_are_not_obeyed() {
        assert!(!excerpt("\u{1b}[31mup", Some(1)).contains('\u{1b}'));
    }

    #[test]
    fn what_is_left_out_is_named_at_its_place() {
        let text = "up + info(up)";
        let failure = not_a_query(text, &Query::parse(text).unwrap_err());
        assert!(failure.message.ends_with("  up + info(up)\n       ^"), "{}", failure.message);
    }

    #[test]
    fn near_names_share_spelling_or_words() {
        let known =
            BTreeSet::from(["devnet_final_height", "devnet_pending_height", "up", "scrape_ok"]);
        assert_eq!(near("devnet_finl_height", &known)[0], "devnet_final_height");
        assert_eq!(near("height_final", &known)[0], "devnet_final_height");
        assert!(near("zzz", &known).is_empty());
    }
}
