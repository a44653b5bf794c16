//! `report recompute`: judge again what was judged.

use diagnostics::render::escape_line;
use engine::recompute::{self, Recomputed};
use ledger::Body;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::material::{Material, Which};
use crate::output::{Format, print, print_json, say};
use crate::world;

/// Judges the evaluation that `which` names, or all of them, and compares the bytes.
pub fn run(material: &Material, which: &Which, all: bool, format: Format) -> Outcome {
    let view = material.ledger.view();
    let seqs: Vec<u64> = match (all, &material.about) {
        (true, _) => view
            .iter()
            .filter(|one| matches!(one.entry.body, Body::Evaluation(_)))
            .filter(|one| !view.is_void(one.entry.seq))
            .map(|one| one.entry.seq)
            .collect(),
        // A bundle has the evidence of one evaluation.
        (false, Some(about)) if which.week.is_none() && which.entry.is_none() => {
            vec![about.evaluation.seq]
        }
        (false, _) => vec![which.find(view)?],
    };
    let mut found = Vec::new();
    for seq in seqs {
        let again = one(material, seq)?;
        if format == Format::Human {
            show(&again)?;
        }
        found.push(again);
    }
    if format == Format::Json {
        print_json(&serde_json::json!({
            "same": found.iter().all(Recomputed::is_same), "evaluations": found,
        }))?;
    }
    let same = found.iter().all(Recomputed::is_same);
    Ok(if same { Exit::Done } else { Exit::NotVerified })
}

/// Judges one evaluation again.
pub fn one(material: &Material, seq: u64) -> Result<Recomputed, Failure> {
    let recorded = recompute::read(&material.ledger, seq)?;
    let rules = material.rules(&recorded.pins)?;
    let definitions = rules.world.definitions(&recorded.inputs.overrides)?;
    let pipeline = world::pipeline(&definitions, Some(material.ledger.view().pipeline()))?;
    let again = recompute::recompute(&material.ledger, &*material.evidence, pipeline, &recorded);
    again.map_err(|error| {
        Failure::from(error)
            .hint("Evidence is kept where it was collected; `report bundle` carries it to others.")
    })
}

fn show(again: &Recomputed) -> Outcome {
    let Recomputed { seq, at, recorded, recomputed, .. } = again;
    if again.evaluator_then != again.evaluator_now {
        say(format!(
            "It was judged by {}, and this is {}: a difference may come from there.",
            escape_line(&again.evaluator_then),
            again.evaluator_now
        ));
    }
    if again.is_same() {
        return print(&format!(
            "entry {seq} judged at {at}: the same bytes came out, {recorded}\n"
        ));
    }
    print(&format!(
        "entry {seq} judged at {at}: other bytes came out, {recomputed} instead of {recorded}\n"
    ))?;
    for difference in &again.differences {
        // A recorded reason with a line of its own could pass for an answer of ours.
        print(&format!("  {}\n", escape_line(&difference.to_string())))?;
    }
    Ok(Exit::NotVerified)
}
