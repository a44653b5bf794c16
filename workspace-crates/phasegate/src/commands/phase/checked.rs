//! What an approver checks before signing: that the evaluation comes out again, by the rules here.

use engine::recompute::Recorded;
use ledger::body::{Proposed, ProposedTransition};

use super::agree::ApproveArgs;
use crate::commands::report::recompute;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::material::{Material, Where, read_bundle};
use crate::output::{print, say};
use crate::session;
use crate::signed::Book;
use crate::world::World;

/// What an approval says when nobody says anything else, after the evaluation was judged again.
const RECOMPUTED: &str = "I judged the evaluation again from its evidence and got the same bytes.";

/// What the approval will say. An evaluation is judged again first: a job whose key somebody else
/// has may have recorded anything.
pub fn statement(
    world: &World,
    book: &Book,
    proposed: &Proposed,
    args: &ApproveArgs,
) -> Result<String, Failure> {
    let said = args.statement.clone().filter(|text| !text.trim().is_empty());
    let Proposed::Transition(transition) = proposed else {
        return Ok(said.unwrap_or_else(|| "I have read it and agree.".to_owned()));
    };
    if args.without_recompute {
        say("Nothing was judged again (--without-recompute).");
        return said
            .ok_or_else(|| Failure::new(Exit::Usage, "say what you checked, with --statement"));
    }
    let material = match &args.bundle {
        Some(path) => Material::of_bundle(&read_bundle(path)?, &ledger::Expectations::default())?,
        None => Material::open(&Where::default(), || Ok(world.clone()))?,
    };
    let judged = material.ledger.view().by_digest(&transition.evaluation).map(|one| one.entry.seq);
    let Some(seq) = judged else {
        return Err(Failure::new(
            Exit::NotVerified,
            format!("the bundle does not have the evaluation of {}", book.view().pipeline()),
        )
        .hint("Ask for one that was made after the proposal."));
    };
    let recorded = engine::recompute::read(&material.ledger, seq)?;
    check_rules(world, &recorded, said.is_some())?;
    let again = recompute::one(&material, seq).map_err(|failure| Failure {
        hint: Some("Its evidence is not here. Ask whoever runs the weekly job for `report bundle`, and name the file with --bundle; or say --without-recompute and, with --statement, what you checked instead.".to_owned()),
        ..failure
    })?;
    if !again.is_same() {
        let first = again.differences.first().map(ToString::to_string).unwrap_or_default();
        return Err(Failure::new(
            Exit::NotVerified,
            format!("the evaluation in entry {seq} does not come out again: {first}"),
        )
        .hint("Do not approve it. `cargo xtask report recompute` shows every difference."));
    }
    check_terms(transition, &recorded)?;
    print(&format!("Again     the same bytes came out: {}\n", again.recomputed))?;
    Ok(said.unwrap_or_else(|| RECOMPUTED.to_owned()))
}

/// The rules that were judged by are the entry's own claim: whoever has the evaluator's key can pin
/// lax ones, and change parameters. Unless they are the rules here, people say why they agree.
fn check_rules(world: &World, recorded: &Recorded, is_explained: bool) -> Result<(), Failure> {
    let here = world.pins()?;
    let mut surprises = Vec::new();
    if (&here.pipeline, &here.stages) != (&recorded.pins.pipeline, &recorded.pins.stages) {
        surprises.push("its `pipeline/` or `stages/` are not those of this repository".to_owned());
    }
    let changes = session::note(&recorded.inputs.overrides);
    if !changes.is_empty() {
        surprises.push(changes);
    }
    if surprises.is_empty() {
        return Ok(());
    }
    let found = format!(
        "the evaluation in entry {} was judged by other rules: {}",
        recorded.seq,
        surprises.join("; ")
    );
    if is_explained {
        say(format!("Careful: {found}"));
        return Ok(());
    }
    Err(Failure::new(Exit::NotVerified, found).hint(
        "Bring this repository to the commit that was judged by. If the difference is meant, say with --statement why you approve it.",
    ))
}

/// What the proposal says about the move is what the move is.
fn check_terms(proposed: &ProposedTransition, recorded: &Recorded) -> Result<(), Failure> {
    let refuse = |why: String| {
        Err(Failure::new(Exit::NotVerified, format!("the proposal is not true: {why}"))
            .hint("Do not approve it. Ask who signed it."))
    };
    let (from, to) = engine::states(proposed.track);
    if (proposed.from.as_str(), proposed.to.as_str()) != (from, to) {
        return refuse(format!("an advance of this track goes from {from} to {to}"));
    }
    if proposed.policy != recorded.evaluation.policy {
        return refuse(format!("the policy that was judged is {}", recorded.evaluation.policy));
    }
    Ok(())
}
