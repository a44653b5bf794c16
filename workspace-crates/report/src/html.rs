//! The report as one page: no script, nothing loaded from elsewhere, every text escaped by the
//! template engine. Only the style sheet and the charts, which this crate writes, are put in as they are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tera::{Context, Tera};

use crate::Error;
use crate::view::View;

const STYLE: &str = include_str!("templates/style.css");

const TEMPLATES: [(&str, &str); 5] = [
    ("layout.html", include_str!("templates/layout.html")),
    ("report.html", include_str!("templates/report.html")),
    ("front.html", include_str!("templates/front.html")),
    ("gate.html", include_str!("templates/gate.html")),
    ("site.html", include_str!("templates/site.html")),
];

/// Renders a report.
pub(crate) fn render(view: &View) -> Result<String, Error> {
    page("report.html", Context::from_serialize(view)?)
}

/// Renders one of the pages with the style sheet and the policy that allows nothing but it.
pub(crate) fn page(template: &str, mut context: Context) -> Result<String, Error> {
    let mut tera = Tera::default();
    tera.add_raw_templates(TEMPLATES)?;
    context.insert("style", STYLE);
    context.insert("style_hash", &style_hash());
    Ok(tera.render(template, &context)?)
}

/// The style sheet's hash as a content security policy names it.
fn style_hash() -> String {
    format!("sha256-{}", STANDARD.encode(base::Digest::of(STYLE.as_bytes()).0))
}
