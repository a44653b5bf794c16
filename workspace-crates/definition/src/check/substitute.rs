//! `${name}` and `${name.seconds}` in the texts of stages and phases.

use std::collections::BTreeMap;

use diagnostics::{Diagnostic, Location, codes, suggestion};

use super::Context;
use crate::model::{ParamValue, Text};
use crate::{Entry, Table, Value, ValueKind};

/// The parameters that texts may name.
pub(crate) struct Scope<'a> {
    /// All declared names, also those without a value because of an error reported elsewhere.
    pub(crate) declared: Vec<&'a str>,
    /// The values.
    pub(crate) values: &'a BTreeMap<String, ParamValue>,
}

/// A piece of a text.
#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Literal(&'a str),
    /// What stands between `${` and `}`.
    Reference(&'a str),
    /// A `${` without its `}`.
    Unclosed,
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        if start > 0 {
            found.push(Piece::Literal(&rest[..start]));
        }
        let after = &rest[start + 2..];
        let Some(end) = after.find('}') else {
            found.push(Piece::Unclosed);
            return found;
        };
        found.push(Piece::Reference(&after[..end]));
        rest = &after[end + 1..];
    }
    if !rest.is_empty() {
        found.push(Piece::Literal(rest));
    }
    found
}

/// The parameter that a reference names, without its suffix.
fn parameter_of(reference: &str) -> &str {
    reference.strip_suffix(".seconds").unwrap_or(reference)
}

/// Whether any text in the value contains `${`.
pub(crate) fn uses_parameters(value: &Value) -> bool {
    let mut found = false;
    visit_texts(value, &mut |text, _| found |= text.contains("${"));
    found
}

/// Calls `visit` for every text in the value.
pub(crate) fn visit_texts(value: &Value, visit: &mut impl FnMut(&str, &Location)) {
    match &value.kind {
        ValueKind::Text(text) => visit(text, &value.location),
        ValueKind::List(items) => items.iter().for_each(|item| visit_texts(item, visit)),
        ValueKind::Table(table) => {
            table.entries.iter().for_each(|entry| visit_texts(&entry.value, visit));
        }
        _ => {}
    }
}

/// The names of the parameters that a text uses; what is not a reference is reported, and so are
/// names that are not declared.
pub(crate) fn references(
    text: &str,
    location: &Location,
    declared: &[&str],
    context: &Context<'_>,
) -> Vec<String> {
    let mut names = Vec::new();
    for piece in pieces(text) {
        match piece {
            Piece::Literal(_) => {}
            Piece::Unclosed => context.sink.push(
                Diagnostic::error(codes::BAD_SUBSTITUTION, "`${` lacks its `}`")
                    .at(&context.narrow(location, "${")),
            ),
            Piece::Reference(reference) => {
                let name = parameter_of(reference);
                if !declared.contains(&name) {
                    report_unknown(reference, location, declared, context);
                }
                names.push(name.to_owned());
            }
        }
    }
    names
}

fn report_unknown(reference: &str, location: &Location, declared: &[&str], context: &Context<'_>) {
    let name = parameter_of(reference);
    context.sink.push(
        Diagnostic::error(codes::UNKNOWN_PARAMETER, format!("there is no parameter `{name}` here"))
            .at(&context.narrow(location, &format!("${{{reference}}}")))
            .help_if(suggestion(name, declared.iter().copied())),
    );
}

/// The value with every reference replaced. Unknown names and other mistakes are reported; the
/// text then stays as it is.
pub(crate) fn substitute(value: &Value, scope: &Scope<'_>, context: &Context<'_>) -> Value {
    let kind = match &value.kind {
        ValueKind::Text(text) => substitute_text(text, &value.location, scope, context),
        ValueKind::List(items) => {
            ValueKind::List(items.iter().map(|item| substitute(item, scope, context)).collect())
        }
        ValueKind::Table(table) => ValueKind::Table(Table {
            entries: table
                .entries
                .iter()
                .map(|entry| Entry {
                    value: substitute(&entry.value, scope, context),
                    ..entry.clone()
                })
                .collect(),
        }),
        other => other.clone(),
    };
    Value { kind, location: value.location.clone() }
}

