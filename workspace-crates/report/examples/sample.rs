//! Renders two weekly reports and their index page: `cargo run -p report --example sample -- DIR`.
#![allow(clippy::unwrap_used, reason = "an example ends at its first error")]

mod support;

use std::path::Path;

use report::{HTML_FILE, JSON_FILE, MARKDOWN_FILE, ReportModel, model, render, site};

fn write(folder: &Path, report: &ReportModel) {
    std::fs::create_dir_all(folder).unwrap();
    let rendered = render(report).unwrap();
    std::fs::write(folder.join(JSON_FILE), &rendered.json).unwrap();
    std::fs::write(folder.join(MARKDOWN_FILE), &rendered.markdown).unwrap();
    std::fs::write(folder.join(HTML_FILE), &rendered.html).unwrap();
}

fn main() {
    let root = std::env::args_os().nth(1).unwrap_or_else(|| "sample-report".into());
    let root = Path::new(&root);
    let pipeline = support::pipeline();
    let (third, fourth) = (support::advanced_evaluation(), support::held_evaluation());
    let reports = [
        model::build(&support::advanced_input(&pipeline, &third)),
        model::build(&support::held_input(&pipeline, &fourth)),
    ];
    for report in &reports {
        write(&root.join(&report.week), report);
    }
    let entries: Vec<_> =
        reports.iter().map(|report| site::Entry::of(report, report.week.clone())).collect();
    std::fs::write(root.join("index.html"), site::index(&entries).unwrap()).unwrap();
}
