//! Values of stage parameters: types, ranges, defaults, overrides.

use std::collections::{BTreeMap, BTreeSet};

use base::Duration;
use diagnostics::{Diagnostic, Location, codes, suggestion};

use super::Context;
use super::substitute::{Scope, substitute, uses_parameters};
use crate::model::ParamValue;
use crate::raw::{ParamKind, RawParam, RawStage};
use crate::value::parse_fragment;
use crate::{Entry, Value, ValueKind};

const MILLIS_SHORTEST: i64 = 1;

/// The value as one of the parameter's type, or what it is instead.
pub(crate) fn typed(kind: ParamKind, value: &Value) -> Result<ParamValue, String> {
    let wrong = || Err(format!("expected {}, found {}", article(kind), value.kind.describe()));
    match (kind, &value.kind) {
        (ParamKind::Integer, ValueKind::Integer(number)) => Ok(ParamValue::Integer(*number)),
        (ParamKind::Number, ValueKind::Integer(number)) => Ok(ParamValue::Number(*number as f64)),
        (ParamKind::Number, ValueKind::Number(number)) => Ok(ParamValue::Number(*number)),
        (ParamKind::Rate, ValueKind::Integer(number)) => Ok(ParamValue::Rate(*number as f64)),
        (ParamKind::Rate, ValueKind::Number(number)) => Ok(ParamValue::Rate(*number)),
        (ParamKind::String, ValueKind::Text(text)) => Ok(ParamValue::String(text.clone())),
        (ParamKind::Duration, ValueKind::Text(text)) => {
            text.parse().map(ParamValue::Duration).map_err(|error| error.to_string())
        }
        (ParamKind::Bool, ValueKind::Boolean(flag)) => Ok(ParamValue::Bool(*flag)),
        (ParamKind::List, ValueKind::List(items)) => Ok(ParamValue::List(items.clone())),
        _ => wrong(),
    }
}

fn article(kind: ParamKind) -> &'static str {
    match kind {
        ParamKind::Integer => "an integer",
        ParamKind::Number => "a number",
        ParamKind::Rate => "a number of times a second",
        ParamKind::String => "a text",
        ParamKind::Duration => "a duration such as \"90h\"",
        ParamKind::Bool => "a boolean",
        ParamKind::List => "a list",
    }
}

/// A number by which values of one ordered type compare.
fn magnitude(value: &ParamValue) -> Option<f64> {
    match value {
        ParamValue::Integer(number) => Some(*number as f64),
        ParamValue::Number(number) | ParamValue::Rate(number) => Some(*number),
        ParamValue::Duration(length) => Some(length.micros() as f64),
        ParamValue::String(_) | ParamValue::Bool(_) | ParamValue::List(_) => None,
    }
}

/// Why a value is not one that the declaration allows.
fn out_of_range(param: &RawParam, value: &ParamValue) -> Option<String> {
    let bound = |bound: &Option<Value>| {
        let bound = bound.as_ref()?;
        Some((magnitude(&typed(param.kind, bound).ok()?)?, bound.clone()))
    };
    let size = magnitude(value);
    if let (Some(size), Some((min, shown))) = (size, bound(&param.min))
        && size < min
    {
        return Some(format!("the smallest value allowed is {shown}"));
    }
    if let (Some(size), Some((max, shown))) = (size, bound(&param.max))
        && size > max
    {
        return Some(format!("the largest value allowed is {shown}"));
    }
    let allowed = |item: &Value| typed(param.kind, item).is_ok_and(|item| item == *value);
    if !param.one_of.is_empty() && !param.one_of.iter().any(allowed) {
        let words: Vec<String> = param.one_of.iter().map(ToString::to_string).collect();
        return Some(format!("the values allowed are {}", words.join(", ")));
    }
    None
}

/// Durations shorter and rates higher by the time scale.
fn scaled(value: ParamValue, factor: f64) -> ParamValue {
    match value {
        ParamValue::Duration(length) => ParamValue::Duration(scaled_duration(length, factor)),
        ParamValue::Rate(rate) => ParamValue::Rate(rate * factor),
        other => other,
    }
}

/// A duration divided by `factor`, to the millisecond and never down to nothing.
pub(crate) fn scaled_duration(length: Duration, factor: f64) -> Duration {
    if factor == 1.0 || length == Duration::ZERO {
        return length;
    }
    let millis = (length.seconds() * 1_000.0 / factor).round() as i64;
    let shortest = if length.is_positive() { MILLIS_SHORTEST } else { -MILLIS_SHORTEST };
    Duration::from_millis(if millis == 0 { shortest } else { millis })
}

/// Checks a declaration by itself: default, bounds and choices have its type.
pub(crate) fn check_declaration(name: &str, param: &RawParam, context: &Context<'_>) {
    let report = |code, message: String, at: &Location| {
        context.sink.push(Diagnostic::error(code, message).at(at));
    };
    for (key, bound) in [("min", &param.min), ("max", &param.max)] {
        let Some(bound) = bound else { continue };
        if !param.kind.is_ordered() {
            let message =
                format!("`{key}` means nothing for a parameter of type {}", param.kind.word());
            report(codes::CONFLICT, message, &bound.location);
        } else if let Err(problem) = typed(param.kind, bound) {
            report(
                codes::PARAMETER_TYPE,
                format!("`{key}` of `{name}`: {problem}"),
                &bound.location,
            );
        }
    }
    for item in &param.one_of {
        if let Err(problem) = typed(param.kind, item) {
            report(
                codes::PARAMETER_TYPE,
                format!("`one_of` of `{name}`: {problem}"),
                &item.location,
            );
        }
    }
    if let Some(default) = &param.default {
        let _ = checked_value(name, param, default, true, context);
    }
}

