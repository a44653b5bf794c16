//! Foreign text never becomes markup, whatever it says and wherever it stands.
//!
//! Every text that a definition, a node or another tool may choose is replaced, wherever it stands in
//! the input of a report. What comes out is read by parsers that browsers and code hosts use, and has
//! to be built exactly as with harmless words.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../examples/support/mod.rs"]
mod support;

mod fragments;
mod html;
mod infect;
mod laws;
mod markdown;
