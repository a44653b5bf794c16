//! What leads agree to: proposals, approvals, withdrawals, waivers, and changes of roles.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use base::{Digest, Instant, PrincipalId, Subject, Track};
use ledger::body::{self, EvaluationRef, Event, Proposal, Proposed, ProposedTransition};
use ledger::{Body, Draft, Expectations, GitStore, Ledger, Pins, SshKeySigner};

use crate::support::{Answer, Repository, has};

const LEADS: [&str; 3] = ["alice", "bob", "carol"];

/// The tiny programme where two of three leads decide; all their keys are on this machine.
struct Quorum(Repository);

impl Quorum {
    fn new() -> Self {
        let repository = Repository::tiny();
        repository.keep_events_away();
        repository.write("pipeline/roles.toml", &roles(&LEADS, &[]));
        repository.run(&["ledger", "init", "tiny"]).ends(0);
        Self(repository)
    }

    fn run(&self, arguments: &[&str]) -> Answer {
        self.0.run(arguments)
    }

    fn run_as(&self, who: &str, arguments: &[&str]) -> Answer {
        let own = ["--as", who, "--yes"];
        self.0.run(&[arguments, &own].concat())
    }

    /// Appends what the weekly job would.
    fn append(&self, body: impl Into<Body>, files: BTreeMap<String, Vec<u8>>) -> Digest {
        let id = PrincipalId::new("evaluator").unwrap();
        let key = self.0.path(".phasegate/keys/evaluator");
        let signer = SshKeySigner::from_file(id, &key).unwrap();
        let store = GitStore::open(self.0.root()).unwrap();
        let mut ledger = Ledger::open(store, &Expectations::default()).unwrap();
        let tree = |name: &str| ledger::git_store::definition_id(&self.0.path(name)).unwrap();
        let pins = Pins {
            pipeline: tree("pipeline"),
            stages: tree("stages"),
            evaluator: "phasegate/test".to_owned(),
        };
        let body = body.into();
        let evidence = match &body {
            Body::Evaluation(one) => vec![one.inputs],
            _ => Vec::new(),
        };
        let draft = Draft::new(now(), pins, body).with_evidence(evidence);
        ledger.append(draft, &[&signer], files).unwrap();
        ledger.view().last().digest
    }

    /// Says that the internal track runs.
    fn deploy(&self) {
        let mut event = Event::new("deployed");
        event.phase = Some("small".parse().unwrap());
        event.track = Some(Track::Internal);
        event.deployment = Some("small.internal.1".parse().unwrap());
        event.subject = Some(Subject {
            network: "small-internal".parse().unwrap(),
            artifacts: BTreeMap::from([("node".to_owned(), Digest::of(b"node"))]),
            configuration: Digest::of(b"configuration"),
            versions: BTreeMap::new(),
        });
        event.detail = serde_json::json!({ "driver": "process", "started": now(), "text": "Up." });
        self.append(event, BTreeMap::new());
    }

    /// A proposal that rests on an evaluation of nothing, which comes out again everywhere.
    fn proposed(&self) -> Digest {
        self.append(self.judged(), BTreeMap::new())
    }

    /// Judges, and gives the proposal that rests on it.
    fn judged(&self) -> Proposal {
        let judged = self.run(&["phase", "evaluate", "--format", "json"]).ends(0).json();
        let mut proposal = transition(self.last().parse().unwrap());
        moved(&mut proposal).policy = judged["policy"].as_str().unwrap().parse().unwrap();
        proposal
    }

    /// A job whose key somebody else has says that a phase passes which never ran.
    fn forged(&self) -> Digest {
        let inputs = br#"{"overrides":{"set":{},"time_scale":null},"schema":1,"sides":[]}"#;
        let document = r#"{"at":"AT","evaluator":"x\nentry 9: the same bytes came out","phases":[],"pipeline":"tiny","policy":"POLICY","schema":1}"#;
        let at = now();
        let document = document.replace("AT", &at.to_string()).replace("POLICY", &"0".repeat(64));
        let seq = self.kinds().len();
        let week = "2026-W02";
        let files = BTreeMap::from([
            (format!("reports/{week}/evaluation-{seq:06}.json"), document.clone().into_bytes()),
            (format!("evidence/{}.json", Digest::of(inputs)), inputs.to_vec()),
        ]);
        let forged = body::Evaluation {
            at,
            week: week.to_owned(),
            document: Digest::of(document.as_bytes()),
            inputs: Digest::of(inputs),
            verdicts: BTreeMap::from([("small/internal".to_owned(), base::VerdictKind::Advance)]),
        };
        self.append(forged, files)
    }

