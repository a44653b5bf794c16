//! What holds for every text.

use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use report::{clean, site};

use crate::fragments::{hostile, known};
use crate::html::Page;
use crate::infect::{Output, marked, output, typed_fields};
use crate::markdown;

/// Fields of a model whose texts nobody can choose: ids, digests, times and words of ours.
const TYPED: &[&str] = &[
    "accrued",
    "answer",
    "artifacts",
    "at",
    "configuration",
    "deployed",
    "eligible_at",
    "event",
    "evidence",
    "expires",
    "first_breach",
    "from",
    "gate",
    "genesis",
    "head",
    "kind",
    "last_breach",
    "longest_gap",
    "longest_run",
    "name",
    "network",
    "notices",
    "outcome",
    "passed",
    "phase",
    "pipeline",
    "policy",
    "relation",
    "remaining",
    "required",
    "since",
    "standing",
    "step",
    "track",
    "until",
    "valid_until",
    "verdict",
    "warm_up",
    "sentence",
    "evaluated",
];

/// Words that mean nothing, too many for the labels of charts, which cut theirs.
const HARMLESS: &str =
    "harmless words, one after the other, and more of them until no label holds them all";

/// The same report with these words.
fn harmless() -> &'static Output {
    static OUTPUT: OnceLock<Output> = OnceLock::new();
    OUTPUT.get_or_init(|| output(HARMLESS))
}

fn is_dangerous(character: char) -> bool {
    (character.is_control() && character != '\n')
        || matches!(character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

#[track_caller]
fn check(text: &str) {
    let (expected, found) = (harmless(), output(text));
    assert_eq!(found.places, expected.places);
    let rendered = &found.rendered;
    let json = std::str::from_utf8(&rendered.json).unwrap();
    for all in [&rendered.html, &rendered.markdown, &found.index, json] {
        let dangerous = all.chars().find(|character| is_dangerous(*character));
        assert_eq!(dangerous, None, "{text:?}");
    }
    for (html, expected) in
        [(&rendered.html, &expected.rendered.html), (&found.index, &expected.index)]
    {
        let (page, expected) = (Page::of(html), Page::of(expected));
        assert_eq!(page.structure(), expected.structure(), "{text:?}");
        page.does_nothing();
        page.has_its_policy();
        is_shown(&page.text, &expected.text, text, found.places, false);
    }
    let expected = &expected.rendered.markdown;
    let structure = markdown::structure(&rendered.markdown);
    assert_eq!(structure, markdown::structure(expected), "{text:?}");
    let shown = markdown::text(&rendered.markdown);
    is_shown(&shown, &markdown::text(expected), text, found.places, true);
}

/// Every text that a reader sees whole when it is harmless is seen when it is not, as it was written.
#[track_caller]
fn is_shown(shown: &str, harmless: &str, text: &str, places: usize, is_markdown: bool) {
    for place in 0..places {
        let whole = |text: &str| {
            let text = clean(&marked(place, text));
            text.trim_end_matches(['.', ' ']).to_owned()
        };
        if harmless.contains(&whole(HARMLESS)) {
            let text = whole(text);
            // Code is shown as it is written, everything else with its at signs written out.
            let found =
                shown.contains(&text) || is_markdown && shown.contains(&text.replace('@', "(at)"));
            assert!(found, "{text:?} is not shown");
        }
    }
}

#[test]
fn every_free_text_of_a_model_is_tried() {
    let found = harmless();
    assert!(found.places > 60, "{}", found.places);
    let typed = typed_fields(&found.rendered.json);
    let unknown: Vec<&String> =
        typed.iter().filter(|name| !TYPED.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "fields that are neither tried nor known to be typed: {unknown:?}");
}

#[test]
fn most_words_are_seen_by_readers() {
    let found = harmless();
    let page = Page::of(&found.rendered.html);
    let seen =
        |text: &str| (0..found.places).filter(|n| text.contains(&marked(*n, HARMLESS))).count();
    assert!(seen(&page.text) * 10 > found.places * 8, "{} of {}", seen(&page.text), found.places);
    assert!(seen(&found.rendered.markdown) * 10 > found.places * 7);
    assert!(seen(&Page::of(&found.index).text) >= 2);
}

#[test]
fn known_attacks_stay_text() {
    for text in known() {
        check(text);
        check(&format!("{text}{text}"));
    }
}

#[test]
fn addresses_stay_text_on_code_hosts() {
    for text in ["http://x.example", "https://x", "WWW.x.example", "a@b.example", "ftp://x", "@y"] {
        let found = markdown::bare_addresses(&output(text).rendered.markdown);
        assert_eq!(found, markdown::bare_addresses(&harmless().rendered.markdown));
    }
}

#[test]
fn template_syntax_in_foreign_text_is_shown_and_not_run() {
    let text = "x {{ 7 * 7 }} {% raw %}";
    assert!(Page::of(&output(text).rendered.html).text.contains(text));
}

fn laws() -> ProptestConfig {
    ProptestConfig {
        cases: 96,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(4),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(laws())]

    #[test]
    fn no_text_changes_how_a_report_is_built(text in hostile()) {
        check(&text);
    }

    #[test]
    fn no_folder_becomes_a_link_that_leads_elsewhere(folder in hostile()) {
        let at = "2026-01-19T14:30:00Z".parse().unwrap();
        let entry = site::Entry {
            at, folder, week: "w".into(), title: "t".into(), verdict: None, sentence: "s".into(),
        };
        let page = Page::of(&site::index(&[entry]).unwrap());
        page.does_nothing();
        page.has_its_policy();
    }
}
