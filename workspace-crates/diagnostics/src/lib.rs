//! Diagnostics about definition files: source map, stable codes, spans, and their rendering as
//! text for people, JSON for tools and SARIF for code hosts.
//!
//! Architecture invariant: `diagnostics` performs no I/O and knows nothing of TOML or of gates;
//! it is handed texts, byte ranges and messages.

pub mod codes;
mod diagnostic;
pub mod render;
mod source;
mod suggest;

pub use codes::{CODES, CodeInfo, explain};
pub use diagnostic::{Diagnostic, Label, Severity, has_errors, sort};
pub use source::{Location, Position, SourceMap};
pub use suggest::{suggest, suggestion};
