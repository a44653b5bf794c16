use super::{describe, tracks, upstream};
use crate::model::{Phase, Pipeline};

const BOX_WIDTH: usize = 250;
const BOX_HEIGHT: usize = 112;
const GAP_X: usize = 70;
const GAP_Y: usize = 28;
const MARGIN: usize = 24;
const HEADER: usize = 40;
const TRACK_HEIGHT: usize = 26;
/// Longest texts that fit into a box, in characters.
const TITLE_LENGTH: usize = 30;
const TRACK_LENGTH: usize = 38;

const STYLE: &str = "\
svg{font-family:system-ui,sans-serif;background:#fff}\
.box{fill:#f6f8fa;stroke:#57606a}.internal{fill:#ddf4ff}.public{fill:#dafbe1}\
.edge{fill:none;stroke:#57606a;stroke-width:1.5}.head{fill:#57606a}\
text{fill:#1f2328;font-size:12px}.title{font-size:14px;font-weight:600}.name{font-size:18px;font-weight:600}\
@media(prefers-color-scheme:dark){svg{background:#0d1117}.box{fill:#161b22;stroke:#8b949e}\
.internal{fill:#0c2d6b}.public{fill:#033a16}.edge{stroke:#8b949e}.head{fill:#8b949e}text{fill:#e6edf3}}";

/// The pipeline as an SVG picture, drawn from left to right along the order of the phases. It is
/// self-contained, has no script, follows the reader's light or dark preference, and says the
/// same bytes for the same pipeline.
#[must_use]
pub fn svg(pipeline: &Pipeline) -> String {
    let places = places(pipeline);
    let width = 2 * MARGIN
        + places.iter().map(|place| place.x + BOX_WIDTH).max().unwrap_or(BOX_WIDTH).max(BOX_WIDTH);
    let height =
        2 * MARGIN + HEADER + places.iter().map(|place| place.y + BOX_HEIGHT).max().unwrap_or(0);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-labelledby=\"t d\">\n<title id=\"t\">{}</title>\n\
         <desc id=\"d\">{}</desc>\n<style>{STYLE}</style>\n\
         <defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         orient=\"auto\"><path class=\"head\" d=\"M0 0L8 4L0 8z\"/></marker></defs>\n",
        escape(&pipeline.title),
        escape(&pipeline.summary),
    );
    let name_y = MARGIN + 16;
    text.push_str(&format!(
        "<text class=\"name\" x=\"{MARGIN}\" y=\"{name_y}\">{}</text>\n",
        escape(&pipeline.title)
    ));
    text.push_str(&format!("<g transform=\"translate({MARGIN} {})\">\n", MARGIN + HEADER));
    for (index, phase) in pipeline.phases.iter().enumerate() {
        for before in upstream(pipeline, phase) {
            text.push_str(&edge(&places[before], &places[index]));
        }
    }
    for (phase, place) in pipeline.phases.iter().zip(&places) {
        text.push_str(&draw(phase, place));
    }
    text.push_str("</g>\n</svg>\n");
    text
}

/// Top left corner of a box.
struct Place {
    x: usize,
    y: usize,
}

/// Each phase stands one column to the right of the last one that it waits for, below those that
/// came into the column before it.
fn places(pipeline: &Pipeline) -> Vec<Place> {
    let mut columns: Vec<usize> = Vec::new();
    let mut rows: Vec<usize> = Vec::new();
    let mut places = Vec::new();
    for phase in &pipeline.phases {
        let before = upstream(pipeline, phase).filter_map(|index| columns.get(index));
        let column = before.max().map_or(0, |column| column + 1);
        columns.push(column);
        rows.resize(rows.len().max(column + 1), 0);
        let row = rows[column];
        rows[column] += 1;
        places.push(Place { x: column * (BOX_WIDTH + GAP_X), y: row * (BOX_HEIGHT + GAP_Y) });
    }
    places
}

fn edge(from: &Place, to: &Place) -> String {
    let (x1, y1) = (from.x + BOX_WIDTH, from.y + BOX_HEIGHT / 2);
    let (x2, y2) = (to.x, to.y + BOX_HEIGHT / 2);
    let bend = GAP_X / 2;
    format!(
        "<path class=\"edge\" marker-end=\"url(#a)\" d=\"M{x1} {y1}C{} {y1} {} {y2} {x2} {y2}\"/>\n",
        x1 + bend,
        x2.saturating_sub(bend),
    )
}

fn draw(phase: &Phase, place: &Place) -> String {
    let mut text = format!(
        "<g transform=\"translate({} {})\"><title>{}</title>\n\
         <rect class=\"box\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"6\"/>\n\
         <text class=\"title\" x=\"12\" y=\"22\">{}</text>\n<text x=\"12\" y=\"40\">{}</text>\n",
        place.x,
        place.y,
        escape(&format!("{}: {}", phase.title, phase.summary)),
        escape(&shorten(&phase.title, TITLE_LENGTH)),
        escape(&shorten(&format!("{} · {}", phase.id, phase.stage), TRACK_LENGTH)),
    );
    for (row, track) in tracks(phase).into_iter().enumerate() {
        let y = 50 + row * (TRACK_HEIGHT + 2);
        let label = shorten(&format!("{track}: {}", describe(phase, track)), TRACK_LENGTH);
        text.push_str(&format!(
            "<rect class=\"{track}\" x=\"8\" y=\"{y}\" width=\"{}\" height=\"{TRACK_HEIGHT}\" rx=\"4\"/>\n\
             <text x=\"16\" y=\"{}\">{}</text>\n",
            BOX_WIDTH - 16,
            y + 17,
            escape(&label),
        ));
    }
    text.push_str("</g>\n");
    text
}

fn shorten(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(length - 1).collect();
    short.push('…');
    short
}

/// Text as XML takes it; characters that XML forbids are written out.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in diagnostics::render::escape(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => {}
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{escape, shorten};

    #[test]
    fn markup_and_controls_are_text() {
        assert_eq!(escape("<script>&\"\u{1}"), "&lt;script&gt;&amp;&quot;\\u{1}");
    }

    #[test]
    fn long_texts_are_cut_at_characters() {
        assert_eq!(shorten("äöü", 3), "äöü");
        assert_eq!(shorten("äöüß", 3), "äö…");
    }
}
