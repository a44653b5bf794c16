//! `roles`: who may sign what, and how that changes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use base::PrincipalId;
use clap::Subcommand;
use definition::Overrides;
use ledger::body::{Distrust, Proposed, RolesChange};
use ledger::chain::PROPOSAL_LASTS_MAX;
use ledger::keys::PublicKey;
use ledger::roles::ROOT;
use ledger::{Body, Policy, PrincipalKind, Roles, VerifiedLedger};

use crate::commands::phase::agree::propose_own;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Format, print, print_json, say, table};
use crate::people::As;
use crate::proposals::Open;
use crate::signed::Book;
use crate::world::{self, World};

/// Who may sign what: show it, and change it
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Principals, their keys, and how many of each role have to sign
    #[command(after_help = "Example:
  cargo xtask roles show")]
    Show {
        /// How it is printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Propose the roles that `pipeline/roles.toml` states now
    #[command(after_help = "Example:
  cargo xtask roles propose")]
    Propose {
        /// Only show what would change
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        signs: As,
    },
    /// Propose another key for one principal
    #[command(after_help = "Examples:
  cargo xtask roles rotate bob --to bob-2027.pub
  cargo xtask roles rotate evaluator --to new.pub --last-trusted 41   # somebody else had the key")]
    Rotate {
        /// Whose key it is
        principal: PrincipalId,
        /// The new public key
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// The old keys are not trusted: what they signed after this entry no longer counts
        #[arg(long, value_name = "NUMBER")]
        last_trusted: Option<u64>,
        #[command(flatten)]
        signs: As,
    },
}

/// Carries out a command of `roles`.
pub fn run(world: &World, command: &Command) -> Outcome {
    match command {
        Command::Show { format } => show(world, *format),
        Command::Propose { dry_run, signs } => propose(world, *dry_run, signs),
        Command::Rotate { principal, to, last_trusted, signs } => {
            rotate(world, principal, to, *last_trusted, signs)
        }
    }
}

fn show(world: &World, format: Format) -> Outcome {
    let ledger = world.ledger()?;
    let view = ledger.view();
    let roles = view.roles();
    let open = Open::all(view, world::now().max(view.last().entry.time));
    let open: Vec<&Open> =
        open.iter().filter(|one| matches!(one.consent.proposal.what, Proposed::Roles(_))).collect();
    if format == Format::Json {
        let open: Vec<_> = open.iter().map(|one| one.shown()).collect();
        return print_json(&serde_json::json!({ "roles": roles, "proposals": open }));
    }
    let policy = match roles.policy {
        Policy::Solo => "solo: one person decides alone, and every report says so",
        Policy::Quorum => "quorum: two people or more decide",
    };
    print(&format!("Version {} of the roles, policy {policy}.\n\n", roles.version))?;
    let rows = roles.roles.iter().map(|(name, role)| {
        let members: Vec<&str> = role.of.iter().map(|id| id.as_str()).collect();
        vec![name.clone(), format!("{} of {}", role.threshold, role.of.len()), members.join(", ")]
    });
    print(&table(&["role", "needs", "members"], rows))?;
    print("\n")?;
    let rows = roles.principals.iter().flat_map(|principal| {
        principal.keys.iter().enumerate().map(|(index, key)| {
            let first = index == 0;
            let text = |text: &str| if first { text.to_owned() } else { String::new() };
            vec![text(principal.id.as_str()), text(kind(principal.kind)), fingerprint(key)]
        })
    });
    print(&table(&["principal", "kind", "key"], rows))?;
    for one in open {
        print(&format!("\nProposed: {}\n", one.line()))?;
    }
    Ok(Exit::Done)
}

fn kind(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::Human => "person",
        PrincipalKind::Ci => "job",
        PrincipalKind::Organisation => "organisation",
    }
}

fn fingerprint(key: &str) -> String {
    PublicKey::parse(key).map_or_else(|error| error.to_string(), |key| key.fingerprint())
}