    fn last(&self) -> String {
        let status = self.run(&["phase", "status", "--format", "json"]).ends(0).json();
        status["ledger"]["head"].as_str().unwrap().to_owned()
    }

    fn kinds(&self) -> Vec<String> {
        let entries = self.0.entries();
        entries.iter().map(|one| one["predicate"]["kind"].as_str().unwrap().to_owned()).collect()
    }

    fn waive(&self, who: &str) -> Answer {
        let waive = ["phase", "waive", "small/soak", "--until", "7d", "--name", "bob"];
        let reason = ["--reason", "The load stopped; the network did not."];
        self.run_as(who, &[waive.as_slice(), &reason].concat())
    }
}

fn now() -> Instant {
    Instant::from_unix_micros(jiff::Timestamp::now().as_second() * 1_000_000)
}

fn transition(evaluation: Digest) -> Proposal {
    let transition = ProposedTransition {
        phase: "small".parse().unwrap(),
        track: Track::Internal,
        from: "internal-soak".to_owned(),
        to: "cleared".to_owned(),
        evaluation,
        policy: Digest::of(b"policy"),
        operator: "evaluator".parse().unwrap(),
    };
    Proposal {
        what: Proposed::Transition(transition),
        roles_version: 1,
        expires: now() + base::Duration::from_hours(24),
    }
}

fn moved(proposal: &mut Proposal) -> &mut ProposedTransition {
    match &mut proposal.what {
        Proposed::Transition(transition) => transition,
        other => panic!("{other:?}"),
    }
}

/// `pipeline/roles.toml` with these leads, of whom two decide.
fn roles(leads: &[&str], keys: &[(&str, &str)]) -> String {
    let mut text = "schema = 1\npolicy = \"quorum\"\n".to_owned();
    let people = leads.iter().map(|name| (*name, "human"));
    for (name, kind) in std::iter::once(("evaluator", "ci")).chain(people) {
        let key = keys.iter().find(|(who, _)| *who == name).map(|(_, key)| format!("{key:?}"));
        text.push_str(&format!(
            "\n[[principal]]\nid = \"{name}\"\nkind = \"{kind}\"\ntitle = \"{name}\"\nkeys = [{}]\n",
            key.unwrap_or_default()
        ));
    }
    let of = format!("{leads:?}");
    format!(
        "{text}\n[role.root]\nof = {of}\nthreshold = 2\n\n[role.lead]\nof = {of}\nthreshold = 2\n\
         \n[role.evaluator]\nof = [\"evaluator\"]\nthreshold = 1\n"
    )
}

fn status_text(quorum: &Quorum) -> String {
    quorum.run(&["phase", "status"]).ends(0).stdout
}

#[test]
fn a_waiver_counts_once_two_leads_agree() {
    let quorum = Quorum::new();
    quorum.deploy();
    quorum.waive("alice").ends(0).prints("approved by alice, 1 approval missing");
    let status = quorum.run(&["phase", "status"]).ends(0);
    status.prints("Proposed: ").prints("small/soak is waived until");
    assert!(!status_text(&quorum).contains("Waiver: "));
    quorum.run_as("alice", &["phase", "approve"]).ends(6).says("alice has approved it already");
    let approved = quorum.run_as("bob", &["phase", "approve"]).ends(0);
    approved.prints("Bears it  bob").says("small/soak is waived until");
    assert!(status_text(&quorum).contains("Waiver: small/soak is waived until"));
    assert!(status_text(&quorum).contains("borne by bob"));
    assert_eq!(quorum.kinds()[2..], ["proposal", "approval", "approval", "waiver"]);
    quorum.run_as("carol", &["phase", "approve"]).ends(6).says("nothing is proposed");
    quorum.run(&["report", "verify"]).ends(0).prints("6 entries verify");
}

