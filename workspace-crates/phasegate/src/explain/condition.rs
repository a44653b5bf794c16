//! The two sides of a condition, so that its value can be shown and not only its truth.

use promql::Query;

/// A comparison with `bool` at the top of a query.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sides<'q> {
    pub(super) left: &'q str,
    pub(super) operator: &'q str,
    pub(super) right: &'q str,
}

/// The sides of `text`; `None` when it is no comparison with `bool` at the top, or one that matches
/// labels.
pub(super) fn sides(text: &str) -> Option<Sides<'_>> {
    if !Query::parse(text).is_ok_and(|query| query.is_boolean()) {
        return None;
    }
    // Of the comparisons outside of brackets the last one is the top: they bind to the left.
    let at = outside_brackets(text).filter(|at| is_word(text, *at, "bool")).last()?;
    let before = text.get(..at)?.trim_end();
    let operator = ["<=", ">=", "==", "!=", "<", ">"].into_iter().find(|o| before.ends_with(o))?;
    let left = before.get(..before.len() - operator.len())?;
    let right = text.get(at + "bool".len()..)?;
    let operator = before.get(left.len()..)?;
    let sides = Sides { left: left.trim(), operator, right: right.trim() };
    [sides.left, sides.right].iter().all(|side| Query::parse(side).is_ok()).then_some(sides)
}

/// The places outside of brackets and quotes.
fn outside_brackets(text: &str) -> impl Iterator<Item = usize> {
    let (mut depth, mut quote, mut escaped) = (0_u32, None, false);
    text.char_indices().filter_map(move |(at, c)| {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(open), '\\') if open != '`' => escaped = true,
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, _) if depth == 0 => return Some(at),
            (None, _) => {}
        }
        None
    })
}

fn is_word(text: &str, at: usize, word: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let before = text.get(..at).and_then(|before| before.chars().next_back());
    let rest = text.get(at..).and_then(|rest| rest.strip_prefix(word));
    let after = rest.map(|rest| rest.chars().next());
    !before.is_some_and(is_name) && after.is_some_and(|next| !next.is_some_and(is_name))
}

/// Whether `left operator right` holds.
pub(super) fn holds(left: f64, operator: &str, right: f64) -> bool {
    match operator {
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        ">=" => left >= right,
        "==" => left == right,
        _ => left != right,
    }
}

#[cfg(test)]
mod tests {
    use super::{Sides, sides};

    #[test]
    fn conditions_are_taken_apart_at_their_comparison() {
        let found = sides("time() - max(x{a=\"> bool\"}) < bool 600");
        let expected = Sides { left: "time() - max(x{a=\"> bool\"})", operator: "<", right: "600" };
        assert_eq!(found, Some(expected));
        let found = sides("sum(up) >= bool 0.95 * 128");
        assert_eq!(found, Some(Sides { left: "sum(up)", operator: ">=", right: "0.95 * 128" }));
        let found = sides("max(a > bool 1) != bool 0");
        assert_eq!(found, Some(Sides { left: "max(a > bool 1)", operator: "!=", right: "0" }));
    }

    #[test]
    fn what_is_no_single_comparison_is_left_whole() {
        for text in [
            "sum(up)",
            "up > 1",
            "a > bool 1 or b > bool 2",
            "a > bool on(x) b",
            "(a > bool 1)",
            "a >",
        ] {
            assert_eq!(sides(text), None, "{text}");
        }
    }
}
