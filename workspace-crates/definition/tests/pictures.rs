//! The pictures of a pipeline, for the real programme and for a graph with branches.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap like tests")]

use std::path::Path;

use definition::{Files, Overrides, Pipeline, check, files, graph};

fn load(files: &Files) -> Pipeline {
    let definitions = check(files, &Overrides::default(), &[]).definitions.unwrap();
    definitions.pipelines.into_values().next().unwrap()
}

fn real() -> Files {
    files::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap()
}

/// A diamond whose titles try to break out.
fn diamond() -> Pipeline {
    let mut files = real();
    let mut text =
        "schema = 1\nname = \"d\"\ntitle = \"<script>alert(1)</script>\"\nsummary = \"S & T\"\n\
                    calendar = \"weekly-train\"\n"
            .to_owned();
    for (id, after) in [("d", "'b', 'c'"), ("a", ""), ("b", "'a'"), ("c", "'a'")] {
        text.push_str(&format!(
            "[[phase]]\nid = \"{id}\"\ntitle = '\"]; <b>{id}</b>'\nsummary = \"x\"\nstage = \"monitoring\"\n\
             after = [{after}]\nparams = {{ validators = 4 }}\n"
        ));
    }
    files.retain(|path, _| {
        !path.starts_with("pipeline/")
            || path.ends_with("calendar.toml")
            || path.ends_with("roles.toml")
    });
    files.insert("pipeline/d.toml".to_owned(), text);
    load(&files)
}

#[test]
fn mermaid_of_the_programme() {
    let text = graph::mermaid(&load(&real()));
    for line in [
        "  subgraph p0[\"phase-1: Small committee\"]",
        "    p3_internal --> p3_public",
        "  p0_public --> p1_internal",
        "  p2_public --> p3_internal",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} in {text}");
    }
}

#[test]
fn mermaid_of_a_diamond() {
    insta::assert_snapshot!(graph::mermaid(&diamond()));
}

#[test]
fn svg_of_a_diamond() {
    let svg = graph::svg(&diamond());
    assert!(!svg.contains("<script") && !svg.contains("<b>"));
    insta::assert_snapshot!(svg);
}

#[test]
fn svg_elements_are_balanced() {
    for pipeline in [load(&real()), diamond()] {
        let svg = graph::svg(&pipeline);
        let open =
            svg.matches('<').count() - 2 * svg.matches("</").count() - svg.matches("/>").count();
        assert_eq!(open, 0, "{svg}");
    }
}

const ATTACKS: &[&str] = &[
    "</title><script>alert(1)</script>",
    "]]></style></svg><img src=x onerror=alert(1)>",
    "\" onload=\"alert(1)",
    "<!-- -->",
    "<?xml-stylesheet href='http://x'?>",
    "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;",
    "&lt;b&gt;&#60;&amp",
    "<a xlink:href='javascript:x'>",
    "<foreignObject><body xmlns='http://www.w3.org/1999/xhtml'>",
    "\u{1b}[31m\u{202e}\u{0}\u{b}\u{7f}\u{9b}\u{fffe}\u{ffff}\u{feff}",
    "a\"] --> b[\"x",
    "\"]\n  click p0_internal href \"javascript:alert(1)\"\n  p0[\"",
    "#quot;#lt;b#gt; #35;",
    "`**bold** [x](http://x)`",
    "%%{init: {'securityLevel': 'loose'}}%%",
    "end\n  end\nflowchart TD",
    "<b>\\n|x|---",
];

/// The diamond with `text` wherever its author may write.
fn infected(text: &str) -> Pipeline {
    let mut pipeline = diamond();
    let places = [&mut pipeline.title, &mut pipeline.summary].into_iter();
    let phases = pipeline.phases.iter_mut();
    let phases = phases.flat_map(|phase| [&mut phase.title, &mut phase.summary]);
    places.chain(phases).for_each(|place| *place = text.to_owned());
    pipeline
}

/// Every element of a picture with the names of its attributes; fails when it is no XML.
fn elements(svg: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(svg).unwrap_or_else(|error| panic!("{error}: {svg}"));
    let elements = document.descendants().filter(|node| !node.is_text());
    let elements = elements.map(|node| {
        let names: Vec<&str> = node.attributes().map(|one| one.name()).collect();
        format!("{:?} {} {}", node.node_type(), node.tag_name().name(), names.join(" "))
    });
    elements.collect()
}

#[test]
fn no_text_becomes_a_part_of_the_picture() {
    let harmless = elements(&graph::svg(&infected("harmless")));
    for attack in ATTACKS {
        let svg = graph::svg(&infected(attack));
        assert_eq!(elements(&svg), harmless, "{attack:?}");
        assert!(!svg.chars().any(|c| c.is_control() && c != '\n'), "{attack:?}");
    }
}

#[test]
fn what_was_written_is_shown_in_the_picture() {
    let text = "<b> & \"c\" 'd'";
    let svg = graph::svg(&infected(text));
    let document = roxmltree::Document::parse(&svg).unwrap();
    let shown = document.descendants().filter(|node| node.text() == Some(text)).count();
    assert!(shown > 4, "{svg}");
}

/// A text without its labels.
fn without_labels(mermaid: &str) -> String {
    mermaid.split('"').step_by(2).collect()
}

#[test]
fn no_text_leaves_its_label_in_mermaid() {
    let harmless = without_labels(&graph::mermaid(&infected("harmless")));
    for attack in ATTACKS {
        let text = graph::mermaid(&infected(attack));
        assert_eq!(without_labels(&text), harmless, "{attack:?}");
        // What makes markup of a label: HTML, Markdown between backticks, and entities not of ours.
        for label in text.split('"').skip(1).step_by(2) {
            assert!(!label.contains(['<', '>', '`', '&']), "{label}");
            let entities = label.split('#').skip(1);
            let ours =
                |rest: &str| rest.split_once(';').is_some_and(|(n, _)| n.parse::<u32>().is_ok());
            assert!(entities.clone().all(ours), "{label}");
        }
    }
}