fn propose(world: &World, dry_run: bool, signs: &As) -> Outcome {
    let definitions = world.definitions(&Overrides::default())?;
    let mut book = Book::open(world)?;
    let now = book.view().roles();
    // Who has no key in the file keeps the one that the ledger knows.
    let known: BTreeMap<PrincipalId, String> = now
        .principals
        .iter()
        .filter_map(|one| Some((one.id.clone(), one.keys.first()?.clone())))
        .collect();
    let (stated, without_key) = world::roles(&definitions.roles, &known);
    for principal in without_key {
        say(format!("{principal} has no key in pipeline/roles.toml and is left out."));
    }
    let roles = Roles { version: now.version + 1, ..stated };
    let change = RolesChange { roles, distrust: Vec::new(), proposal: None };
    let lines = difference(now, &change);
    if lines.is_empty() {
        say("The roles in force are those of pipeline/roles.toml; nothing to propose.");
        return Ok(Exit::Done);
    }
    for line in &lines {
        print(&format!("{}\n", line))?;
    }
    change.roles.check().map_err(|error| {
        Failure::new(Exit::Definition, error).hint("Correct pipeline/roles.toml.")
    })?;
    if dry_run {
        say("Nothing was proposed (--dry-run).");
        return Ok(Exit::Done);
    }
    submit(world, &mut book, signs, change)
}

fn rotate(
    world: &World,
    who: &PrincipalId,
    to: &std::path::Path,
    last_trusted: Option<u64>,
    signs: &As,
) -> Outcome {
    let text = std::fs::read_to_string(to).map_err(|error| Failure::file("read", to, &error))?;
    let key = PublicKey::parse(&text).map_err(|error| {
        Failure::new(Exit::Usage, format!("{}: {error}", to.display()))
            .hint("Name the public half: the file that ends in .pub.")
    })?;
    let mut book = Book::open(world)?;
    let mut roles = book.view().roles().clone();
    roles.version += 1;
    let known: Vec<String> = roles.principals.iter().map(|one| one.id.to_string()).collect();
    let Some(principal) = roles.principals.iter_mut().find(|one| one.id == *who) else {
        let failure = Failure::new(Exit::Usage, format!("the roles have no principal `{who}`"));
        let near = diagnostics::suggestion(who.as_str(), known.iter().map(String::as_str));
        return Err(
            failure.hint(near.unwrap_or_else(|| format!("There are: {}.", known.join(", "))))
        );
    };
    let old = std::mem::replace(&mut principal.keys, vec![key.to_openssh()]);
    let distrust = match last_trusted {
        None => Vec::new(),
        Some(last_trusted) => {
            let signed: BTreeSet<&String> = book.view().iter().flat_map(|one| &one.keys).collect();
            // A key that never signed has nothing that could be distrusted.
            let old = old.iter().map(|key| fingerprint(key)).filter(|key| signed.contains(key));
            old.map(|fingerprint| Distrust { fingerprint, last_trusted }).collect()
        }
    };
    let change = RolesChange { roles, distrust, proposal: None };
    for line in difference(book.view().roles(), &change) {
        print(&format!("{}\n", line))?;
    }
    change.roles.check().map_err(|error| Failure::new(Exit::Usage, error))?;
    submit(world, &mut book, signs, change)?;
    say(format!(
        "Write the new key of {who} into pipeline/roles.toml too: `roles propose` proposes what that file says."
    ));
    Ok(Exit::Done)
}

