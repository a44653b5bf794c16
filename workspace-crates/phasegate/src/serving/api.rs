//! What each path answers. Everything here is plain values: no sockets, no clock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hyper::StatusCode;
use promql::{Query, ValueKind};
use samples::Labels;

use super::params::Params;
use super::selector::Selectors;
use crate::commands::query::SUBQUERY_STEP;
use crate::queries::{Bounds, Sampled, Stopped, What, json, run};

/// Points of one series that Prometheus gives at most.
const POINTS_MAX: i64 = 11_000;

/// Why a request has no answer.
#[derive(Debug)]
pub struct Refusal {
    /// The status of the response.
    pub status: StatusCode,
    /// The `errorType`, as in Prometheus.
    pub kind: &'static str,
    /// What happened.
    pub message: String,
}

impl Refusal {
    /// The request cannot be understood.
    pub fn bad(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "bad_data", message: message.into() }
    }

    /// A parameter of the request cannot be understood.
    pub fn parameter(name: &str, why: &str) -> Self {
        Self::bad(format!("invalid parameter \"{name}\": {why}"))
    }

    /// The query could not be finished in time, or at all, at this moment.
    pub fn unavailable(kind: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, kind, message: message.into() }
    }

    /// The body of the response.
    pub fn json(&self) -> String {
        json::error(self.kind, &self.message)
    }
}

/// What one request may use.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    /// The most samples that a query reads or computes.
    pub max_samples: u64,
    /// The longest time that a request may take.
    pub timeout: Duration,
}

/// Answers `path` below `/api/v1/`.
///
/// # Errors
/// When the request is not understood, or the query fails or is stopped.
pub fn answer(
    path: &str,
    params: &Params,
    sampled: &Sampled,
    allowance: Allowance,
    cancelled: &Arc<AtomicBool>,
) -> Result<String, Refusal> {
    match path {
        "query" | "query_range" => {
            let (query, what) = match path {
                "query" => at_instant(params, sampled)?,
                _ => over_range(params, sampled)?,
            };
            let timeout = params.timeout(allowance.timeout)?;
            let max_steps = POINTS_MAX as u64;
            let bounds = Bounds { max_samples: allowance.max_samples, max_steps, timeout };
            run::run(&query, what, sampled, bounds, cancelled)
                .map(|answer| answer.json())
                .map_err(|stopped| refusal(stopped, timeout))
        }
        "labels" => label_names(params, sampled),
        "series" => series(params, sampled),
        "metadata" => Ok("{\"status\":\"success\",\"data\":{}}".to_owned()),
        "status/buildinfo" => Ok(build_info()),
        _ => match path.strip_prefix("label/").and_then(|rest| rest.strip_suffix("/values")) {
            Some(name) if !name.contains('/') => label_values(name, params, sampled),
            _ => Err(Refusal {
                status: StatusCode::NOT_FOUND,
                kind: "not_found",
                message: format!(
                    "`/api/v1/{path}` is not served here: there are query, query_range, labels, label/…/values, series, metadata and status/buildinfo"
                ),
            }),
        },
    }
}

fn query(params: &Params) -> Result<Query, Refusal> {
    let text = params.required("query")?;
    Query::parse_with_subquery_step(text, SUBQUERY_STEP)
        .map_err(|error| Refusal::parameter("query", &error.to_string()))
}

fn at_instant(params: &Params, sampled: &Sampled) -> Result<(Query, What), Refusal> {
    let at = params.instant("time", sampled.now)?.unwrap_or(sampled.now);
    Ok((query(params)?, What::At(at)))
}

