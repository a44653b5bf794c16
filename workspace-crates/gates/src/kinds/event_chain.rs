//! `event-chain`: named events happen in their order and within their times.

use std::collections::BTreeSet;

use base::{Duration, Instant, Outcome};
use definition::Phase;
use diagnostics::{Diagnostic, codes};
use evidence::Event;
use serde::Deserialize;

use super::{Gate, KindInfo, ParamInfo};
use crate::{Context, DeploymentFacts, Judgement, Measure, Need, Relation, text};

pub(super) const KIND: KindInfo = KindInfo {
    name: "event-chain",
    summary: "Named events of the deployment happen in their order, often enough, and within their times. All times count from the first event.",
    missing: "An event that has not happened is inconclusive until its time is over, and a failure after it; without the first event the chain has not begun and is inconclusive.",
    params: PARAMS,
    example: r#"why = "Sequencers can vote on and execute an upgrade."
defect = "governance-stuck"
params = { events = [
  { name = "governance.proposed" },
  { name = "governance.executed", within = "8h", not_before = "2h" },
] }"#,
    parse,
};

const PARAMS: &[ParamInfo] = &[ParamInfo::required(
    "events",
    "list of tables",
    "The events in their order, each with `name`; `count` (1): how often, on different nodes where events name nodes; `within`: longest time after the first event; `not_before`: shortest time after the first event.",
)];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    events: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    name: String,
    #[serde(default = "once")]
    count: u32,
    within: Option<Duration>,
    not_before: Option<Duration>,
}

fn once() -> u32 {
    1
}

fn parse(gate: &definition::Gate, _phase: &Phase) -> Result<Box<dyn Gate>, Vec<Diagnostic>> {
    let params: Params = gate.params.deserialize()?;
    let mut problems = Vec::new();
    let mut refuse = |code, path: String, message: String, help: &str| {
        problems.push(gate.params.problem(code, &path, message).help(help));
    };
    if params.events.is_empty() {
        refuse(
            codes::NO_CONDITION,
            "events".into(),
            "the chain has no event".into(),
            "name at least one",
        );
    }
    for (index, step) in params.events.iter().enumerate() {
        let place = |key: &str| format!("events.{index}.{key}");
        if step.name.trim().is_empty() {
            refuse(codes::EMPTY, place("name"), "an event has no name".into(), "name the event");
        }
        if step.count == 0 {
            let message = format!("`{}` is asked for zero times", step.name);
            refuse(codes::BAD_VALUE, place("count"), message, "ask for at least one");
        }
        if index == 0 && (step.within.is_some() || step.not_before.is_some()) {
            let key = if step.within.is_some() { "within" } else { "not_before" };
            let message = "the first event starts the clock, so it has no time of its own";
            refuse(
                codes::CONFLICT,
                place(key),
                message.into(),
                "state times for the events after it",
            );
        }
        if let (Some(from), Some(until)) = (step.not_before, step.within)
            && from > until
        {
            let message = format!("`{}` must come after {from} and within {until}", step.name);
            refuse(
                codes::CONFLICT,
                place("not_before"),
                message,
                "let `not_before` be the shorter one",
            );
        }
    }
    if problems.is_empty() { Ok(Box::new(EventChain(params.events))) } else { Err(problems) }
}

struct EventChain(Vec<Step>);

impl Gate for EventChain {
    fn needs(&self) -> Vec<Need> {
        let names: BTreeSet<String> = self.0.iter().map(|step| step.name.clone()).collect();
        vec![Need::Events { names: names.into_iter().collect() }]
    }

    fn rule(&self) -> String {
        let steps: Vec<String> = self.0.iter().map(Step::describe).collect();
        format!("These events happen in this order: {}.", steps.join(", then "))
    }

    fn judge(&self, context: &Context<'_>) -> Judgement {
        let Some(deployment) = &context.deployment else {
            return Judgement::inconclusive("Nothing is deployed, so nothing can have happened.");
        };
        self.walk(context, deployment).resting_on(deployment.events_digest)
    }
}

impl Step {
    fn describe(&self) -> String {
        let mut text = format!("`{}`", self.name);
        if self.count > 1 {
            text.push_str(&format!(" {} times", self.count));
        }
        match (self.not_before, self.within) {
            (Some(from), Some(until)) => text.push_str(&format!(" after {from} to {until}")),
            (Some(from), None) => text.push_str(&format!(" after {from} at the earliest")),
            (None, Some(until)) => text.push_str(&format!(" within {until}")),
            (None, None) => {}
        }
        text
    }

    fn often(&self) -> String {
        if self.count > 1 { format!(" {} times", self.count) } else { String::new() }
    }

    /// What it means that the event has not happened often enough.
    fn unreached(&self, seen: u32, chain: &Chain<'_>) -> (Outcome, String) {
        let name = &self.name;
        let so_far = match self.count {
            1 => format!("`{name}` has not happened"),
            count => format!("`{name}` happened {seen} of {count} times"),
        };
        match self.within {
            Some(within) if chain.end > chain.start + within => {
                (Outcome::Fail, format!("{so_far} within {within} of the first event."))
            }
            _ if chain.ended => {
                (Outcome::Inconclusive, format!("{so_far} before the deployment ended."))
            }
            Some(within) => {
                let until = chain.start + within;
                (Outcome::Inconclusive, format!("{so_far} yet; it has until {until}."))
            }
            None => (Outcome::Inconclusive, format!("{so_far} yet.")),
        }
    }

