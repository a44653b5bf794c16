use std::collections::BTreeMap;

use base::{Duration, StageId};
use diagnostics::Location;
use serde::Serialize;

use crate::Value;

/// A reusable definition of one kind of phase. Its gates are found in the phases that use it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Its name: that of its folder.
    pub id: StageId,
    /// What it is called in reports.
    pub title: String,
    /// What it is for, in one sentence.
    pub summary: String,
    /// Its parameters by name.
    pub params: BTreeMap<String, StageParam>,
    /// The stages whose gates join this one's.
    pub includes: Vec<StageId>,
    /// Where the stage stands.
    pub location: Location,
}

/// A parameter that a stage declares.
#[derive(Debug, Clone, PartialEq)]
pub struct StageParam {
    /// Its name.
    pub name: String,
    /// The word for its type: `integer`, `number`, `rate`, `string`, `duration`, `bool` or `list`.
    pub type_name: &'static str,
    /// Its value where a phase gives none.
    pub default: Option<ParamValue>,
    /// What it means.
    pub doc: String,
    /// Where it is declared.
    pub location: Location,
}

/// The value of a stage parameter.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ParamValue {
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Number(f64),
    /// So many a second.
    Rate(f64),
    /// A text.
    String(String),
    /// A length of time.
    Duration(Duration),
    /// `true` or `false`.
    Bool(bool),
    /// A list of values.
    List(Vec<Value>),
}
