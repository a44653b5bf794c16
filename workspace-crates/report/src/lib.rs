//! Weekly reports: a pure model, its renderings as JSON, Markdown and HTML, and the statement that
//! is signed about them.
//!
//! The way is `Input` → [`model::build`] → [`ReportModel`] → [`render()`] → [`statement()`]. Foreign text
//! (node names, titles, reasons) is cleaned once, when the model is built, and escaped by each
//! renderer for its format.
//!
//! Architecture invariant: `report` reads no clock, no file and no network, and the same model
//! gives the same bytes. Only this crate knows the template engine.

pub mod bundle;
mod chart;
mod error;
mod html;
mod input;
mod markdown;
pub mod model;
mod render;
pub mod site;
mod statement;
mod text;
mod view;
mod words;

pub use error::Error;
pub use input::{
    EpochEvidence, GateAnswer, Host, Input, LedgerState, NextEvent, NextStep, PhaseRow, Standing,
    TimelineEvent, TimelineItem, TrackRow,
};
pub use model::ReportModel;
pub use render::{EVALUATION_FILE, HTML_FILE, JSON_FILE, MARKDOWN_FILE, Rendered, render};
pub use statement::{VERIFIER_ID, statement};
pub use text::clean;
