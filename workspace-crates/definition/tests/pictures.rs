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
