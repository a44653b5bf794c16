//! Replies of Prometheus' HTTP API.

use std::collections::BTreeMap;

use gates::{AnsweredSeries, Question};
use serde::Deserialize;

/// What a server says about a range.
#[derive(Debug, PartialEq)]
pub(super) struct Reply {
    pub(super) result: Vec<AnsweredSeries>,
    pub(super) warnings: Vec<String>,
    /// Whether the server says that data is missing.
    pub(super) partial: Option<String>,
}

/// Why a reply is no answer.
#[derive(Debug, PartialEq)]
pub(super) enum BadReply {
    /// It does not have its form.
    Malformed(String),
    /// The server says that it failed, and that it may not fail again.
    Failed(String),
    /// The server says that it will not answer this.
    Refused(String),
}

#[derive(Deserialize)]
struct Raw {
    status: String,
    data: Option<Data>,
    #[serde(default, rename = "errorType")]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Option<Vec<String>>,
    #[serde(default)]
    infos: Option<Vec<String>>,
    #[serde(default, rename = "isPartial")]
    is_partial: Option<bool>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    result_type: String,
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
    #[serde(default)]
    histograms: Option<serde::de::IgnoredAny>,
}

/// Reads the reply to `piece`.
pub(super) fn read(bytes: &[u8], piece: &Question) -> Result<Reply, BadReply> {
    let raw: Raw = parse(bytes)?;
    if raw.status != "success" {
        let said = sentence_part(&raw.error);
        return match raw.error_type.as_str() {
            "timeout" | "canceled" | "internal" | "unavailable" => Err(BadReply::Failed(said)),
            _ => Err(BadReply::Refused(said)),
        };
    }
    let Some(data) = raw.data else {
        return Err(BadReply::Malformed("it has no data".to_owned()));
    };
    if data.result_type != "matrix" {
        let found = sentence_part(&data.result_type);
        return Err(BadReply::Malformed(format!("it holds a {found} and not a matrix")));
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut result = Vec::with_capacity(data.result.len());
    for series in data.result {
        if series.histograms.is_some() {
            let why = "it holds native histograms, which are not judged";
            return Err(BadReply::Malformed(why.to_owned()));
        }
        let series = AnsweredSeries { metric: series.metric, values: series.values };
        series.points(piece).map_err(|why| BadReply::Malformed(lower_first(&why)))?;
        if !seen.insert(series.metric.clone()) {
            return Err(BadReply::Malformed("it holds the same series twice".to_owned()));
        }
        result.push(series);
    }
    let remarks = raw.warnings.unwrap_or_default();
    // What the language remarks says nothing about the data; every other warning does.
    let (remarks, doubts): (Vec<String>, Vec<String>) =
        remarks.into_iter().partition(|text| text.starts_with("PromQL "));
    let partial = match (raw.is_partial, doubts.first()) {
        (_, Some(doubt)) => Some(format!("the server warns: {}", sentence_part(doubt))),
        (Some(true), None) => Some("the server says that data is missing in its answer".to_owned()),
        _ => None,
    };
    let warnings = remarks.into_iter().chain(raw.infos.unwrap_or_default());
    Ok(Reply { result, warnings: warnings.map(|text| sentence_part(&text)).collect(), partial })
}

fn parse(bytes: &[u8]) -> Result<Raw, BadReply> {
    let start = bytes.trim_ascii_start();
    if start.is_empty() {
        return Err(BadReply::Malformed("it is empty".to_owned()));
    }
    if start.starts_with(b"<") {
        let why = "it is a page for people and not an answer; is a login or a proxy in between?";
        return Err(BadReply::Malformed(why.to_owned()));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        // The message may quote what the server sent; the place says enough.
        let (line, column) = (error.line(), error.column());
        BadReply::Malformed(format!("it is not an answer of Prometheus' API at {line}:{column}"))
    })
}

/// What an error reply says, if it says something in Prometheus' form.
pub(super) fn error_text(bytes: &[u8]) -> Option<String> {
    let raw: Raw = serde_json::from_slice(bytes).ok()?;
    (!raw.error.is_empty()).then(|| sentence_part(&raw.error))
}

/// A text of the server, bounded, on one line, and without its final stop.
pub(super) fn sentence_part(text: &str) -> String {
    const CHARS_MAX: usize = 300;
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut short: String = flat.chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect();
    if flat.chars().count() > CHARS_MAX {
        short.push('…');
    }
    match short.trim_end_matches('.') {
        "" => "nothing more".to_owned(),
        short => short.to_owned(),
    }
}

fn lower_first(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