fn over_range(params: &Params, sampled: &Sampled) -> Result<(Query, What), Refusal> {
    let needed = |name: &str| {
        params.required(name)?;
        let at = params.instant(name, sampled.now)?;
        at.ok_or_else(|| Refusal::parameter(name, "it is missing"))
    };
    let (from, until) = (needed("start")?, needed("end")?);
    if until < from {
        let why = "end timestamp must not be before start time";
        return Err(Refusal::parameter("end", why));
    }
    params.required("step")?;
    let step = params.length("step")?.unwrap_or_default();
    if step.millis() <= 0 {
        return Err(Refusal::parameter("step", "it must be at least a millisecond"));
    }
    if (until - from).millis() / step.millis() > POINTS_MAX {
        return Err(Refusal::bad(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    let query = query(params)?;
    if matches!(query.kind(), ValueKind::Matrix | ValueKind::Text) {
        let why = "a query over a range must give numbers, not samples or a text";
        return Err(Refusal::parameter("query", why));
    }
    Ok((query, What::Range(from, until, step)))
}

fn refusal(stopped: Stopped, timeout: Duration) -> Refusal {
    let message = match stopped {
        Stopped::TimedOut => {
            let seconds = timeout.as_secs_f64();
            return Refusal::unavailable(
                "timeout",
                format!("the query took longer than {seconds} s"),
            );
        }
        Stopped::Cancelled => return Refusal::unavailable("canceled", "the query was cancelled"),
        Stopped::Failed(error) => error,
    };
    let (status, kind) = match &message.failure {
        promql::Failure::Source(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        _ => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
    };
    Refusal { status, kind, message: message.to_string() }
}

/// The series that `match[]` selects.
fn selected<'s>(params: &Params, sampled: &'s Sampled) -> Result<Vec<&'s Labels>, Refusal> {
    let selectors = Selectors::parse(params.all("match[]"))
        .map_err(|error| Refusal::parameter("match[]", &error))?;
    Ok(sampled.labels.iter().filter(|labels| selectors.select(labels)).collect())
}

/// At most `limit` of the items, and a note when some are left out.
fn limited<T>(mut items: Vec<T>, params: &Params) -> Result<(Vec<T>, Vec<String>), Refusal> {
    let limit = params.limit()?;
    if items.len() <= limit {
        return Ok((items, Vec::new()));
    }
    items.truncate(limit);
    Ok((items, vec!["results truncated due to limit".to_owned()]))
}

fn label_names(params: &Params, sampled: &Sampled) -> Result<String, Refusal> {
    let names: BTreeSet<&str> = selected(params, sampled)?
        .into_iter()
        .flat_map(|labels| labels.iter().map(|(name, _)| name))
        .collect();
    let (names, notes) = limited(names.into_iter().collect(), params)?;
    Ok(json::names(names, &notes))
}

fn label_values(name: &str, params: &Params, sampled: &Sampled) -> Result<String, Refusal> {
    // A label's name may be any text; it comes percent-encoded like a form.
    let encoded = format!("name={}", name.replace('+', "%2B"));
    let name = form_urlencoded::parse(encoded.as_bytes()).next();
    let name = name.map(|(_, name)| name.into_owned()).unwrap_or_default();
    if name.is_empty() {
        return Err(Refusal::bad("invalid label name: it is empty"));
    }
    let values: BTreeSet<&str> = selected(params, sampled)?
        .into_iter()
        .map(|labels| labels.get(&name))
        .filter(|value| !value.is_empty())
        .collect();
    let (values, notes) = limited(values.into_iter().collect(), params)?;
    Ok(json::names(values, &notes))
}

fn series(params: &Params, sampled: &Sampled) -> Result<String, Refusal> {
    if params.all("match[]").next().is_none() {
        return Err(Refusal::bad("no match[] parameter provided"));
    }
    let (found, notes) = limited(selected(params, sampled)?, params)?;
    Ok(json::label_sets(&found, &notes))
}

fn build_info() -> String {
    serde_json::json!({
        "status": "success",
        "data": { "application": "phasegate", "version": env!("CARGO_PKG_VERSION"),
            "revision": "", "branch": "", "buildUser": "", "buildDate": "", "goVersion": "" },
    })
    .to_string()
}

#[cfg(test)]
mod tests;