#[test]
fn waivers_that_cannot_be_are_refused_before_anything_is_signed() {
    let quorum = Quorum::new();
    quorum.waive("alice").ends(6).says("nothing was deployed");
    quorum.deploy();
    let waive = |gate: &str, until: &str, reason: &str| {
        let arguments =
            ["phase", "waive", gate, "--until", until, "--name", "bob", "--reason", reason];
        quorum.run_as("alice", &arguments)
    };
    waive("small/soap", "7d", "Why.").ends(2).says("soak");
    waive("small", "7d", "Why.").ends(2).says("PHASE/GATE");
    waive("small/soak", "31d", "Why.").ends(2).says("at most 30 days");
    waive("small/soak", "tomorrow", "Why.").ends(2).says("neither an instant nor a duration");
    waive("small/soak", "7d", "  ").ends(2).says("a waiver says why");
    assert_eq!(quorum.kinds(), ["genesis", "event"]);
}

#[test]
fn an_evaluation_is_judged_again_before_it_is_approved() {
    let quorum = Quorum::new();
    let proposed = quorum.proposed();
    let name = proposed.to_string();
    let approved = quorum.run_as("alice", &["phase", "approve", &name[..8]]).ends(0);
    let approved = approved.prints("Rests on  the evaluation of").prints("the same bytes came out");
    approved.prints("1 approval missing");
    quorum.run_as("bob", &["phase", "approve"]).ends(0).says("Enough people agree");
    let last = quorum.0.entries().pop().unwrap();
    assert!(
        last["predicate"]["body"]["statement"]
            .as_str()
            .unwrap()
            .contains("judged the evaluation again")
    );
}

#[test]
fn an_evaluation_that_does_not_come_out_again_is_not_approved() {
    let quorum = Quorum::new();
    quorum.run(&["phase", "evaluate"]).ends(0);
    let forged = quorum.forged();
    quorum.append(transition(forged), BTreeMap::new());
    let refused = quorum.run_as("alice", &["phase", "approve"]).ends(7);
    refused.says("does not come out again: policy").says("Do not approve it");
    let shown = quorum.run(&["report", "recompute"]).ends(7);
    let lines = shown.stdout.lines().chain(shown.stderr.lines());
    assert!(lines.clone().count() > 0 && !lines.clone().any(|line| line.starts_with("entry 9")));
    let without = ["phase", "approve", "--without-recompute"];
    quorum.run_as("alice", &without).ends(2).says("--statement");
    assert!(!quorum.kinds().contains(&"approval".to_owned()));
}

#[test]
fn a_proposal_that_is_not_true_is_not_approved() {
    let quorum = Quorum::new();
    let mut proposal = quorum.judged();
    moved(&mut proposal).to = "internal-soak, as before".to_owned();
    quorum.append(proposal.clone(), BTreeMap::new());
    let refused = quorum.run_as("alice", &["phase", "approve"]).ends(7);
    refused.says("is not true: an advance of this track goes from internal-soak to cleared");
    moved(&mut proposal).to = "cleared".to_owned();
    moved(&mut proposal).policy = Digest::of(b"another");
    let other = quorum.append(proposal, BTreeMap::new()).to_string();
    let refused = quorum.run_as("alice", &["phase", "approve", &other[..8]]).ends(7);
    refused.says("the policy that was judged is");
    assert!(!quorum.kinds().contains(&"approval".to_owned()));
}

#[test]
fn rules_that_are_not_those_of_the_approver_need_words_of_their_own() {
    let quorum = Quorum::new();
    // A job whose key somebody else has judges by rules that it brings itself.
    let rules = "pipeline/tiny.toml";
    let text = std::fs::read_to_string(quorum.0.path(rules)).unwrap();
    quorum.0.write(rules, &format!("{text}\n# Lax.\n"));
    quorum.proposed();
    quorum.run(&["report", "bundle", "--out", "lax.tar"]).ends(0);
    quorum.0.write(rules, &text);
    let approve = ["phase", "approve", "--bundle", "lax.tar"];
    let refused = quorum.run_as("alice", &approve).ends(7);
    refused.says("was judged by other rules").says("are not those of this repository");
    assert!(!quorum.kinds().contains(&"approval".to_owned()));
    let meant = [approve.as_slice(), &["--statement", "I read the new rules."]].concat();
    quorum.run_as("alice", &meant).ends(0).says("Careful: ").prints("the same bytes came out");
}

