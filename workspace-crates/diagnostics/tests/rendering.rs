//! What the renderings look like, and that texts from files cannot disturb them.

use diagnostics::{Diagnostic, Location, SourceMap, codes, render};

fn sample() -> (Vec<Diagnostic>, SourceMap) {
    let mut sources = SourceMap::default();
    sources.insert("pipeline/a.toml", "schema = 1\nänme = \"a\"\n\n[[phase]]\nid = \"x\"\n");
    let at = |start, end| Location::new("pipeline/a.toml", start, end);
    let diagnostics = vec![
        Diagnostic::error(codes::UNKNOWN_KEY, "a pipeline has no key `änme`")
            .at(&at(11, 16))
            .help("did you mean `name`?"),
        Diagnostic::error(codes::DUPLICATE, "phase `x` is defined twice")
            .at_with(&at(39, 42), "again here")
            .label(&at(0, 6), "first here")
            .note("in a note"),
        Diagnostic::warning(codes::BAD_OVERRIDE, "no file is to blame"),
    ];
    (diagnostics, sources)
}

#[test]
fn people_see_excerpts() {
    let (diagnostics, sources) = sample();
    insta::assert_snapshot!(render::human(&diagnostics, &sources, false));
}

#[test]
fn tools_see_lines_and_columns() {
    let (diagnostics, sources) = sample();
    insta::assert_snapshot!(render::json(&diagnostics, &sources));
}

#[test]
fn code_hosts_see_sarif() {
    let (diagnostics, sources) = sample();
    let text = render::sarif(&diagnostics, &sources, "1.2.3");
    let mut log: serde_json::Value = serde_json::from_str(&text).unwrap();
    let rules = log["runs"][0]["tool"]["driver"]["rules"].take();
    let results = log["runs"][0]["results"].as_array().unwrap();
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
    }
    insta::assert_snapshot!(format!("{log:#}"));
}

#[test]
fn colour_is_only_there_when_it_is_asked_for() {
    let (diagnostics, sources) = sample();
    assert!(render::human(&diagnostics, &sources, true).contains('\u{1b}'));
    assert!(!render::human(&diagnostics, &sources, false).contains('\u{1b}'));
}

#[test]
fn hostile_texts_stay_visible_and_in_their_place() {
    let mut sources = SourceMap::default();
    let text = "a = \"\u{1b}[2J\u{202e}\u{9b}31m\"\r\nb = 1\r\n";
    sources.insert("x\u{1b}.toml", text);
    let end = text.find('\r').unwrap();
    let diagnostic = Diagnostic::error(codes::BAD_VALUE, "evil \u{1b}]0;x\u{7}\nnew line")
        .at_with(&Location::new("x\u{1b}.toml", 4, end), "label \u{202e}")
        .label(&Location::new("x\u{1b}.toml", text.len() - 7, text.len() - 6), "b")
        .help("help \u{1b}[0m")
        .note("note \u{2066}");
    let shown = render::human(&[diagnostic], &sources, false);
    for bad in ['\u{1b}', '\u{202e}', '\u{2066}', '\u{9b}', '\u{7}', '\r'] {
        assert!(!shown.contains(bad), "{bad:?} in {shown}");
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn locations_outside_of_their_file_do_not_panic() {
    let mut sources = SourceMap::default();
    sources.insert("a", "ä");
    for (file, start, end) in [("a", 1, 1), ("a", 7, 9), ("a", 0, 99), ("gone", 3, 4)] {
        let diagnostic =
            [Diagnostic::error(codes::SYNTAX, "m").at(&Location::new(file, start, end))];
        assert!(render::human(&diagnostic, &sources, false).contains("PG0104"));
        assert!(render::json(&diagnostic, &sources).contains("PG0104"));
        assert!(render::sarif(&diagnostic, &sources, "1").contains("PG0104"));
    }
}

#[test]
fn the_summary_counts() {
    assert_eq!(render::summary(&sample().0), "2 errors, 1 warning");
    assert_eq!(render::summary(&[]), "0 errors, 0 warnings");
}