/// Changes the roles at once when one person may, else proposes it and approves it.
fn submit(world: &World, book: &mut Book, signs: &As, change: RolesChange) -> Outcome {
    if let Some(line) = untrusted(book.view(), &change).first() {
        return Err(Failure::new(Exit::Definition, line).hint(
            "Its owner needs another key. After `roles rotate`, the new one belongs into pipeline/roles.toml.",
        ));
    }
    let person = signs.find(world, &[book.view().roles(), &change.roles])?;
    signs.agree(&person)?;
    let alone = BTreeSet::from([person.id().clone()]);
    let in_force = book.view().roles().clone();
    if in_force.reaches_threshold(ROOT, &alone) && change.roles.reaches_threshold(ROOT, &alone) {
        book.append(person.signer(), &|_| Ok(Body::from(change.clone())))?;
        say(format!("Version {} of the roles is in force.", change.roles.version));
        book.say_what_follows();
        return Ok(Exit::Done);
    }
    let expires = book.time() + PROPOSAL_LASTS_MAX;
    propose_own(book, &person, &Proposed::Roles(change), expires)
}

/// Keys that a change of roles would give back although they are not trusted, one sentence each.
pub fn untrusted(view: &VerifiedLedger, change: &RolesChange) -> Vec<String> {
    let gone = view.iter().filter_map(|one| match &one.entry.body {
        Body::Roles(change) => Some((one.entry.seq, &change.distrust)),
        _ => None,
    });
    let gone: BTreeMap<&str, u64> = gone
        .flat_map(|(seq, keys)| keys.iter().map(move |key| (key.fingerprint.as_str(), seq)))
        .collect();
    let keys =
        change.roles.principals.iter().flat_map(|one| one.keys.iter().map(move |key| (one, key)));
    keys.filter_map(|(owner, key)| {
        let key = fingerprint(key);
        let seq = gone.get(key.as_str())?;
        Some(format!("the key {key} of {} is not trusted since entry {seq}", owner.id))
    })
    .collect()
}

/// What a change of roles would change, one line each; nothing when it changes nothing.
pub fn difference(now: &Roles, change: &RolesChange) -> Vec<String> {
    let next = &change.roles;
    let mut lines = Vec::new();
    if now.policy != next.policy {
        lines.push(format!("Policy    {:?} becomes {:?}", now.policy, next.policy).to_lowercase());
    }
    let keys = |roles: &Roles, id: &PrincipalId| -> BTreeSet<String> {
        let keys = roles.principal(id).map(|one| one.keys.as_slice()).unwrap_or_default();
        keys.iter().map(|key| fingerprint(key)).collect()
    };
    let ids: BTreeSet<&PrincipalId> =
        now.principals.iter().chain(&next.principals).map(|one| &one.id).collect();
    for id in ids {
        match (now.principal(id), next.principal(id)) {
            (None, Some(one)) => lines.push(format!("Joins     {id}, a {}", kind(one.kind))),
            (Some(_), None) => lines.push(format!("Leaves    {id}")),
            (Some(one), Some(other)) if one.kind != other.kind => {
                lines.push(format!(
                    "Becomes   {id}: {} becomes {}",
                    kind(one.kind),
                    kind(other.kind)
                ));
            }
            _ => {}
        }
        let (old, new) = (keys(now, id), keys(next, id));
        lines.extend(new.difference(&old).map(|key| format!("New key   {key} of {id}")));
        lines.extend(old.difference(&new).map(|key| format!("Gone      {key} of {id}")));
    }
    let names: BTreeSet<&String> = now.roles.keys().chain(next.roles.keys()).collect();
    for name in names {
        let text = |roles: &Roles| {
            roles.roles.get(name).map_or("nobody".to_owned(), |role| {
                let mut members: Vec<&str> = role.of.iter().map(|id| id.as_str()).collect();
                members.sort_unstable();
                format!("{} of {}", role.threshold, members.join(", "))
            })
        };
        let (old, new) = (text(now), text(next));
        if old != new {
            lines.push(format!("Role      {name}: {old} becomes {new}"));
        }
    }
    for key in &change.distrust {
        lines.push(format!(
            "Distrust  {}: what it signed after entry {} no longer counts",
            key.fingerprint, key.last_trusted
        ));
    }
    lines
}
