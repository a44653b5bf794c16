//! The gate `attestation`, from the file in the repository to the verdict about what is deployed.

use base::Digest;
use ledger::dsse::Envelope;
use ledger::keys::generate_ed25519;
use ledger::statement::STATEMENT_MEDIA_TYPE;
use ledger::{Signer as _, SshKeySigner};

use crate::deployments::{Guarded, ID};
use crate::support::Repository;

const FILE: &str = "stages/tiny/node.intoto.jsonl";
const STAGE: &str = "stages/tiny/stage.toml";

fn builder(seed: u8) -> SshKeySigner {
    let pair = generate_ed25519(Some([seed; 32])).unwrap();
    SshKeySigner::from_openssh("builder".parse().unwrap(), &pair.private_openssh).unwrap()
}

/// The provenance of what has this digest, signed by the builder of this seed, as one line.
fn provenance(digest: Digest, seed: u8) -> String {
    let statement = serde_json::json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "node", "digest": {"sha256": digest.to_string()}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {"buildType": "https://example.org/build/v1"},
            "runDetails": {"builder": {"id": "https://example.org/builder"}},
        },
    });
    let payload = statement.to_string();
    let signed = Envelope::sign(&builder(seed), STATEMENT_MEDIA_TYPE, payload.as_bytes()).unwrap();
    format!("{}\n", serde_json::to_string(&signed).unwrap())
}

/// The tiny programme with a gate that asks for the provenance of its node.
fn with_gate(repository: &Repository) {
    let key = builder(1).public_key().to_openssh();
    let stage = repository.read(STAGE);
    repository.write(
        STAGE,
        &format!(
            r#"{stage}
[[gate]]
id = "provenance"
track = "internal"
on = "exit"
title = "Built from source"
kind = "attestation"
owner = "lead"
why = "What runs is what the published source builds to."
bad_sample = "{FILE}"
params = {{ path = "{FILE}", artifact = "devnet-node", keys = ["{key}"], builder = "https://example.org/builder" }}
"#
        ),
    );
}

/// The finding as `phase explain` gives it: its outcome, and all its reasons in one text.
#[track_caller]
fn explained(repository: &Repository, more: &[&str]) -> (String, String) {
    let command = [&["phase", "explain", "small/provenance", "--format", "json"], more].concat();
    let finding = repository.run(&command).ends(0).json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let reasons: Vec<String> = finding["reasons"].as_array().unwrap().iter().map(text).collect();
    (text(&finding["outcome"]), reasons.join(" "))
}

#[track_caller]
fn is(found: (String, String), outcome: &str, reason: &str) {
    assert_eq!(found.0, outcome, "{}", found.1);
    assert!(found.1.contains(reason), "`{reason}` is not in: {}", found.1);
}

#[test]
fn a_rehearsal_is_over_only_with_a_statement_about_the_simulated_node() {
    let repository = Repository::tiny();
    with_gate(&repository);
    let simulated = Digest::of(format!("devnet-node/{}/1", env!("CARGO_PKG_VERSION")).as_bytes());
    let other = provenance(Digest::of(b"another"), 1);
    repository.write(FILE, &other);
    let rehearse = ["rehearse", "tiny", "--out", "out", "--weeks-max", "1"];
    repository.run(&rehearse).ends(10);
    let explain = || explained(&repository, &["--rehearsal", "out"]);
    let missing = format!("the deployed `devnet-node` with the SHA-256 digest {simulated}");
    is(explain(), "inconclusive", &missing);

    repository.write(FILE, &format!("{other}{}", provenance(simulated, 1)));
    repository.run(&rehearse).ends(0);
    is(explain(), "pass", "It was built by `https://example.org/builder`.");
}

#[test]
fn a_network_of_processes_is_held_against_the_provenance_of_its_executable() {
    let repository = Guarded::new();
    with_gate(&repository.0);
    let running = std::fs::read(env!("CARGO_BIN_EXE_phasegate")).unwrap();
    let running = Digest::of(&running);
    repository.up().ends(0);
    let explain = || explained(&repository.0, &["--live"]);
    is(explain(), "inconclusive", "does not exist");
    let found = |text: &str| {
        repository.0.write(FILE, text);
        explain()
    };
    is(found(&provenance(running, 1)), "pass", &running.to_string());
    let another = Digest::of(b"another");
    is(found(&provenance(another, 1)), "inconclusive", "about other artifacts");
    is(found(&provenance(running, 2)), "fail", "was signed by a named key");
    is(found("{"), "error", "cannot be judged");
    repository.run(&["deploy", "down", ID]).ends(0);
    repository.nothing_is_left();
}
