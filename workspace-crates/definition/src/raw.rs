//! The shape of definition files, before references are resolved and parameters are filled in.

mod gate;
mod pipeline;
mod server;
mod stage;

use diagnostics::{Diagnostic, Location, codes};

use crate::Value;
use crate::shape::{Shape, Sink};

pub(crate) use gate::{RawCondition, RawGate, RawGates, RawOnFail, RawOperation};
pub(crate) use pipeline::{RawPhase, RawPipeline};
pub(crate) use server::{RawServers, read_servers};
pub(crate) use stage::{ParamKind, RawParam, RawStage};

/// The only schema version that this program reads.
pub(crate) const SCHEMA: i64 = 1;

/// Checks the schema version. Files of another version are not read any further, because every
/// other message about them would be a guess.
pub(crate) fn schema_is_known(document: &Shape<'_>, sink: &Sink) -> bool {
    let Some(version) = document.required("schema") else { return true };
    if version.kind == crate::ValueKind::Integer(SCHEMA) {
        return true;
    }
    let message = format!("schema version {version} is not one that this program reads");
    sink.push(Diagnostic::error(codes::SCHEMA, message).at(&version.location).help(format!(
        "write `schema = {SCHEMA}`, or use the release that the file was written for"
    )));
    false
}

/// Reports things of one kind that share a name.
pub(crate) fn report_duplicates<'a>(
    what: &str,
    names: impl IntoIterator<Item = (&'a str, &'a Location)>,
    sink: &Sink,
) {
    let mut seen: Vec<(&str, &Location)> = Vec::new();
    for (name, location) in names {
        match seen.iter().find(|(earlier, _)| *earlier == name) {
            Some((_, first)) => sink.push(
                Diagnostic::error(codes::DUPLICATE, format!("{what} `{name}` occurs twice"))
                    .at_with(location, "again here")
                    .label(first, "first here"),
            ),
            None => seen.push((name, location)),
        }
    }
}

/// Reports a name that differs from the one that the path of its file asks for.
pub(crate) fn check_name(name: &str, expected: &str, location: &Location, sink: &Sink) {
    if name != expected {
        let message = format!("the name `{name}` differs from `{expected}`, which its path says");
        sink.push(Diagnostic::error(codes::NAME_MISMATCH, message).at(location));
    }
}

/// The empty table, where a table is left out.
pub(crate) fn empty_table(location: &Location) -> Value {
    Value { kind: crate::ValueKind::Table(crate::Table::default()), location: location.clone() }
}
