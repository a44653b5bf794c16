use serde_json::{Map, Value, json};

use super::{Region, escape_json};
use crate::{Diagnostic, Location, SourceMap, explain};

/// Version of the JSON form; it changes when a reader of the old form would go wrong.
const VERSION: u32 = 1;

/// Diagnostics as one JSON object: `version`, `errors`, `warnings` and the array `diagnostics`.
/// Lines and columns count from 1, columns in characters; the end is exclusive. Places are `null`
/// where no file is to blame.
#[must_use]
pub fn json(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
    let object = json!({
        "version": VERSION,
        "errors": errors,
        "warnings": diagnostics.len() - errors,
        "diagnostics": diagnostics.iter().map(|it| one(it, sources)).collect::<Vec<_>>(),
    });
    escape_json(&format!("{object:#}\n"))
}

fn one(diagnostic: &Diagnostic, sources: &SourceMap) -> Value {
    let mut object = place(diagnostic.primary.as_ref(), sources);
    let labels: Vec<Value> = diagnostic
        .labels
        .iter()
        .map(|label| {
            let mut object = place(Some(&label.location), sources);
            object.insert("text".to_owned(), label.text.clone().into());
            object.into()
        })
        .collect();
    let rest = json!({
        "code": diagnostic.code,
        "name": explain(diagnostic.code).map(|info| info.name),
        "severity": diagnostic.severity.as_str(),
        "message": diagnostic.message,
        "text": diagnostic.primary_text,
        "labels": labels,
        "help": diagnostic.help,
        "notes": diagnostic.notes,
    });
    if let Value::Object(rest) = rest {
        object.extend(rest);
    }
    object.into()
}

fn place(location: Option<&Location>, sources: &SourceMap) -> Map<String, Value> {
    let region = location.and_then(|location| Region::of(location, sources));
    let number = |get: fn(&Region) -> usize| region.as_ref().map_or(Value::Null, |r| get(r).into());
    let file = location.map_or(Value::Null, |location| (*location.file).into());
    [
        ("file", file),
        ("line", number(|region| region.line)),
        ("column", number(|region| region.column)),
        ("end_line", number(|region| region.end_line)),
        ("end_column", number(|region| region.end_column)),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}
