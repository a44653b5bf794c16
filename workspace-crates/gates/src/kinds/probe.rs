//! `probe`: nodes that are asked give the right answer.

use base::Duration;
use definition::Phase;
use diagnostics::{Diagnostic, codes};
use evidence::{ProbeAnswer, ProbeBody};
use serde::Deserialize;

use super::records;
use super::{Gate, KindInfo, ParamInfo};
use crate::{Context, DeploymentFacts, Judgement, Measure, Need, Relation, StoredRecord, text};

pub(super) const KIND: KindInfo = KindInfo {
    name: "probe",
    summary: "A share of the nodes of a role answers a remote procedure call as expected. A node that gives no answer counts against it.",
    missing: "No answers at all, answers of another subject, or answers older than `max_age` (1h when the gate sets none) are inconclusive.",
    params: PARAMS,
    example: r#"why = "A node that is up but does not answer is of no use."
defect = "kill-quarter"
params = { rpc = "devnet_health", role = "validator", pointer = "/status", equals = "ok", min_share = 0.95 }"#,
    parse,
};

const PARAMS: &[ParamInfo] = &[
    ParamInfo::required("rpc", "text", "The remote procedure that is called, without arguments."),
    ParamInfo::required("role", "text", "The role of the nodes that are asked."),
    ParamInfo::optional(
        "pointer",
        "JSON pointer",
        "the whole result",
        "Where in the result the value stands, such as `/status`.",
    ),
    ParamInfo::required("equals", "any value", "The value that is expected."),
    ParamInfo::optional(
        "min_share",
        "number above 0, at most 1",
        "1.0",
        "Smallest share of the asked nodes that must answer so.",
    ),
];

const MAX_AGE_DEFAULT: Duration = Duration::from_hours(1);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    rpc: String,
    role: String,
    #[serde(default)]
    pointer: String,
    equals: serde_json::Value,
    #[serde(default = "all")]
    min_share: f64,
}

fn all() -> f64 {
    1.0
}

fn parse(gate: &definition::Gate, _phase: &Phase) -> Result<Box<dyn Gate>, Vec<Diagnostic>> {
    let params: Params = gate.params.deserialize()?;
    let mut problems = Vec::new();
    if !(params.min_share > 0.0 && params.min_share <= 1.0) {
        problems.push(
            gate.params
                .problem(
                    codes::BAD_VALUE,
                    "min_share",
                    format!("{} is no share of nodes", params.min_share),
                )
                .help("write a number above 0 and at most 1"),
        );
    }
    if !params.pointer.is_empty() && !params.pointer.starts_with('/') {
        problems.push(
            gate.params
                .problem(
                    codes::BAD_VALUE,
                    "pointer",
                    format!("`{}` is no JSON pointer", params.pointer),
                )
                .help("a JSON pointer begins with `/`, such as `/status`"),
        );
    }
    if problems.is_empty() { Ok(Box::new(Probe(params))) } else { Err(problems) }
}

struct Probe(Params);

impl Gate for Probe {
    fn needs(&self) -> Vec<Need> {
        vec![Need::Probe { rpc: self.0.rpc.clone(), role: self.0.role.clone() }]
    }

    fn rule(&self) -> String {
        let Params { rpc, role, pointer, equals, min_share } = &self.0;
        let value = if pointer.is_empty() { String::new() } else { format!(" with `{pointer}`") };
        let equal = if pointer.is_empty() { "with" } else { "equal to" };
        let share = text::percent(*min_share);
        format!("At least {share} of the {role}s answer `{rpc}`{value} {equal} {equals}.")
    }

    fn judge(&self, context: &Context<'_>) -> Judgement {
        let Some(deployment) = &context.deployment else {
            return Judgement::inconclusive("Nothing is deployed, so no node could be asked.");
        };
        let Some(stored) = records::newest(context, "probe") else {
            return Judgement::inconclusive(format!("No node was asked for `{}`.", self.0.rpc))
                .would_change("Ask the nodes and judge again.");
        };
        if let Some(reason) = self.out_of_place(context, deployment, stored) {
            return Judgement::inconclusive(reason).resting_on([stored.digest]);
        }
        let judgement = match records::body::<ProbeBody>(stored, "probe") {
            Ok(body) => self.judge_body(&body),
            Err(unreadable) => return *unreadable,
        };
        judgement.resting_on([stored.digest])
    }
}

impl Probe {
    /// Why the answers do not count, if they do not.
    fn out_of_place(
        &self,
        context: &Context<'_>,
        deployment: &DeploymentFacts<'_>,
        stored: &StoredRecord,
    ) -> Option<String> {
        match &stored.record.subject {
            Some(subject) if subject == deployment.candidate => {}
            Some(subject) => {
                let differences = text::list(&deployment.candidate.differences(subject));
                return Some(format!("The answers are about another subject: {differences}."));
            }
            None => return Some("The answers do not say what they are about.".to_owned()),
        }
        if stored.record.observed_at < deployment.started {
            return Some("The answers are older than the deployment.".to_owned());
        }
        // A deployment that was taken down on purpose is asked shortly before, not after.
        let ends = Context { at: deployment.end(context.at), ..*context };
        records::stale(&ends, stored, Some(MAX_AGE_DEFAULT))
    }

    fn judge_body(&self, body: &ProbeBody) -> Judgement {
        let Params { rpc, role, min_share, .. } = &self.0;
        if body.rpc != *rpc {
            return Judgement::inconclusive(format!(
                "The answers are to `{}` and say nothing about `{rpc}`.",
                body.rpc
            ));
        }
        let asked: Vec<(&String, &ProbeAnswer)> =
            body.answers.iter().filter(|(_, answer)| answer.role == *role).collect();
        if asked.is_empty() {
            return Judgement::inconclusive(format!("No {role} was asked for `{rpc}`."));
        }
        let wrong: Vec<(&String, &ProbeAnswer)> =
            asked.iter().filter(|(_, answer)| !self.is_right(answer)).copied().collect();
        let right = asked.len() - wrong.len();
        let share = right as f64 / asked.len() as f64;
        let found = format!(
            "{right} of {} {role}s answered as expected ({}); at least {} must.",
            asked.len(),
            text::percent(share),
            text::percent(*min_share)
        );
        let mut judgement =
            if share >= *min_share { Judgement::pass(found) } else { Judgement::fail(found) };
        if let Some(others) = self.others(&wrong) {
            judgement.reasons.push(others);
        }
        judgement.measures.push(Measure {
            name: "nodes that answer".to_owned(),
            value: Some(share),
            unit: String::new(),
            relation: Relation::AtLeast,
            threshold: *min_share,
        });
        judgement
    }

    fn is_right(&self, answer: &ProbeAnswer) -> bool {
        let result = answer.result.as_ref();
        result.and_then(|result| result.pointer(&self.0.pointer)) == Some(&self.0.equals)
    }

    fn others(&self, wrong: &[(&String, &ProbeAnswer)]) -> Option<String> {
        if wrong.is_empty() {
            return None;
        }
        let silent = wrong.iter().filter(|(_, answer)| answer.result.is_none()).count();
        let names: Vec<&String> = wrong.iter().map(|(name, _)| *name).collect();
        Some(format!(
            "{silent} gave no answer and {} another one: {}.",
            wrong.len() - silent,
            text::short_list(&names, 5)
        ))
    }
}

#[cfg(test)]
mod tests;