    /// Why an event that happened at `at` breaks the rule, if it does.
    fn violation(&self, at: Instant, start: Instant, before: Option<Instant>) -> Option<String> {
        let (name, often, after) = (&self.name, self.often(), at - start);
        if let Some(within) = self.within
            && after > within
        {
            return Some(format!(
                "`{name}`{often} took {after}; it had to happen within {within}."
            ));
        }
        if let Some(earliest) = self.not_before
            && after < earliest
        {
            return Some(format!("`{name}` happened after {after}, before {earliest} had passed."));
        }
        before
            .is_some_and(|before| at < before)
            .then(|| format!("`{name}`{often} at {at} came before an event that must precede it."))
    }

    /// When the event had happened often enough, and how often it happened at all.
    /// A node that reports the same event twice counts once.
    fn reached(&self, events: &[&Event]) -> (Option<Instant>, u32) {
        let mut nodes = BTreeSet::new();
        let mut seen = 0;
        let mut reached = None;
        for event in events.iter().filter(|event| event.name == self.name) {
            if event.node.as_ref().is_none_or(|node| nodes.insert(node)) {
                seen += 1;
                if seen == self.count {
                    reached = Some(event.at);
                }
            }
        }
        (reached, seen)
    }
}

/// What happened, from the first event on.
struct Chain<'a> {
    events: Vec<&'a Event>,
    start: Instant,
    /// The last instant that can be judged.
    end: Instant,
    /// Whether the deployment was taken down.
    ended: bool,
}

/// What one event of the chain adds to the judgement.
struct Link {
    outcome: Outcome,
    reason: String,
    at: Option<Instant>,
}

impl EventChain {
    fn walk(&self, context: &Context<'_>, deployment: &DeploymentFacts<'_>) -> Judgement {
        let end = deployment.end(context.at);
        let mut events: Vec<&Event> = deployment
            .events
            .iter()
            .filter(|event| event.at >= deployment.started && event.at <= end)
            .collect();
        events.sort_by_key(|event| event.at);
        let first = &self.0[0];
        let Some(start) = events.iter().find(|event| event.name == first.name).map(|e| e.at) else {
            return Judgement::inconclusive(format!(
                "`{}` has not happened, so the chain has not begun.",
                first.name
            ))
            .would_change(format!("`{}` happens.", first.name));
        };
        events.retain(|event| event.at >= start);
        let chain = Chain { events, start, end, ended: deployment.has_ended(context.at) };
        let mut links: Vec<Link> = Vec::new();
        for step in &self.0 {
            let before = links.iter().filter_map(|link| link.at).max();
            links.push(self.link(step, &chain, before));
        }
        self.conclude(links, start)
    }

    fn link(&self, step: &Step, chain: &Chain<'_>, before: Option<Instant>) -> Link {
        let (reached, seen) = step.reached(&chain.events);
        let Some(at) = reached else {
            let (outcome, reason) = step.unreached(seen, chain);
            return Link { outcome, reason, at: None };
        };
        let often = step.often();
        let (outcome, reason) = match step.violation(at, chain.start, before) {
            Some(violation) => (Outcome::Fail, violation),
            None => {
                let after = at - chain.start;
                (
                    Outcome::Pass,
                    format!("`{}`{often} at {at}, {after} after the first event.", step.name),
                )
            }
        };
        Link { outcome, reason, at: Some(at) }
    }

    fn conclude(&self, links: Vec<Link>, start: Instant) -> Judgement {
        let reached = links.iter().filter(|link| link.outcome == Outcome::Pass).count();
        let last = links.iter().filter_map(|link| link.at).max().unwrap_or(start);
        let worst = links.iter().map(|link| link.outcome).max().unwrap_or(Outcome::Inconclusive);
        let mut judgement = if worst == Outcome::Pass {
            Judgement::pass(match links.len() {
                1 => format!("`{}` happened at {last}.", self.0[0].name),
                n => format!(
                    "All {n} events happened in order, the last {} after the first.",
                    last - start
                ),
            })
        } else {
            let mut bad: Vec<&Link> = links.iter().filter(|l| l.outcome != Outcome::Pass).collect();
            bad.sort_by_key(|link| std::cmp::Reverse(link.outcome));
            let mut judgement = Judgement::new(worst, "");
            judgement.reasons = bad.iter().map(|link| text::sentence(&link.reason)).collect();
            judgement
        };
        judgement.measures.push(Measure {
            name: "events reached".to_owned(),
            value: Some(reached as f64),
            unit: "events".to_owned(),
            relation: Relation::AtLeast,
            threshold: links.len() as f64,
        });
        judgement.explanation.steps = links.into_iter().map(|link| link.reason).collect();
        judgement
    }
}

#[cfg(test)]
mod tests;
