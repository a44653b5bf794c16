//! `issues`: issues of a tracker are closed because the work is done.

use base::Duration;
use definition::Phase;
use diagnostics::{Diagnostic, codes};
use evidence::IssuesBody;
use evidence::formats::github_issues::{Issue, State, StateReason};
use serde::Deserialize;

use super::records;
use super::{Gate, KindInfo, ParamInfo};
use crate::{Context, Judgement, Measure, Need, Relation, StoredRecord, text};

pub(super) const KIND: KindInfo = KindInfo {
    name: "issues",
    summary: "Issues of a tracker are closed as completed. Pull requests do not count.",
    missing: "An answer that is missing, empty, cut short, rate limited or older than `max_age` (24h when the gate sets none) is inconclusive.",
    params: PARAMS,
    example: r#"why = "These features are what the phase is about."
bad_sample = "stages/stability/assets/bad/issues-not-planned.json"
params = { repository = "AztecProtocol/aztec-packages", milestone = 42, labels = ["P0"] }"#,
    parse,
};

const PARAMS: &[ParamInfo] = &[
    ParamInfo::required("repository", "`owner/name`", "The repository whose issues are judged."),
    ParamInfo::optional("numbers", "list of integers", "none", "Issues that must all be done."),
    ParamInfo::optional(
        "milestone",
        "integer",
        "any",
        "With `labels`: all issues of this milestone must be done.",
    ),
    ParamInfo::optional(
        "labels",
        "list of texts",
        "none",
        "With `milestone`: all issues that have every one of these labels must be done.",
    ),
];

const MAX_AGE_DEFAULT: Duration = Duration::from_hours(24);

/// So many issues are named in one sentence.
const NAMED_MAX: usize = 5;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    repository: String,
    #[serde(default)]
    numbers: Vec<u64>,
    milestone: Option<u64>,
    #[serde(default)]
    labels: Vec<String>,
}

impl Params {
    fn is_query(&self) -> bool {
        self.milestone.is_some() || !self.labels.is_empty()
    }

    fn matches(&self, issue: &Issue) -> bool {
        self.milestone.is_none_or(|wanted| issue.milestone == Some(wanted))
            && self.labels.iter().all(|wanted| issue.labels.contains(wanted))
    }

    fn query(&self) -> String {
        let milestone = self.milestone.map(|number| format!("milestone {number}"));
        let labels = match self.labels.len() {
            0 => None,
            1 => Some(format!("the label {}", self.labels[0])),
            _ => Some(format!("the labels {}", text::list(&self.labels))),
        };
        let parts: Vec<String> = milestone.into_iter().chain(labels).collect();
        text::list(&parts)
    }
}

fn parse(gate: &definition::Gate, _phase: &Phase) -> Result<Box<dyn Gate>, Vec<Diagnostic>> {
    let mut params: Params = gate.params.deserialize()?;
    let mut problems = Vec::new();
    let is_name = |part: &str| !part.is_empty() && part.bytes().all(is_repository_byte);
    if !matches!(params.repository.split_once('/'), Some((o, n)) if is_name(o) && is_name(n)) {
        problems.push(
            gate.params
                .problem(
                    codes::BAD_VALUE,
                    "repository",
                    format!("`{}` is no repository", params.repository),
                )
                .help("write `owner/name`"),
        );
    }
    if params.numbers.is_empty() && !params.is_query() {
        problems.push(
            gate.params
                .problem(codes::NO_CONDITION, "", "this gate names no issues")
                .help("state `numbers`, or `milestone` and `labels`"),
        );
    }
    params.numbers.sort_unstable();
    params.numbers.dedup();
    if problems.is_empty() { Ok(Box::new(Issues(params))) } else { Err(problems) }
}

fn is_repository_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

struct Issues(Params);

impl Gate for Issues {
    fn needs(&self) -> Vec<Need> {
        vec![Need::Issues {
            repository: self.0.repository.clone(),
            milestone: self.0.milestone,
            labels: self.0.labels.clone(),
            numbers: self.0.numbers.clone(),
        }]
    }

    fn rule(&self) -> String {
        let repository = &self.0.repository;
        let mut wanted = Vec::new();
        if !self.0.numbers.is_empty() {
            let numbers: Vec<String> = self.0.numbers.iter().map(|n| format!("#{n}")).collect();
            wanted.push(text::list(&numbers));
        }
        if self.0.is_query() {
            wanted.push(format!("all issues with {}", self.0.query()));
        }
        format!("In {repository}, {} are closed as completed.", text::list(&wanted))
    }

    fn judge(&self, context: &Context<'_>) -> Judgement {
        let Some(stored) = records::newest(context, "issues") else {
            return Judgement::inconclusive(format!(
                "The issues of {} were not fetched.",
                self.0.repository
            ))
            .would_change("Fetch the issues and judge again.");
        };
        let judgement = match records::body::<IssuesBody>(stored, "issues") {
            Ok(body) => self.judge_body(context, stored, &body),
            Err(unreadable) => return *unreadable,
        };
        judgement.resting_on([stored.digest])
    }
}