/// A value of the parameter's type and range, or nothing with a diagnostic.
fn checked_value(
    name: &str,
    param: &RawParam,
    value: &Value,
    check_range: bool,
    context: &Context<'_>,
) -> Option<ParamValue> {
    match typed(param.kind, value) {
        Err(problem) => {
            context.sink.push(
                Diagnostic::error(codes::PARAMETER_TYPE, format!("parameter `{name}`: {problem}"))
                    .at(&value.location)
                    .label(&param.location, "declared here"),
            );
            None
        }
        Ok(typed) => {
            if let Some(help) = out_of_range(param, &typed).filter(|_| check_range) {
                let message = format!("parameter `{name}` cannot be {value}");
                context.sink.push(
                    Diagnostic::error(codes::PARAMETER_RANGE, message)
                        .at(&value.location)
                        .label(&param.location, "declared here")
                        .help(help),
                );
                return None;
            }
            Some(typed)
        }
    }
}

/// The values of all parameters of a stage: overrides first, then those given, then defaults.
/// `outer` fills in `${…}` in the values given, when an including stage gives them.
pub(crate) fn bind(
    stage: &RawStage,
    given: &Value,
    outer: Option<&Scope<'_>>,
    used_in: &str,
    context: &Context<'_>,
) -> BTreeMap<String, ParamValue> {
    let given_at = &given.location;
    let given: &[Entry] = given.as_table().map_or(&[], |table| &table.entries);
    for entry in given.iter().filter(|entry| !stage.param_names.contains(&entry.key)) {
        report_unknown(stage, entry, context);
    }
    let mut values = BTreeMap::new();
    for (name, param) in &stage.params {
        let entry = given.iter().find(|entry| entry.key == *name);
        values.extend(bind_one(name, param, entry, outer, context).map(|v| (name.clone(), v)));
    }
    report_missing(stage, given, given_at, used_in, context);
    values
}

fn bind_one(
    name: &str,
    param: &RawParam,
    entry: Option<&Entry>,
    outer: Option<&Scope<'_>>,
    context: &Context<'_>,
) -> Option<ParamValue> {
    let given = entry.map(|entry| match outer {
        Some(scope) => substitute(&entry.value, scope, context),
        None => entry.value.clone(),
    });
    // The value of the outer stage is scaled already, and its own range was checked there.
    let passed_on = outer.is_some() && entry.is_some_and(|entry| uses_parameters(&entry.value));
    let check_range = !passed_on || context.time_scale() == 1.0;
    let factor = if passed_on { 1.0 } else { context.time_scale() };
    let value = match &given {
        Some(value) => checked_value(name, param, value, check_range, context),
        // A wrong default is reported where it is declared.
        None => param.default.as_ref().and_then(|value| typed(param.kind, value).ok()),
    };
    match context.overrides.set.get(name) {
        Some(text) => {
            // A bad override is reported once, for all phases.
            parse_override(param.kind, text).ok()
        }
        None => value.map(|value| scaled(value, factor)),
    }
}

fn report_unknown(stage: &RawStage, entry: &Entry, context: &Context<'_>) {
    let message = format!("stage `{}` has no parameter `{}`", stage.id, entry.key);
    let help = suggestion(&entry.key, stage.param_names.iter().map(String::as_str));
    context.sink.push(
        Diagnostic::error(codes::UNKNOWN_PARAMETER, message).at(&entry.key_location).help_if(help),
    );
}

fn report_missing(
    stage: &RawStage,
    given: &[Entry],
    given_at: &Location,
    used_in: &str,
    context: &Context<'_>,
) {
    for (name, param) in &stage.params {
        let has_value = param.default.is_some()
            || given.iter().any(|entry| entry.key == *name)
            || context.overrides.set.contains_key(name);
        if !has_value {
            let message = format!("parameter `{name}` of stage `{}` has no value", stage.id);
            context.sink.push(
                Diagnostic::error(codes::MISSING_PARAMETER, format!("{message} {used_in}"))
                    .at(given_at)
                    .label(&param.location, format!("declared here: {}", param.doc))
                    .help(format!("give `{name}` (type {}) in `params`", param.kind.word())),
            );
        }
    }
}

fn parse_override(kind: ParamKind, text: &str) -> Result<ParamValue, String> {
    let value = match kind {
        ParamKind::String | ParamKind::Duration => Value {
            kind: ValueKind::Text(text.to_owned()),
            location: Location::whole_file("--set"),
        },
        _ => parse_fragment("--set", text)?,
    };
    typed(kind, &value)
}

/// Checks that every override fits a parameter of some stage.
pub(crate) fn check_overrides(context: &Context<'_>) {
    let report = |message: String, help: Option<String>| {
        context.sink.push(Diagnostic::error(codes::BAD_OVERRIDE, message).help_if(help));
    };
    if !(context.time_scale().is_finite() && context.time_scale() > 0.0) {
        report(format!("the time scale cannot be {}", context.time_scale()), None);
    }
    let stages: Vec<&RawStage> = context.stages.values().flatten().collect();
    for (name, text) in &context.overrides.set {
        let declarations: Vec<&RawParam> =
            stages.iter().filter_map(|stage| stage.params.get(name)).collect();
        if declarations.is_empty() {
            let names: BTreeSet<&str> =
                stages.iter().flat_map(|stage| stage.params.keys()).map(String::as_str).collect();
            let message = format!("no stage has a parameter `{name}` to set");
            report(message, suggestion(name, names.iter().copied()));
        }
        for param in declarations {
            let problem = match parse_override(param.kind, text) {
                Ok(value) => out_of_range(param, &value),
                Err(problem) => Some(problem),
            };
            if let Some(problem) = problem {
                report(format!("parameter `{name}` cannot be set to `{text}`: {problem}"), None);
            }
        }
    }
}
