//! Parameters that several kinds have, with one meaning each.

use definition::Params;
use diagnostics::{Diagnostic, codes};

use super::ParamInfo;

/// Notes a path that leads out of the repository.
pub(super) fn check_path(params: &Params, key: &str, path: &str, problems: &mut Vec<Diagnostic>) {
    if path.trim().is_empty() {
        problems.push(params.problem(codes::EMPTY, key, format!("`{key}` says nothing")));
    } else if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        let problem =
            params.problem(codes::BAD_VALUE, key, format!("`{path}` leaves the repository"));
        problems.push(problem.help("write a path relative to the repository, without `..`"));
    }
}

pub(super) const REDUCE: ParamInfo = ParamInfo::required(
    "reduce",
    "`mean`, `min`, `max`, `last`, `quantile(q)`",
    "How the values of the window become one.",
);
pub(super) const WINDOW: ParamInfo = ParamInfo::required(
    "window",
    "`deployment`, a duration, or `{ after_event, delay, for }`",
    "Which time is judged: all the time of the candidate, its last part, or a time after the first event of a name.",
);
pub(super) const STEP: ParamInfo = ParamInfo::required(
    "step",
    "duration",
    "Distance of the points at which the query is evaluated.",
);
pub(super) const UNIT: ParamInfo =
    ParamInfo::optional("unit", "text", "none", "Unit of the number, for reports.");
pub(super) const WARM_UP: ParamInfo = ParamInfo::optional(
    "warm_up",
    "duration",
    "as far as the query looks back",
    "Time after the start that is left out; never shorter than the query looks back.",
);
pub(super) const MIN_COVERAGE: ParamInfo = ParamInfo::optional(
    "min_coverage",
    "number above 0, at most 1",
    "0.95",
    "Smallest share of the points that must have a value.",
);
pub(super) const MAX_GAP: ParamInfo = ParamInfo::optional(
    "max_gap",
    "duration",
    "4 scrape intervals",
    "Longest time between two values.",
);
pub(super) const MAX_STALENESS: ParamInfo = ParamInfo::optional(
    "max_staleness",
    "duration",
    "2 scrape intervals",
    "A sample older than this is no value.",
);
pub(super) const ON_MISSING: ParamInfo = ParamInfo::optional(
    "on_missing",
    "`inconclusive` or `fail`",
    "`inconclusive`",
    "What missing data means.",
);
pub(super) const COUNTERS: ParamInfo = ParamInfo::optional(
    "counters",
    "list of texts",
    "none",
    "Metrics that only ever grow although their names do not end in `_total`, `_count`, `_sum` or `_bucket`; `rate` and `increase` take no others.",
);
pub(super) const SERVER: ParamInfo = ParamInfo::optional(
    "server",
    "name of a server of the pipeline",
    "the deployment's own samples",
    "Which Prometheus-compatible server is asked. Where it scrapes less often than the deployment does, `max_staleness` and `max_gap` have to be stated.",
);