/// How one issue stands.
enum Standing {
    Done,
    Open,
    Refused(&'static str),
    Unknown,
}

fn standing(issue: &Issue) -> Standing {
    match (issue.state, issue.state_reason) {
        (State::Open, _) => Standing::Open,
        (State::Closed, Some(StateReason::Completed)) => Standing::Done,
        (State::Closed, Some(StateReason::NotPlanned)) => Standing::Refused("not planned"),
        (State::Closed, Some(StateReason::Duplicate)) => Standing::Refused("a duplicate"),
        (State::Closed, Some(StateReason::Reopened) | None) => Standing::Unknown,
    }
}

impl Issues {
    fn judge_body(
        &self,
        context: &Context<'_>,
        stored: &StoredRecord,
        body: &IssuesBody,
    ) -> Judgement {
        let repository = &self.0.repository;
        if body.repository != *repository {
            return Judgement::inconclusive(format!(
                "The evidence is about {} and says nothing about {repository}.",
                body.repository
            ));
        }
        if let Some(problem) = &body.problem {
            return records::trouble(problem);
        }
        if let Some(stale) = records::stale(context, stored, Some(MAX_AGE_DEFAULT)) {
            return Judgement::inconclusive(stale);
        }
        if self.0.is_query() && !body.complete {
            return Judgement::inconclusive(format!(
                "Not all pages of the issues of {repository} were read, so some may be missing."
            ));
        }
        let judgement = self.judge_issues(&body.issues);
        let fetched = format!("The issues were fetched at {}.", stored.record.observed_at);
        let mut judgement = judgement;
        judgement.explanation.steps.push(fetched);
        judgement
    }

    fn judge_issues(&self, issues: &[Issue]) -> Judgement {
        let wanted: Vec<&Issue> = issues
            .iter()
            .filter(|issue| {
                self.0.numbers.contains(&issue.number)
                    || (self.0.is_query() && self.0.matches(issue))
            })
            .collect();
        let absent: Vec<String> = self
            .0
            .numbers
            .iter()
            .filter(|number| !issues.iter().any(|issue| issue.number == **number))
            .map(|number| format!("#{number}"))
            .collect();
        if wanted.is_empty() && absent.is_empty() {
            return Judgement::inconclusive(format!(
                "No issue of {} has {}; an empty list says nothing about what is done.",
                self.0.repository,
                self.0.query()
            ))
            .would_change("Check the milestone and the labels in the definition.");
        }
        let mut judgement = weigh(&wanted, &absent);
        let done = wanted.iter().filter(|i| matches!(standing(i), Standing::Done)).count();
        judgement.measures.push(Measure {
            name: "issues done".to_owned(),
            value: Some(done as f64),
            unit: "issues".to_owned(),
            relation: Relation::AtLeast,
            threshold: (wanted.len() + absent.len()) as f64,
        });
        judgement.explanation.steps.extend(wanted.iter().map(|issue| describe(issue)));
        judgement
    }
}

/// Fails before inconclusive before pass; the reasons of all are kept.
fn weigh(wanted: &[&Issue], absent: &[String]) -> Judgement {
    let numbers = |pick: fn(&Standing) -> bool| -> Vec<String> {
        let picked = wanted.iter().filter(|issue| pick(&standing(issue)));
        picked.map(|issue| format!("#{}", issue.number)).collect()
    };
    let mut faults: Vec<String> = Vec::new();
    for issue in wanted {
        if let Standing::Refused(reason) = standing(issue) {
            faults.push(format!(
                "Issue #{} was closed as {reason}, so its work was not done.",
                issue.number
            ));
        }
    }
    let open = numbers(|s| matches!(s, Standing::Open));
    if !open.is_empty() {
        let named = text::short_list(&open, NAMED_MAX);
        let are = if open.len() == 1 { "is" } else { "are" };
        faults.push(format!(
            "{} {are} still open: {named}.",
            text::count(open.len(), "issue", "issues")
        ));
    }
    let mut doubts: Vec<String> = Vec::new();
    let unknown = numbers(|s| matches!(s, Standing::Unknown));
    if !unknown.is_empty() {
        let named = text::short_list(&unknown, NAMED_MAX);
        doubts.push(format!("The tracker does not say why {named} was closed."));
    }
    if !absent.is_empty() {
        let named = text::short_list(absent, NAMED_MAX);
        doubts.push(format!("The tracker's answer does not contain {named}."));
    }
    let reasons: Vec<String> = faults.iter().chain(&doubts).cloned().collect();
    let mut judgement = if !faults.is_empty() {
        Judgement::fail("").would_change("Complete and close these issues.")
    } else if !doubts.is_empty() {
        Judgement::inconclusive("")
            .would_change("Close these issues as completed, or correct the definition.")
    } else {
        let all = if wanted.len() == 1 {
            "The issue is".to_owned()
        } else {
            format!("All {} issues are", wanted.len())
        };
        return Judgement::pass(format!("{all} closed as completed."));
    };
    judgement.reasons = reasons;
    judgement
}

fn describe(issue: &Issue) -> String {
    let state = match standing(issue) {
        Standing::Done => "closed as completed",
        Standing::Open => "open",
        Standing::Refused(reason) => {
            return format!("#{} \"{}\": closed as {reason}.", issue.number, issue.title);
        }
        Standing::Unknown => "closed without a reason",
    };
    format!("#{} \"{}\": {state}.", issue.number, issue.title)
}

#[cfg(test)]
mod tests;
