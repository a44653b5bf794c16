use base::Track;

use super::{describe, tracks, upstream};
use crate::model::{Phase, Pipeline};

/// The pipeline as Mermaid text: one box per phase with its tracks, and arrows along the order.
#[must_use]
pub fn mermaid(pipeline: &Pipeline) -> String {
    let mut lines = vec!["flowchart LR".to_owned()];
    for (index, phase) in pipeline.phases.iter().enumerate() {
        let tracks = tracks(phase);
        let title = format!("{}: {}", phase.id, phase.title);
        lines.push(format!("  subgraph p{index}[\"{}\"]", escape(&title)));
        for track in &tracks {
            let text = format!("{track}: {}", describe(phase, *track));
            lines.push(format!("    {}[\"{}\"]", node(index, *track), escape(&text)));
        }
        if let [internal, public] = tracks.as_slice() {
            lines.push(format!("    {} --> {}", node(index, *internal), node(index, *public)));
        }
        lines.push("  end".to_owned());
    }
    for (index, phase) in pipeline.phases.iter().enumerate() {
        for before in upstream(pipeline, phase) {
            let from = end(&pipeline.phases[before], before, <[Track]>::last);
            let to = end(phase, index, <[Track]>::first);
            lines.push(format!("  {from} --> {to}"));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn node(index: usize, track: Track) -> String {
    format!("p{index}_{track}")
}

fn end(phase: &Phase, index: usize, pick: fn(&[Track]) -> Option<&Track>) -> String {
    pick(&tracks(phase)).map_or_else(|| format!("p{index}"), |track| node(index, *track))
}

/// Mermaid reads `#name;` and `#number;` as characters; everything that could end a text or start
/// markup is written so.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in diagnostics::render::escape(text).chars() {
        match character {
            '"' | '<' | '>' | '&' | '#' | ';' | '`' | '\\' => {
                escaped.push_str(&format!("#{};", u32::from(character)));
            }
            '\n' | '\t' => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn markup_cannot_leave_its_label() {
        assert_eq!(escape("a\"] --> <b>\n"), "a#34;] --#62; #60;b#62; ");
    }
}
