use std::collections::BTreeMap;

use base::StageId;
use diagnostics::Location;

use super::gate::read_condition;
use super::{RawCondition, RawGates, check_name, empty_table, report_duplicates, schema_is_known};
use crate::model::Text;
use crate::shape::{Shape, Sink, parse_id};
use crate::{Entry, Value};

/// A stage whose parameters are not filled in.
#[derive(Debug, Clone)]
pub(crate) struct RawStage {
    pub(crate) id: StageId,
    pub(crate) title: String,
    pub(crate) summary: String,
    /// The names of all parameters, also of those that could not be read.
    pub(crate) param_names: Vec<String>,
    pub(crate) params: BTreeMap<String, RawParam>,
    pub(crate) includes: Vec<RawInclude>,
    pub(crate) network: Value,
    pub(crate) conditions: Vec<RawCondition>,
    pub(crate) gates: RawGates,
    pub(crate) location: Location,
}

/// A declared parameter; `default`, `min`, `max` and `one_of` are not checked yet.
#[derive(Debug, Clone)]
pub(crate) struct RawParam {
    pub(crate) kind: ParamKind,
    pub(crate) default: Option<Value>,
    pub(crate) min: Option<Value>,
    pub(crate) max: Option<Value>,
    pub(crate) one_of: Vec<Value>,
    pub(crate) doc: String,
    pub(crate) location: Location,
}

#[derive(Debug, Clone)]
pub(crate) struct RawInclude {
    pub(crate) stage: Text,
    pub(crate) params: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParamKind {
    Integer,
    Number,
    Rate,
    String,
    Duration,
    Bool,
    List,
}

impl ParamKind {
    const WORDS: [(&'static str, Self); 7] = [
        ("integer", Self::Integer),
        ("number", Self::Number),
        ("rate", Self::Rate),
        ("string", Self::String),
        ("duration", Self::Duration),
        ("bool", Self::Bool),
        ("list", Self::List),
    ];

    /// The word that stage files use.
    pub(crate) fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }

    /// Whether values have an order, so that `min` and `max` mean something.
    pub(crate) fn is_ordered(self) -> bool {
        matches!(self, Self::Integer | Self::Number | Self::Rate | Self::Duration)
    }
}

impl RawStage {
    /// Reads `stages/<folder>/stage.toml`.
    pub(crate) fn read(document: &Value, folder: &str, sink: &Sink) -> Option<Self> {
        let shape = Shape::of(document, "a stage", sink)?;
        if !schema_is_known(&shape, sink) {
            return None;
        }
        let name = shape.id::<StageId>("name");
        if let Some((name, location)) = &name {
            check_name(name.as_str(), folder, location, sink);
        }
        let title = shape.text("title");
        let summary = shape.text("summary");
        let param_names = shape.entries("params").iter().map(|entry| entry.key.clone()).collect();
        let params =
            shape.entries("params").iter().filter_map(|entry| read_param(entry, sink)).collect();
        let includes: Vec<RawInclude> =
            shape.list("include").iter().filter_map(|item| read_include(item, sink)).collect();
        let network = shape.optional_table("network").cloned();
        let conditions: Vec<RawCondition> = shape
            .entries("conditions")
            .iter()
            .filter_map(|entry| read_condition(entry, sink))
            .collect();
        let gates = RawGates::read(shape.list("gate"), sink);
        shape.finish();
        report_duplicates("include", include_names(&includes), sink);
        let (_, location) = name?;
        Some(Self {
            id: StageId::new(folder).ok()?,
            title: title?.value,
            summary: summary?.value,
            param_names,
            params,
            includes,
            network: network.unwrap_or_else(|| empty_table(&location)),
            conditions,
            gates,
            location,
        })
    }
}

fn include_names(includes: &[RawInclude]) -> impl Iterator<Item = (&str, &Location)> {
    includes.iter().map(|include| (include.stage.value.as_str(), &include.stage.location))
}

fn read_param(entry: &Entry, sink: &Sink) -> Option<(String, RawParam)> {
    let shape = Shape::of(&entry.value, "a parameter", sink)?;
    let kind = shape.choice("type", &ParamKind::WORDS);
    let value = |key| shape.optional(key).map(|found| found.value.clone());
    let (default, min, max) = (value("default"), value("min"), value("max"));
    let one_of = shape.list("one_of").to_vec();
    let doc = shape.text("doc");
    shape.finish();
    let name = Text { value: entry.key.clone(), location: entry.key_location.clone() };
    let _: StageId = parse_id(&name, sink)?;
    let location = name.location;
    let param = RawParam { kind: kind?, default, min, max, one_of, doc: doc?.value, location };
    Some((name.value, param))
}

fn read_include(item: &Value, sink: &Sink) -> Option<RawInclude> {
    let shape = Shape::of(item, "an include", sink)?;
    let stage = shape.text("stage");
    let params = shape.optional_table("params").cloned();
    shape.finish();
    let stage = stage?;
    let params = params.unwrap_or_else(|| empty_table(&stage.location));
    Some(RawInclude { stage, params })
}
