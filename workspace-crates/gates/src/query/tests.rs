use diagnostics::Diagnostic;
use promql_parser::parser::{Expr, VectorSelector};

use super::{Comparison, Purpose, parse};
use base::Duration;

fn condition(text: &str) -> super::GateQuery {
    let problem = |code, message: String| Diagnostic::error(code, message);
    parse(text, Purpose::Condition, &[], &problem).unwrap_or_else(|p| panic!("{text}: {p:?}"))
}

#[test]
fn the_reach_is_the_farthest_look_back() {
    let cases = [
        ("up > bool 0", Duration::ZERO),
        ("rate(x_total[1h]) > bool 0", Duration::from_hours(1)),
        ("rate(x_total[1h] offset 30m) > bool 0", Duration::from_minutes(90)),
        ("max_over_time(rate(x_total[5m])[4h:1m]) > bool 0", Duration::from_minutes(245)),
        ("a offset 2h + rate(x_total[1h]) > bool 0", Duration::from_hours(2)),
    ];
    for (text, reach) in cases {
        assert_eq!(condition(text).reach, reach, "{text}");
    }
}

#[test]
fn a_comparison_with_a_number_is_split_and_others_are_not() {
    let split = condition("time() - max(age) < bool 600").sides.unwrap();
    assert_eq!((split.left.text(), split.right.text()), ("time() - max(age)", "600"));
    assert_eq!(split.comparison, Comparison::Less);
    let split = condition("(sum(up{role=\"validator\"}) >= bool 0.95 * 48)").sides.unwrap();
    assert_eq!(split.left.text(), "sum(up{role=\"validator\"})");
    assert_eq!(split.comparison, Comparison::GreaterOrEqual);
    assert!(condition("max(a) > bool max(b)").sides.is_none(), "labels would have to match");
    assert!(condition("min(a > bool 3)").sides.is_none());
}

#[test]
fn every_fault_is_reported() {
    let problem = |code, message: String| Diagnostic::error(code, message);
    let text = "increase(height[1h]) @ 5 > bool absent(x offset -1m)";
    let faults = parse(text, Purpose::Condition, &[], &problem);
    // Where `@` stands decides whether the parser takes it, so both forms are read.
    assert!(faults.is_err());
    let text = "increase(height[1h] @ 5) > bool absent(x offset -1m)";
    let faults: Vec<String> = parse(text, Purpose::Condition, &[], &problem)
        .unwrap_err()
        .into_iter()
        .map(|d| d.message)
        .collect();
    assert_eq!(faults.len(), 4, "{faults:?}");
}

#[test]
fn hostile_texts_are_refused_and_never_panic() {
    let problem = |code, message: String| Diagnostic::error(code, message);
    let deep = format!("{}up{}", "(".repeat(5_000), ")".repeat(5_000));
    let long = "up + ".repeat(5_000) + "up";
    for text in ["", "up{", "up[1h:]", "\u{0}", "up{a=~\"(\"}", "x[-1h]", &deep, &long] {
        assert!(parse(text, Purpose::Value, &[], &problem).is_err());
    }
}

#[test]
fn a_selector_that_is_written_out_selects_the_same() {
    let cases = [
        "up",
        "up{}",
        "{__name__=\"up\"}",
        "{__name__=~\"up|down\",job!=\"a\\\"b\\\\c\\n\"}",
        "up{path=~\"/a\\\\.b/.*\",x!~\"y|z\",empty=\"\"}",
        "job:up:sum{instance=\"127.0.0.1:9090\"} offset 5m",
        "{\"a.b\",\"c d\"=\"ü\"}",
    ];
    for text in cases {
        let Ok(Expr::VectorSelector(selector)) = promql_parser::parser::parse(text) else {
            panic!("{text}");
        };
        let written = super::bare_text(&selector);
        let Ok(Expr::VectorSelector(again)) = promql_parser::parser::parse(&written) else {
            panic!("{text}: {written}");
        };
        assert_eq!(sorted(&again), sorted(&selector), "{text}: {written}");
        assert_eq!(again.offset, None);
    }
}

fn sorted(selector: &VectorSelector) -> Vec<String> {
    let name = selector.name.iter().map(|name| format!("__name__=\"{name}\""));
    let others = selector.matchers.matchers.iter().map(ToString::to_string);
    let mut all: Vec<String> = name.chain(others).collect();
    all.sort();
    all
}
