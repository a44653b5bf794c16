use serde_json::{Value, json};

use super::{Region, escape_json};
use crate::{CODES, CodeInfo, Diagnostic, Location, SourceMap};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// Diagnostics as a SARIF 2.1.0 log with one run. `tool_version` is the version of the program.
/// Columns count Unicode code points, as the log says.
#[must_use]
pub fn sarif(diagnostics: &[Diagnostic], sources: &SourceMap, tool_version: &str) -> String {
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "phasegate",
                "version": tool_version,
                "rules": CODES.iter().map(rule).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": {
                "ROOT": { "description": { "text": "The root of the definitions." } },
            },
            "results": diagnostics.iter().map(|it| result(it, sources)).collect::<Vec<_>>(),
        }],
    });
    escape_json(&format!("{log:#}\n"))
}

fn rule(info: &CodeInfo) -> Value {
    json!({
        "id": info.code,
        "name": info.name,
        "shortDescription": { "text": info.summary },
    })
}

fn result(diagnostic: &Diagnostic, sources: &SourceMap) -> Value {
    let mut sentences = vec![diagnostic.message.clone()];
    sentences.extend(diagnostic.notes.iter().cloned());
    sentences.extend(diagnostic.help.clone());
    let mut object = json!({
        "ruleId": diagnostic.code,
        "level": diagnostic.severity.as_str(),
        "message": { "text": sentences.join("\n") },
        "locations": diagnostic.primary.iter().map(|it| location(it, sources)).collect::<Vec<_>>(),
    });
    if let Some(index) = CODES.iter().position(|info| info.code == diagnostic.code) {
        object["ruleIndex"] = index.into();
    }
    if !diagnostic.labels.is_empty() {
        let related = diagnostic.labels.iter().map(|label| {
            let mut place = location(&label.location, sources);
            place["message"] = json!({ "text": label.text });
            place
        });
        object["relatedLocations"] = related.collect();
    }
    object
}

fn location(location: &Location, sources: &SourceMap) -> Value {
    let mut physical = json!({
        "artifactLocation": { "uri": uri(&location.file), "uriBaseId": "ROOT" },
    });
    if let Some(region) = Region::of(location, sources) {
        physical["region"] = json!({
            "startLine": region.line,
            "startColumn": region.column,
            "endLine": region.end_line,
            "endColumn": region.end_column,
        });
    }
    json!({ "physicalLocation": physical })
}

/// The path as a relative URI reference: what RFC 3986 does not take as it is becomes `%XX`.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_become_relative_uris() {
        assert_eq!(uri("stages/a/stage.toml"), "stages/a/stage.toml");
        assert_eq!(uri("a b#ä.toml"), "a%20b%23%C3%A4.toml");
    }
}
