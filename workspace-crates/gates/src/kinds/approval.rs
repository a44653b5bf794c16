//! `approval`: so many different people of a role have said something.

use std::collections::BTreeMap;

use definition::Phase;
use diagnostics::{Diagnostic, codes};
use serde::Deserialize;

use super::{Gate, KindInfo, ParamInfo};
use crate::{ApprovalFact, Context, Judgement, Measure, Need, Relation, text};

pub(super) const KIND: KindInfo = KindInfo {
    name: "approval",
    summary: "So many different people of a role have signed a statement for this phase, and it has not expired. Machines never count.",
    missing: "Approvals that nobody has given yet are inconclusive.",
    params: PARAMS,
    example: r#"why = "Partners say themselves that they run on this network."
bad_sample = "stages/stability/assets/bad/approvals-one-person-twice.json"
params = { role = "partner", count = 2, statement = "onboarded" }"#,
    parse,
};

const PARAMS: &[ParamInfo] = &[
    ParamInfo::required("role", "text", "The role of `pipeline/roles.toml` whose people count."),
    ParamInfo::required("count", "integer, at least 1", "How many different people it takes."),
    ParamInfo::required("statement", "text", "What they must have said, word for word."),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    role: String,
    count: u32,
    statement: String,
}

fn parse(gate: &definition::Gate, _phase: &Phase) -> Result<Box<dyn Gate>, Vec<Diagnostic>> {
    let params: Params = gate.params.deserialize()?;
    let mut problems = Vec::new();
    if params.count == 0 {
        problems.push(
            gate.params
                .problem(codes::NO_CONDITION, "count", "no approval is asked for")
                .help("ask for at least one"),
        );
    }
    for (key, value) in [("role", &params.role), ("statement", &params.statement)] {
        if value.trim().is_empty() {
            problems.push(gate.params.problem(codes::EMPTY, key, format!("`{key}` says nothing")));
        }
    }
    if problems.is_empty() { Ok(Box::new(Approval(params))) } else { Err(problems) }
}

struct Approval(Params);

impl Gate for Approval {
    fn needs(&self) -> Vec<Need> {
        vec![Need::Approvals { role: self.0.role.clone() }]
    }

    fn rule(&self) -> String {
        let Params { role, count, statement } = &self.0;
        match count {
            1 => format!("At least one {role} has signed \"{statement}\"."),
            _ => format!("At least {count} different {role}s have signed \"{statement}\"."),
        }
    }

    fn judge(&self, context: &Context<'_>) -> Judgement {
        let Params { role, count, statement } = &self.0;
        let mut counted: BTreeMap<&str, &ApprovalFact> = BTreeMap::new();
        let mut aside = Vec::new();
        for approval in context.approvals.iter().filter(|a| a.at <= context.at) {
            match self.objection(context, approval) {
                None => {
                    let who = approval.principal.as_str();
                    if counted.insert(who, approval).is_some() {
                        aside
                            .push(format!("{who} said it more than once; one person counts once."));
                    }
                }
                Some(objection) => aside.extend(objection),
            }
        }
        let given = counted.len();
        let names: Vec<&str> = counted.keys().copied().collect();
        let mut judgement = if given >= *count as usize {
            Judgement::pass(format!("{} signed \"{statement}\".", text::list(&names)))
        } else {
            let missing = *count as usize - given;
            let so_far = match given {
                0 => format!("No {role} has signed \"{statement}\" yet"),
                _ => format!("Only {} signed \"{statement}\" so far", text::list(&names)),
            };
            Judgement::inconclusive(format!("{so_far}; {} of {count} still missing.", missing))
                .would_change(format!(
                    "{} more of role {role} signs.",
                    text::count(missing, "person", "people")
                ))
        };
        aside.sort();
        aside.dedup();
        judgement.reasons.extend(aside);
        judgement.measures.push(Measure {
            name: "people".to_owned(),
            value: Some(given as f64),
            unit: "people".to_owned(),
            relation: Relation::AtLeast,
            threshold: f64::from(*count),
        });
        judgement.explanation.steps = counted
            .values()
            .map(|a| format!("{} signed at {} (entry {}).", a.principal, a.at, a.entry))
            .collect();
        judgement
    }
}

impl Approval {
    /// Why an approval does not count: `Some(None)` when it is about something else.
    fn objection(&self, context: &Context<'_>, approval: &ApprovalFact) -> Option<Option<String>> {
        let who = &approval.principal;
        let about_this = approval.role == self.0.role
            && approval.statement == self.0.statement
            && approval.phase == context.phase.id;
        if !about_this {
            return Some(None);
        }
        if !approval.human {
            return Some(Some(format!("{who} is no person, so its signature does not count.")));
        }
        if let Some(expires) = approval.expires
            && context.at >= expires
        {
            return Some(Some(format!("The signature of {who} expired at {expires}.")));
        }
        let limit = context.gate.max_age?;
        let age = context.at - approval.at;
        (age > limit).then(|| {
            Some(format!("The signature of {who} is {age} old; older than {limit} does not count."))
        })
    }
}

#[cfg(test)]
mod tests;
