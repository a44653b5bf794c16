//! `phase propose`, `phase approve`, `phase withdraw`: what leads agree to.

use base::{Digest, Instant, PhaseId, Track, VerdictKind};
use diagnostics::render::escape_line;
use engine::state::State;
use ledger::body::{Approval, EvaluationRef, Proposal, Proposed, ProposedTransition, Withdraw};
use ledger::chain::PROPOSAL_LASTS_MAX;
use ledger::{Body, Roles};

use super::checked;
use crate::commands::roles;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{print, say};
use crate::people::{As, Person};
use crate::proposals::{self, Open};
use crate::signed::Book;
use crate::world::World;

/// What `phase propose` is asked.
#[derive(Debug, clap::Args)]
pub struct ProposeArgs {
    /// The phase that is to move
    phase: PhaseId,
    #[command(flatten)]
    signs: As,
}

/// What `phase approve` is asked.
#[derive(Debug, clap::Args)]
pub struct ApproveArgs {
    /// The proposal: its entry's number, or the beginning of its digest [default: the only one]
    proposal: Option<String>,
    #[command(flatten)]
    signs: As,
    /// The role in which you approve [default: the role that decides, or the only one you have]
    #[arg(long)]
    role: Option<String>,
    /// What you checked, in your words, for the ledger
    #[arg(long, value_name = "TEXT")]
    pub(super) statement: Option<String>,
    /// Judge the evaluation again from this bundle, when its evidence is on another machine
    #[arg(long, value_name = "BUNDLE")]
    pub(super) bundle: Option<std::path::PathBuf>,
    /// Approve although nothing was judged again; say with --statement what you checked instead
    #[arg(long, requires = "statement", conflicts_with = "bundle")]
    pub(super) without_recompute: bool,
}

/// What `phase withdraw` is asked.
#[derive(Debug, clap::Args)]
pub struct WithdrawArgs {
    /// The proposal: its entry's number, or the beginning of its digest [default: the only one]
    proposal: Option<String>,
    #[command(flatten)]
    signs: As,
}

/// Proposes the advance that the newest evaluation allows.
pub fn propose(world: &World, args: &ProposeArgs) -> Outcome {
    let mut book = Book::open(world)?;
    let person = args.signs.find(world, &[book.view().roles()])?;
    let who = person.id().clone();
    let first = Proposed::Transition(transition(world, &book, &args.phase, &who)?);
    print(&format!("Proposes  {}\n", proposals::what(&first)))?;
    args.signs.agree(&person)?;
    let decide = |book: &Book| {
        let transition = transition(world, book, &args.phase, &who)?;
        Ok(Body::from(Proposal {
            what: Proposed::Transition(transition),
            roles_version: book.view().roles().version,
            expires: book.time() + PROPOSAL_LASTS_MAX,
        }))
    };
    let digest = book.append(person.signer(), &decide)?;
    let open = Open::named(book.view(), book.time(), Some(&digest.to_string()))?;
    say("Proposed. `cargo xtask phase approve` approves it; the weekly job carries it out.");
    print(&format!("{}\n", open.line()))
}

/// The advance of `phase` that the newest evaluation allows.
fn transition(
    world: &World,
    book: &Book,
    phase: &PhaseId,
    operator: &base::PrincipalId,
) -> Result<ProposedTransition, Failure> {
    let refuse = |why: String| {
        Failure::new(Exit::NotNow, format!("{phase} cannot be proposed: {why}"))
            .hint("`cargo xtask phase status` says where it stands.")
    };
    let reading = super::Reading::open(world)?;
    let pipeline = reading.pipeline()?;
    if pipeline.phase(phase).is_none() {
        return Err(Failure::new(Exit::Usage, format!("the pipeline has no phase `{phase}`")));
    }
    if book.view().is_solo() {
        return Err(refuse("one person decides alone here".to_owned())
            .hint("`cargo xtask phase advance` judges and moves it at once."));
    }
    let state = State::of(pipeline, book.view());
    let open = engine::decide::open_tracks(&state).into_iter().find(|(open, _)| open == phase);
    let Some((_, track)) = open else {
        return Err(refuse(format!("it is {}", state.standing(phase).describe())));
    };
    let judged = state.evaluations.last();
    let Some(judged) = judged else { return Err(refuse("nothing was judged yet".to_owned())) };
    match engine::state::verdict_of(judged, phase, track) {
        Some(VerdictKind::Advance) => {}
        Some(verdict) => {
            return Err(refuse(format!(
                "the newest evaluation (entry {}) says {verdict}",
                judged.seq
            )));
        }
        None => {
            return Err(refuse(format!(
                "the newest evaluation (entry {}) did not judge it",
                judged.seq
            )));
        }
    }
    let evaluation = EvaluationRef { seq: judged.seq, digest: judged.digest };
    let proposed = Open::all(book.view(), book.time()).into_iter().find(|open| {
        open.consent.proposal.what.transition().is_some_and(|one| {
            one.phase == *phase && one.track == track && one.evaluation == evaluation.digest
        })
    });
    if let Some(open) = proposed {
        return Err(refuse("it is proposed already".to_owned()).hint(open.line()));
    }
    let (from, to) = engine::states(track);
    Ok(ProposedTransition {
        phase: phase.clone(),
        track,
        from: from.to_owned(),
        to: to.to_owned(),
        evaluation: evaluation.digest,
        policy: pipeline.digest()?,
        operator: operator_of(book, track, phase).unwrap_or_else(|| operator.clone()),
    })
}