#[test]
fn an_approval_is_taken_back_until_it_is_carried_out() {
    let quorum = Quorum::new();
    quorum.proposed();
    quorum.run_as("alice", &["phase", "withdraw"]).ends(6).says("alice has not approved");
    quorum.run_as("alice", &["phase", "approve"]).ends(0);
    let withdrawn = quorum.run_as("alice", &["phase", "withdraw"]).ends(0).says("Withdrawn.");
    withdrawn.prints("nobody has approved yet, 2 approvals missing");
    quorum.run_as("alice", &["phase", "withdraw"]).ends(6);
    let again = quorum.run_as("alice", &["phase", "approve"]).ends(0).prints("approved by alice");
    assert!(!again.stderr.contains("does not count"), "{}", again.stderr);
    let json = quorum.run(&["phase", "status", "--format", "json"]).ends(0).json();
    assert_eq!(json["proposals"][0]["missing"], 1, "{json}");
    assert_eq!(json["proposals"][0]["decided_by"], "lead");
}

#[test]
fn who_is_nobody_in_the_roles_approves_nothing() {
    let quorum = Quorum::new();
    quorum.proposed();
    quorum
        .run_as("mallory", &["phase", "approve"])
        .ends(4)
        .says("the roles have no person `mallory`");
    // The weekly job is no person, whatever key it has.
    let key = quorum.0.path(".phasegate/keys/evaluator");
    let by_job = ["phase", "approve", "--key", key.to_str().unwrap()];
    quorum.run(&by_job).ends(4).says("no person of the roles has the key");
    let others = quorum.0.path(".phasegate/keys/bob");
    let as_alice = ["phase", "approve", "--key", others.to_str().unwrap()];
    quorum.run_as("alice", &as_alice).ends(4).says("belongs to bob, not to alice");
    quorum
        .run(&["phase", "approve", "0000"])
        .ends(2)
        .says("is no open proposal")
        .says("Open are, ");
    assert!(!quorum.kinds().contains(&"approval".to_owned()));
}

#[test]
fn what_was_not_judged_to_pass_is_not_proposed() {
    let quorum = Quorum::new();
    quorum.run_as("alice", &["phase", "propose", "small"]).ends(6).says("it is ready for");
    quorum.run_as("alice", &["phase", "propose", "large"]).ends(2).says("no phase `large`");
    quorum.deploy();
    quorum.run_as("alice", &["phase", "propose", "small"]).ends(6).says("nothing was judged yet");
    assert_eq!(quorum.kinds(), ["genesis", "event"]);
}

#[test]
fn a_key_is_rotated_when_root_agrees_under_both_versions() {
    let quorum = Quorum::new();
    let fresh = ledger::keys::generate_ed25519(Some([9; 32])).unwrap();
    quorum.0.write("fresh.pub", &fresh.public_openssh);
    let rotate = ["roles", "rotate", "carol", "--to", "fresh.pub"];
    let proposed = quorum.run_as("alice", &rotate).ends(0);
    proposed.prints("New key   SHA256:").prints("Gone      SHA256:").prints("1 approval missing");
    quorum.run(&["roles", "show"]).ends(0).prints("Version 1 of the roles").prints("Proposed: ");
    quorum.run_as("bob", &["phase", "approve"]).ends(0).says("Version 2 of the roles is in force");
    let shown = quorum.run(&["roles", "show", "--format", "json"]).ends(0).json();
    assert_eq!(shown["roles"]["version"], 2);
    assert!(shown.to_string().contains(fresh.public_openssh.split_whitespace().nth(1).unwrap()));
    // The key of before signs nothing any more.
    quorum.proposed_under(2);
    quorum.run_as("carol", &["phase", "approve"]).ends(4);
}

impl Quorum {
    fn proposed_under(&self, roles_version: u32) {
        let proposal = Proposal { roles_version, ..self.judged() };
        self.append(proposal, BTreeMap::new());
    }
}

