use super::local_links;
use crate::testing::World;
use base::Duration;
use base::Outcome::{Error, Fail, Inconclusive, Pass};
use serde_json::json;

const GUIDE: &str = "# Guide\n\nIntroduction.\n\n## Setup\n\n### Linux\n\nRun [it](setup.md#linux).\n\n## Getting `help`\n\nAsk.\n";

fn guide(params: &str) -> World {
    World::new("document", &format!("path = 'guide.md'\n{params}"))
}

fn found(world: World, text: &str, links: &[&str]) -> World {
    world
        .with_record("document", json!({"path": "guide.md", "text": text, "existing_links": links}))
}

#[test]
fn sections_are_found_at_any_level_and_in_any_case() {
    let world = guide("sections = ['setup', 'Linux', 'Getting help']");
    let (outcome, reasons) = found(world, GUIDE, &["setup.md"]).verdict();
    assert_eq!(
        (outcome, reasons.as_str()),
        (Pass, "`guide.md` exists and has all 3 required sections.")
    );
}

#[test]
fn every_missing_or_empty_section_and_broken_link_is_named() {
    let text = GUIDE.replace("Ask.", "<!-- to be written -->");
    let world = guide("sections = ['Setup', 'Upgrade', 'Getting help']");
    let finding = found(world, &text, &[]).judge();
    assert_eq!(finding.outcome, Fail);
    assert_eq!(
        finding.reasons,
        [
            "`guide.md` has no section \"Upgrade\".",
            "The section \"Getting help\" of `guide.md` is empty.",
            "`guide.md` links to `setup.md`, which does not exist.",
        ]
    );
    let world = guide("links = false");
    assert_eq!(found(world, GUIDE, &[]).verdict().0, Pass);
}

#[test]
fn the_text_of_the_next_section_does_not_fill_an_empty_one() {
    let text = "# Guide\n\n## Setup\n\n## Upgrade\n\nReplace it.\n";
    let (outcome, reasons) = found(guide("sections = ['Guide', 'Setup']"), text, &[]).verdict();
    assert_eq!(
        (outcome, reasons.as_str()),
        (Fail, "The section \"Setup\" of `guide.md` is empty.")
    );
}

#[test]
fn a_heading_in_a_code_block_is_no_section() {
    let text = "```\n# Setup\nrun\n```\n";
    assert_eq!(found(guide("sections = ['Setup']"), text, &[]).verdict().0, Fail);
}

#[test]
fn absence_is_what_the_definition_says_and_ignorance_is_inconclusive() {
    let absent = json!({"path": "guide.md", "text": null});
    let lenient = guide("").with_record("document", absent.clone());
    assert_eq!(lenient.verdict().0, Inconclusive);
    let strict = guide("on_missing = 'fail'").with_record("document", absent);
    assert_eq!(strict.verdict().0, Fail);
    assert_eq!(guide("on_missing = 'fail'").verdict().0, Inconclusive, "nobody looked");
    let other = guide("").with_record("document", json!({"path": "other.md", "text": GUIDE}));
    assert_eq!(other.verdict().0, Inconclusive);
    assert_eq!(found(guide(""), " \n", &[]).verdict().0, Fail, "an empty file is no document");
}

#[test]
fn damaged_records_and_unreadable_files_are_errors() {
    let damaged = guide("").with_record("document", json!({"path": 7}));
    assert_eq!(damaged.verdict().0, Error);
    let problem = json!({"kind": "malformed", "text": "`guide.md` is not UTF-8."});
    let body = json!({"path": "guide.md", "text": null, "problem": problem});
    let (outcome, reasons) = guide("").with_record("document", body).verdict();
    assert_eq!((outcome, reasons.as_str()), (Error, "`guide.md` is not UTF-8."));
}

#[test]
fn old_and_future_records_do_not_count() {
    let mut world = found(guide(""), GUIDE, &["setup.md"]);
    world.gate.max_age = Some(Duration::from_seconds(30));
    let (outcome, reasons) = world.verdict();
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("older than 30s does not count"), "{reasons}");
    world.gate.max_age = None;
    world.at = world.records[0].record.observed_at - Duration::from_seconds(1);
    assert_eq!(world.verdict().0, Inconclusive, "the record is not yet observed");
}

#[test]
fn links_to_the_web_and_within_the_document_are_not_local() {
    let text = "[a](https://x.org) [b](#top) [c](mailto:a@b) [d](//x.org/y) ![e](img/e.png) [f](../f.md#g) <https://x.org>";
    let links: Vec<String> = local_links(text).into_iter().collect();
    assert_eq!(links, ["../f.md", "img/e.png"]);
}

#[test]
fn a_path_that_leaves_the_repository_is_refused() {
    for path in ["/etc/passwd", "../x.md", "a/../../x.md"] {
        let problems = World::new("document", &format!("path = '{path}'")).problems();
        assert!(problems[0].contains("leaves the repository"), "{problems:?}");
    }
}