/// The text with every reference replaced by text.
pub(crate) fn substitute_in(text: &Text, scope: &Scope<'_>, context: &Context<'_>) -> Text {
    let value = interpolate(&text.value, &text.location, scope, context);
    Text { value, location: text.location.clone() }
}

/// A text that is nothing but one reference becomes a value of the parameter's type.
fn substitute_text(
    text: &str,
    location: &Location,
    scope: &Scope<'_>,
    context: &Context<'_>,
) -> ValueKind {
    if let [Piece::Reference(reference)] = pieces(text).as_slice()
        && let Some(value) = scope.values.get(parameter_of(reference))
        && let Some(kind) = value_of(reference, value)
    {
        return kind;
    }
    ValueKind::Text(interpolate(text, location, scope, context))
}

/// The value of a whole reference; nothing when it asks for the seconds of what has none.
fn value_of(reference: &str, value: &ParamValue) -> Option<ValueKind> {
    let seconds = reference.ends_with(".seconds");
    Some(match value {
        ParamValue::Duration(length) if seconds => ValueKind::Number(length.seconds()),
        _ if seconds => return None,
        ParamValue::Integer(number) => ValueKind::Integer(*number),
        ParamValue::Number(number) | ParamValue::Rate(number) => ValueKind::Number(*number),
        ParamValue::String(text) => ValueKind::Text(text.clone()),
        ParamValue::Duration(length) => ValueKind::Text(length.to_string()),
        ParamValue::Bool(flag) => ValueKind::Boolean(*flag),
        ParamValue::List(items) => ValueKind::List(items.clone()),
    })
}

fn interpolate(
    text: &str,
    location: &Location,
    scope: &Scope<'_>,
    context: &Context<'_>,
) -> String {
    let _ = references(text, location, &scope.declared, context);
    let mut result = String::new();
    for piece in pieces(text) {
        match piece {
            Piece::Literal(literal) => result.push_str(literal),
            Piece::Unclosed => {}
            Piece::Reference(reference) => match text_of(reference, scope) {
                Ok(text) => result.push_str(&text),
                Err(problem) => {
                    let at = context.narrow(location, &format!("${{{reference}}}"));
                    context.sink.push(Diagnostic::error(codes::BAD_SUBSTITUTION, problem).at(&at));
                }
            },
        }
    }
    result
}

/// The text that replaces a reference inside a longer text; empty when the parameter has no value,
/// which is reported elsewhere.
fn text_of(reference: &str, scope: &Scope<'_>) -> Result<String, String> {
    let name = parameter_of(reference);
    let Some(value) = scope.values.get(name) else { return Ok(String::new()) };
    match (value_of(reference, value), value) {
        (None, _) => Err(format!("parameter `{name}` is no duration and has no seconds")),
        (Some(_), ParamValue::List(_)) => {
            Err(format!("parameter `{name}` is a list and cannot stand inside a text"))
        }
        (Some(ValueKind::Text(text)), _) => Ok(text),
        (Some(ValueKind::Number(number)), _) => Ok(number.to_string()),
        (Some(kind), _) => {
            let location = Location::whole_file("");
            Ok(Value { kind, location }.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Piece, parameter_of, pieces};

    #[test]
    fn references_literals_and_unclosed_ones_are_told_apart() {
        assert_eq!(
            pieces("a[${w}] < ${s.seconds}"),
            [
                Piece::Literal("a["),
                Piece::Reference("w"),
                Piece::Literal("] < "),
                Piece::Reference("s.seconds")
            ]
        );
        assert_eq!(pieces("a ${b"), [Piece::Literal("a "), Piece::Unclosed]);
        assert_eq!(pieces("$ {a} $"), [Piece::Literal("$ {a} $")]);
        assert_eq!(pieces("${}"), [Piece::Reference("")]);
        assert_eq!(parameter_of("stall.seconds"), "stall");
    }
}