/// Who operates the deployment: whoever signed that it was deployed.
fn operator_of(book: &Book, track: Track, phase: &PhaseId) -> Option<base::PrincipalId> {
    book.view().deployed(phase, track)?.signers.first().cloned()
}

/// Approves a proposal, after what it rests on was judged again.
pub fn approve(world: &World, args: &ApproveArgs) -> Outcome {
    let mut book = Book::open(world)?;
    let open = Open::named(book.view(), book.time(), args.proposal.as_deref())?;
    let proposed = open.consent.proposal.what.clone();
    let mut versions = vec![book.view().roles()];
    if let Proposed::Roles(change) = &proposed {
        versions.push(&change.roles);
    }
    show(&book, &open)?;
    let person = args.signs.find(world, &versions)?;
    let role = role(&versions, &person, &proposed, args.role.as_deref())?;
    let who = person.id().clone();
    if open.consent.counted.contains(&who) {
        return Err(Failure::new(Exit::NotNow, format!("{who} has approved it already")).hint(
            "One person counts once; others approve it, or `phase withdraw` takes it back.",
        ));
    }
    let statement = checked::statement(world, &book, &proposed, args)?;
    print(&format!("You say   {}\n", escape_line(&statement)))?;
    args.signs.agree(&person)?;
    let digest = open.digest;
    let decide = |book: &Book| {
        // What came in between may have made it lapse.
        Open::named(book.view(), book.time(), Some(&digest.to_string()))?;
        Ok(Body::from(Approval {
            proposal: digest,
            principal: who.clone(),
            role: role.clone(),
            statement: statement.clone(),
        }))
    };
    book.append(person.signer(), &decide)?;
    conclude(&mut book, &person, digest)
}

/// Proposes a waiver or a change of roles, which lapses at `expires`, approves it where the person
/// may, and carries it out when that is enough.
pub fn propose_own(book: &mut Book, person: &Person, what: &Proposed, expires: Instant) -> Outcome {
    let propose = |book: &Book| {
        Ok(Body::from(Proposal {
            what: what.clone(),
            roles_version: book.view().roles().version,
            expires,
        }))
    };
    let in_force = book.view().roles().clone();
    let proposal = book.append(person.signer(), &propose)?;
    let role = what.decided_by();
    let approve = |_: &Book| {
        Ok(Body::from(Approval {
            proposal,
            principal: person.id().clone(),
            role: role.to_owned(),
            statement: "I propose it.".to_owned(),
        }))
    };
    let is_new_member = match what {
        Proposed::Roles(change) => change.roles.is_member(role, person.id()),
        Proposed::Transition(_) | Proposed::Waiver(_) => false,
    };
    if is_new_member || in_force.is_member(role, person.id()) {
        book.append(person.signer(), &approve)?;
    }
    say(match what {
        Proposed::Roles(_) => {
            "Proposed. `cargo xtask phase approve` approves it; it needs `root` under the old and under the new roles."
        }
        Proposed::Transition(_) | Proposed::Waiver(_) => {
            "Proposed. `cargo xtask phase approve` approves it."
        }
    });
    conclude(book, person, proposal)
}

/// Carries out what is ready, and says what is still missing.
fn conclude(book: &mut Book, person: &Person, proposal: Digest) -> Outcome {
    if let Ok(open) = Open::named(book.view(), book.time(), Some(&proposal.to_string())) {
        let is_transition = matches!(open.consent.proposal.what, Proposed::Transition(_));
        // Of somebody who approved again, an earlier approval is aside and the newest counts.
        let counts = open.consent.counted.contains(person.id());
        let aside = open.consent.aside.iter().rfind(|(who, _)| !counts && who == person.id());
        if let Some((who, why)) = aside {
            say(format!("The approval of {who} is recorded, and does not count: {why}."));
        }
        print(&format!("{}\n", open.line()))?;
        if is_transition && open.consent.is_given() {
            say(
                "Enough people agree. The weekly job carries it out at its next tick, or `phase advance` does at once.",
            );
        }
    }
    // Who only comes with the new roles cannot sign for the ledger yet.
    if book.view().roles().principal(person.id()).is_some() {
        book.carry_out(person.signer())?;
    }
    Ok(Exit::Done)
}

