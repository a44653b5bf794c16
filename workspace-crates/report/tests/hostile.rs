//! Foreign text never becomes markup, whatever it says and wherever it stands.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../examples/support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use definition::Pipeline;
use gates::Evaluation;
use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser};
use report::{Rendered, model, render, site};

/// Puts `text` wherever a definition, a node or another tool could have put its own.
fn infect(text: &str, pipeline: &mut Pipeline, evaluation: &mut Evaluation) {
    let poison = |place: &mut String| *place = text.to_owned();
    poison(&mut pipeline.title);
    poison(&mut pipeline.summary);
    for hypothesis in &mut pipeline.hypotheses {
        poison(&mut hypothesis.statement);
    }
    for phase in &mut pipeline.phases {
        poison(&mut phase.title);
        poison(&mut phase.summary);
    }
    poison(&mut evaluation.evaluator);
    for phase in &mut evaluation.phases {
        phase.reasons.iter_mut().for_each(poison);
        phase.waivers.iter_mut().for_each(|waiver| poison(&mut waiver.reason));
        if let Some(subject) = &mut phase.subject {
            subject.versions = BTreeMap::from([(text.to_owned(), text.to_owned())]);
            subject.artifacts = BTreeMap::from([(text.to_owned(), base::Digest::of(b"x"))]);
        }
        for finding in &mut phase.findings {
            for place in
                [&mut finding.title, &mut finding.kind, &mut finding.why, &mut finding.rule]
            {
                poison(place);
            }
            finding.owner = Some(text.to_owned());
            finding.reasons.iter_mut().for_each(poison);
            for measure in &mut finding.measures {
                poison(&mut measure.name);
                poison(&mut measure.unit);
            }
            for one in finding.soak.iter_mut().flat_map(|soak| &mut soak.breaks) {
                poison(&mut one.condition);
            }
            let explanation = &mut finding.explanation;
            explanation.steps.iter_mut().for_each(poison);
            explanation.would_change.iter_mut().for_each(poison);
            for (name, query) in &mut explanation.queries {
                poison(name);
                poison(query);
            }
            for series in &mut explanation.series {
                poison(&mut series.title);
                poison(&mut series.unit);
                series.points.truncate(8);
            }
        }
    }
}

fn rendered(text: &str) -> (Rendered, String) {
    let mut pipeline = support::pipeline();
    let mut evaluation = support::held_evaluation();
    infect(text, &mut pipeline, &mut evaluation);
    let mut input = support::held_input(&pipeline, &evaluation);
    input.week = text.to_owned();
    input.host.name = text.to_owned();
    input.host.signatures = text.to_owned();
    input.not_known = vec![text.to_owned()];
    for row in &mut input.phases {
        row.state = text.to_owned();
    }
    let model = model::build(&input);
    let index = site::index(&[site::Entry::of(&model, "2026-W04")]).unwrap();
    (render(&model).unwrap(), index)
}

/// Every tag of a page with the names of its attributes, without their values.
fn skeleton(html: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut characters = html.chars();
    while let Some(character) = characters.next() {
        if character != '<' {
            continue;
        }
        let mut tag = String::new();
        let mut quoted = false;
        for inside in characters.by_ref() {
            match inside {
                '"' => quoted = !quoted,
                '>' if !quoted => break,
                _ if !quoted => tag.push(inside),
                _ => {}
            }
        }
        tags.push(tag);
    }
    tags
}

/// Everything in a Markdown text that is not plain text.
fn structure(markdown: &str) -> Vec<String> {
    let events = Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH);
    let events = events.filter_map(|event| match event {
        Event::Text(_) => None,
        Event::Code(_) => Some("code".to_owned()),
        other => Some(format!("{other:?}")),
    });
    events.collect()
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let (harmless, harmless_index) = rendered("harmless");
    let (hostile, index) = rendered(text);
    prop_assert_eq!(skeleton(&hostile.html), skeleton(&harmless.html));
    prop_assert_eq!(skeleton(&index), skeleton(&harmless_index));
    prop_assert_eq!(structure(&hostile.markdown), structure(&harmless.markdown));
    for all in [&hostile.html, &hostile.markdown, &index] {
        let control = all.chars().find(|c| c.is_control() && *c != '\n');
        prop_assert!(control.is_none(), "{:?}", control);
        let hidden =
            all.chars().find(|c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'));
        prop_assert!(hidden.is_none(), "{:?}", hidden);
    }
    Ok(())
}

#[test]
fn known_attacks_stay_text() {
    for text in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "</style><script>x</script>",
        "</svg></figure><a href=\"javascript:x\">x</a>",
        "[x](javascript:alert(1)) ![y](http://x/y.png) <http://x>",
        "{{ 7 * 7 }} {% include \"/etc/passwd\" %}",
        "]]><!--",
        "| a | b |\n|---|---|\n# heading\n```\ncode",
        "\u{1b}[31mred\u{1b}[0m \u{202e}gnp.exe \u{0}",
        "&lt;script&gt; &#60;b&#62;",
    ] {
        check(text).unwrap();
    }
}

#[test]
fn template_syntax_in_foreign_text_is_shown_and_not_run() {
    let (rendered, _) = rendered("x {{ 7 * 7 }} {% raw %}");
    assert!(rendered.html.contains("x {{ 7 * 7 }} {% raw %}"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_text_changes_the_structure_of_a_report(text in "x[ -~]{0,40}|x.{0,40}") {
        check(&text)?;
    }

    #[test]
    fn no_mix_of_dangerous_pieces_does_either(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "<", ">", "\"", "'", "&", "`", "```", "|", "\n", "\\", "[", "](", ")", "!", "*", "_",
                "#", "- ", "1. ", "<!--", "-->", "script", "on", "=", "/", "{{", "}}", "{%", "%}",
                "http://", "www.", "@", "\u{1b}[0m", "\u{202e}", "\u{0}", "~", "$", ":", " ",
            ]),
            1..14,
        ),
    ) {
        check(&format!("x{}", pieces.concat()))?;
    }
}
