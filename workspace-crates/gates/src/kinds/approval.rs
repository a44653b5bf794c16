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
        let mut counted: BTreeMap<&str, &ApprovalFact> = BTreeMap::new();
        let mut aside = Vec::new();
        for approval in context.approvals.iter().filter(|a| a.at <= context.at) {
            let who = approval.principal.as_str();
            match self.standing(context, approval) {
                Standing::Unrelated => {}
                Standing::Refused(reason) => aside.push(reason),
                Standing::Counts => {
                    if counted.insert(who, approval).is_some() {
                        aside
                            .push(format!("{who} said it more than once; one person counts once."));
                    }
                }
            }
        }
        let names: Vec<&str> = counted.keys().copied().collect();
        let mut judgement = self.sentence(&names);
        aside.sort();
        aside.dedup();
        judgement.reasons.extend(aside);
        judgement.measures.push(Measure {
            name: "people".to_owned(),
            value: Some(counted.len() as f64),
            unit: "people".to_owned(),
            relation: Relation::AtLeast,
            threshold: f64::from(self.0.count),
        });
        judgement.explanation.steps = counted
            .values()
            .map(|a| format!("{} signed at {} (entry {}).", a.principal, a.at, a.entry))
            .collect();
        judgement
    }
}

/// Whether an approval counts.
enum Standing {
    Counts,
    /// It is about this gate, but does not count, for this reason.
    Refused(String),
    /// It is about something else.
    Unrelated,
}

impl Approval {
    fn standing(&self, context: &Context<'_>, approval: &ApprovalFact) -> Standing {
        let who = &approval.principal;
        let about_this = approval.role == self.0.role
            && approval.statement == self.0.statement
            && approval.phase == context.phase.id;
        if !about_this {
            return Standing::Unrelated;
        }
        if !approval.human {
            return Standing::Refused(format!(
                "{who} is no person, so its signature does not count."
            ));
        }
        if let Some(expires) = approval.expires
            && context.at >= expires
        {
            return Standing::Refused(format!("The signature of {who} expired at {expires}."));
        }
        let age = context.at - approval.at;
        match context.gate.max_age {
            Some(limit) if age > limit => Standing::Refused(format!(
                "The signature of {who} is {age} old; older than {limit} does not count."
            )),
            _ => Standing::Counts,
        }
    }

    fn sentence(&self, names: &[&str]) -> Judgement {
        let Params { role, count, statement } = &self.0;
        let missing = (*count as usize).saturating_sub(names.len());
        if missing == 0 {
            return Judgement::pass(format!("{} signed \"{statement}\".", text::list(names)));
        }
        let so_far = if names.is_empty() {
            format!("No {role} has signed \"{statement}\" yet")
        } else {
            format!("Only {} signed \"{statement}\" so far", text::list(names))
        };
        let people = text::count(missing, "person", "people");
        Judgement::inconclusive(format!("{so_far}; {missing} of {count} still missing."))
            .would_change(format!("{people} more of role {role} signs."))
    }
}

#[cfg(test)]
mod tests;