/// Shows everything that is approved.
fn show(book: &Book, open: &Open) -> Outcome {
    let consent = &open.consent;
    let mut lines = vec![
        format!("Proposal  {} in entry {}", open.digest, open.seq),
        format!("          {}", proposals::what(&consent.proposal.what)),
    ];
    match &consent.proposal.what {
        Proposed::Transition(one) => {
            let judged = book.view().by_digest(&one.evaluation);
            if let Some(judged) = judged
                && let Body::Evaluation(evaluation) = &judged.entry.body
            {
                let verdicts = evaluation.verdicts.iter();
                let verdicts: Vec<String> =
                    verdicts.map(|(track, verdict)| format!("{track}: {verdict}")).collect();
                lines.push(format!(
                    "Rests on  the evaluation of {} in entry {}, judged at {}: {}",
                    evaluation.week,
                    judged.entry.seq,
                    evaluation.at,
                    verdicts.join(", ")
                ));
            }
            // A soak that was shortened for a trial passes like any other.
            let deployed = book.view().deployed(&one.phase, one.track);
            let note = deployed.and_then(|deployed| match &deployed.entry.body {
                Body::Event(event) => event.detail["note"].as_str(),
                _ => None,
            });
            lines.extend(note.map(|note| format!("Note      {note}")));
            lines.push(format!("Operator  {}, whose approval does not count", one.operator));
        }
        Proposed::Waiver(one) => lines.extend(super::waive::terms(one)),
        Proposed::Roles(change) => {
            lines.extend(roles::difference(book.view().roles(), change));
            let untrusted = roles::untrusted(book.view(), change);
            lines.extend(untrusted.iter().map(|line| format!("Warning   {line}")));
        }
    }
    lines.push(format!("Lapses    {}", consent.proposal.expires));
    lines.push(format!("So far    {}", proposals::standing(consent)));
    for line in lines {
        // A reason with a line of its own could pass for one of ours.
        print(&format!("{}\n", escape_line(&line)))?;
    }
    Ok(Exit::Done)
}

/// The role in which a person approves.
fn role(
    versions: &[&Roles],
    person: &Person,
    proposed: &Proposed,
    named: Option<&str>,
) -> Result<String, Failure> {
    let own = |role: &str| versions.iter().any(|roles| roles.is_member(role, person.id()));
    let deciding = proposed.decided_by();
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    if own(deciding) {
        return Ok(deciding.to_owned());
    }
    let all = versions.iter().flat_map(|roles| roles.roles.keys());
    let mut others: Vec<&String> = all.filter(|role| own(role)).collect();
    others.dedup();
    match others.as_slice() {
        [only] => Ok((*only).clone()),
        _ => Err(Failure::new(
            Exit::NotNow,
            format!("{} is no member of `{deciding}`, the role that decides", person.id()),
        )
        .hint("Name with --role the role in which you approve.")),
    }
}

/// Takes the person's own approval of a proposal back.
pub fn withdraw(world: &World, args: &WithdrawArgs) -> Outcome {
    let mut book = Book::open(world)?;
    let open = Open::named(book.view(), book.time(), args.proposal.as_deref())?;
    let person = args.signs.find(world, &[book.view().roles()])?;
    let digest = open.digest;
    let decide = |book: &Book| {
        let own = book.view().iter().rev().find(|one| match &one.entry.body {
            Body::Approval(approval) => {
                approval.proposal == digest && approval.principal == *person.id()
            }
            _ => false,
        });
        let withdrawn = |approval: Digest| {
            book.view().iter().any(|one| match &one.entry.body {
                Body::Withdraw(withdraw) => withdraw.approval == approval,
                _ => false,
            })
        };
        match own.filter(|own| !withdrawn(own.digest)) {
            Some(own) => Ok(Body::from(Withdraw { approval: own.digest })),
            None => Err(Failure::new(
                Exit::NotNow,
                format!("{} has not approved entry {}", person.id(), open.seq),
            )),
        }
    };
    decide(&book)?;
    print(&format!("Withdraws the approval of {}\n", open.line()))?;
    args.signs.agree(&person)?;
    book.append(person.signer(), &decide)?;
    say("Withdrawn.");
    match Open::named(book.view(), book.time(), Some(&digest.to_string())) {
        Ok(open) => print(&format!("{}\n", open.line())),
        Err(_) => Ok(Exit::Done),
    }
}
