//! Charts as inline SVG. Colours come from the classes of the page's style sheet, so that a chart
//! follows light and dark; nothing is told by colour alone.

mod axis;
mod lanes;
mod line;
mod svg;
mod timeline;

pub(crate) use lanes::{is_condition, lanes};
pub(crate) use line::line;
pub(crate) use timeline::timeline;

/// Width of every chart in its own units; the page scales it.
const WIDTH: f64 = 760.0;