#[test]
fn roles_of_the_definition_are_proposed_and_new_people_approve_with_their_keys() {
    let quorum = Quorum::new();
    quorum.run_as("alice", &["roles", "propose"]).ends(0).says("nothing to propose");
    let dave = ledger::keys::generate_ed25519(Some([8; 32])).unwrap();
    let text = roles(&["alice", "bob", "dave"], &[("dave", &dave.public_openssh)]);
    quorum.0.write("pipeline/roles.toml", &text);
    let dry = quorum.run(&["roles", "propose", "--dry-run"]).ends(0);
    let dry = dry.prints("Joins     dave, a person").prints("Leaves    carol");
    dry.prints("Role      root: 2 of alice, bob, carol becomes 2 of alice, bob, dave");
    assert_eq!(quorum.kinds(), ["genesis"]);
    quorum.run_as("alice", &["roles", "propose"]).ends(0).prints("approved by alice");
    let keys = quorum.0.path("dave");
    std::fs::write(&keys, dave.private_openssh.as_bytes()).unwrap();
    std::fs::set_permissions(&keys, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    quorum.0.write("dave.pub", &dave.public_openssh);
    let by_dave = ["phase", "approve", "--yes", "--key", keys.to_str().unwrap()];
    quorum.run(&by_dave).ends(0).prints("1 approval missing");
    quorum.run_as("bob", &["phase", "approve"]).ends(0).says("Version 2 of the roles is in force");
    assert_eq!(quorum.kinds()[1..], ["proposal", "approval", "approval", "approval", "roles"]);
    quorum.run(&["report", "verify"]).ends(0);
}

#[test]
fn a_key_that_somebody_else_had_takes_back_what_it_signed() {
    let quorum = Quorum::new();
    quorum.proposed();
    let fresh = ledger::keys::generate_ed25519(Some([9; 32])).unwrap();
    quorum.0.write("fresh.pub", &fresh.public_openssh);
    let rotate = ["roles", "rotate", "evaluator", "--to", "fresh.pub", "--last-trusted", "0"];
    let proposed = quorum.run_as("alice", &rotate).ends(0);
    proposed.prints("what it signed after entry 0 no longer counts");
    let open = quorum.run(&["phase", "status", "--format", "json"]).ends(0).json();
    let change = open["proposals"].as_array().unwrap().last().unwrap().clone();
    let name = change["entry"].to_string();
    quorum.run_as("bob", &["phase", "approve", &name]).ends(0).says("Version 2 of the roles");
    // What was proposed with that key has not been proposed.
    quorum.run_as("carol", &["phase", "approve"]).ends(6).says("nothing is proposed");
    quorum.run(&["report", "recompute"]).ends(6).says("nothing was judged");
    // A file that still has the old key does not bring it back.
    let old = quorum.0.read(".phasegate/keys/evaluator.pub");
    let old = old.split(' ').take(2).collect::<Vec<_>>().join(" ");
    quorum.0.write("pipeline/roles.toml", &roles(&LEADS, &[("evaluator", &old)]));
    let back = quorum.run_as("alice", &["roles", "propose"]).ends(3);
    back.says("of evaluator is not trusted since entry").says("pipeline/roles.toml");
    quorum.run(&["report", "verify"]).ends(0);
}

#[test]
fn what_a_stolen_key_moved_is_named_and_a_reset_revokes_it() {
    let quorum = Quorum::new();
    let digest = quorum.forged();
    let evaluation = EvaluationRef { seq: quorum.kinds().len() as u64 - 1, digest };
    let proposal = quorum.append(transition(evaluation.digest), BTreeMap::new());
    for lead in ["alice", "bob"] {
        let said = ["--without-recompute", "--statement", "I looked at it."];
        quorum.run_as(lead, &[&["phase", "approve"][..], &said].concat()).ends(0);
    }
    let trusted = (quorum.kinds().len() - 1).to_string();
    let moved = body::Advance {
        phase: "small".parse().unwrap(),
        track: Track::Internal,
        from: "internal-soak".to_owned(),
        to: "cleared".to_owned(),
        evaluation,
        proposal: Some(proposal),
        reason: "A thief says so.".to_owned(),
    };
    quorum.append(moved, BTreeMap::new());
    let fresh = ledger::keys::generate_ed25519(Some([9; 32])).unwrap();
    quorum.0.write("fresh.pub", &fresh.public_openssh);
    let rotate = ["roles", "rotate", "evaluator", "--to", "fresh.pub", "--last-trusted", &trusted];
    quorum.run_as("alice", &rotate).ends(0).says("pipeline/roles.toml too");
    let approved = quorum.run_as("bob", &["phase", "approve"]).ends(0);
    approved.says("phase reset small").says("no longer trusted");
    assert!(status_text(&quorum).contains("Nothing moves: what moved in entry"));
    // The new key signs the reset that the message names.
    quorum.0.write("fresh", &fresh.private_openssh);
    let key = quorum.0.path("fresh");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let mut reset = quorum.0.command(&["phase", "reset", "small", "--reason", "A stolen key."]);
    let output = reset.env("PHASEGATE_SIGNING_KEY_FILE", &key).output().unwrap();
    Answer::of(output).ends(0);
    let status = quorum.run(&["phase", "status", "--format", "json"]).ends(0).json();
    assert_eq!(status["to_revoke"], serde_json::json!([]), "{status}");
    assert!(!status_text(&quorum).contains("Nothing moves"));
    quorum.run(&["report", "verify"]).ends(0);
}

#[test]
fn where_one_person_decides_it_is_done_at_once() {
    let solo = Quorum(Repository::tiny_with_ledger());
    solo.deploy();
    solo.waive("lead").ends(0).says("small/soak is waived until");
    let fresh = ledger::keys::generate_ed25519(Some([9; 32])).unwrap();
    solo.0.write("fresh.pub", &fresh.public_openssh);
    let private = ["roles", "rotate", "evaluator", "--to", ".phasegate/keys/lead"];
    let refused = solo.run_as("lead", &private).ends(2).says("it is a private key");
    assert!(!refused.stderr.contains("PRIVATE KEY"), "{}", refused.stderr);
    let rotate = ["roles", "rotate", "evaluator", "--to", "fresh.pub"];
    solo.run_as("lead", &rotate).ends(0).says("Version 2 of the roles is in force");
    solo.run_as("lead", &["phase", "propose", "small"]).ends(6).says("one person decides alone");
    assert_eq!(solo.kinds(), ["genesis", "event", "waiver", "roles"]);
}

#[test]
fn a_rehearsal_lets_the_leads_agree_and_ships() {
    let repository = Repository::tiny();
    repository.write("pipeline/roles.toml", &roles(&LEADS, &[]));
    repository.run(&["rehearse", "tiny", "--out", "out"]).ends(0);
    let verified = repository.run(&["report", "verify", "--ledger", "out/ledger.git"]).ends(0);
    assert!(!verified.stderr.contains("solo"), "{}", verified.stderr);
    let all = ["report", "recompute", "--rehearsal", "out", "--all"];
    repository.run(&all).ends(0).prints("the same bytes came out");
}

/// An agent of its own; gone at the end of the test.
struct Agent(std::process::Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn nothing_is_signed_before_somebody_was_asked() {
    let quorum = Quorum::new();
    quorum.deploy();
    quorum.waive("alice").ends(0);
    let before = quorum.kinds();
    let asked = quorum.run(&["phase", "approve", "--as", "bob"]).ends(2);
    asked.prints("small/soak is waived until").says("no terminal to ask on").says("--yes");
    let withdraw = ["phase", "withdraw", "--as", "alice"];
    quorum.run(&withdraw).ends(2).says("no terminal to ask on");
    let waive = ["phase", "waive", "small/soak", "--until", "7d", "--name", "bob", "--reason", "x"];
    let waived = quorum.run(&[&waive[..], &["--as", "carol"]].concat()).ends(2);
    waived.prints("Bears it  bob").says("no terminal to ask on");
    quorum.0.write("fresh.pub", &quorum.0.read(".phasegate/keys/evaluator.pub"));
    let rotate = ["roles", "rotate", "carol", "--to", "fresh.pub", "--as", "alice"];
    assert_ne!(quorum.run(&rotate).code, Some(0));
    assert_eq!(quorum.kinds(), before);
}

#[test]
fn a_key_that_only_an_agent_has_signs() {
    for tool in ["ssh-agent", "ssh-add", "ssh-keygen"] {
        if !has(tool, "a_key_that_only_an_agent_has_signs") {
            return;
        }
    }
    let quorum = Quorum::new();
    quorum.proposed();
    let socket = quorum.0.path("agent");
    let child =
        Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn();
    let child = child.unwrap();
    let _agent = Agent(child);
    while !socket.exists() {
        std::thread::yield_now();
    }
    let key = quorum.0.path(".phasegate/keys/alice");
    let add = Command::new("ssh-add").arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket).status();
    assert!(add.unwrap().success());
    for name in ["alice", "alice.pub"] {
        std::fs::remove_file(quorum.0.path(&format!(".phasegate/keys/{name}"))).unwrap();
    }
    quorum.run_as("alice", &["phase", "approve"]).ends(4).says("no key of alice is at hand");
    let mut approve = quorum.0.command(&["phase", "approve", "--as", "alice", "--yes"]);
    let output = approve.env("SSH_AUTH_SOCK", &socket).output().unwrap();
    Answer::of(output).ends(0).says("Signing as alice").prints("approved by alice");
}
