use std::path::PathBuf;

use base::Duration;
use base::Outcome::{self, Error, Fail, Inconclusive, Pass};
use serde_json::{Value, json};

use crate::testing::{World, provenance, public_key, sealed, subject};

const COMMIT: &str = "6fe0a1d3f2c9b8e7d6c5b4a3f2e1d0c9b8a79685";
const ORIGIN: &str =
    "builder = 'https://example.org/builder'\nsource = 'git+https://example.org/node'";

fn keys(seeds: &[u8]) -> String {
    let lines: Vec<String> = seeds.iter().map(|seed| format!("'{}'", public_key(*seed))).collect();
    format!("keys = [{}]", lines.join(", "))
}

fn world(params: &str) -> World {
    World::new("attestation", &format!("path = 'node.jsonl'\nartifact = 'node'\n{params}"))
}

/// A gate for the key 1 that finds this file.
fn found(params: &str, text: &str) -> World {
    let world = world(&format!("{}\n{params}", keys(&[1])));
    world.with_record("document", json!({"path": "node.jsonl", "text": text}))
}

fn judged(params: &str, text: &str) -> (Outcome, String) {
    found(params, text).verdict()
}

/// The provenance of what is deployed, with `value` at `pointer`.
fn changed(pointer: &str, value: Value) -> Value {
    let mut statement = provenance(b"v1");
    *statement.pointer_mut(pointer).unwrap() = value;
    statement
}

fn with_predicate(predicate_type: &str, predicate: Value) -> Value {
    let mut statement = changed("/predicateType", predicate_type.into());
    statement["predicate"] = predicate;
    statement
}

#[test]
fn a_signed_provenance_of_what_is_deployed_passes_and_says_from_what_it_was_built() {
    let params = format!("{ORIGIN}\ncommit = '{COMMIT}'");
    let finding = found(&params, &sealed(&provenance(b"v1"), 1)).judge();
    assert_eq!(finding.outcome, Pass);
    let digest = base::Digest::of(b"v1");
    let [first, second] = finding.reasons.as_slice() else { panic!("{:?}", finding.reasons) };
    assert!(first.starts_with(&format!(
        "What is deployed as `node` has the SHA-256 digest {digest}, as signed by SHA256:"
    )));
    assert_eq!(
        *second,
        format!(
            "It was built by `https://example.org/builder` from the commit `{COMMIT}` of \
             `git+https://example.org/node`."
        )
    );
    assert_eq!(finding.measures[0].value, Some(1.0));
    assert_eq!(finding.evidence.len(), 1);
    assert!(finding.rule.contains("which names the builder"), "{}", finding.rule);
}

#[test]
fn a_binary_that_is_not_the_deployed_one_is_another_subject() {
    let (outcome, reasons) = judged(ORIGIN, &sealed(&provenance(b"v2"), 1));
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("is about other artifacts than the deployed `node`"), "{reasons}");
    // What it says about the other artifact is no matter.
    let mut wrong = provenance(b"v2");
    wrong["predicate"]["runDetails"]["builder"]["id"] = "https://example.org/other".into();
    assert_eq!(judged(ORIGIN, &sealed(&wrong, 1)).0, Inconclusive);
    // The same file counts once that binary is deployed.
    let mut world = found(ORIGIN, &sealed(&provenance(b"v2"), 1));
    world.candidate = subject("v2");
    world.intervals[0].subject = subject("v2");
    assert_eq!(world.verdict().0, Pass);
}

#[test]
fn a_digest_of_another_algorithm_is_no_digest_of_the_artifact() {
    let digest = base::Digest::of(b"v1").to_string();
    let other = changed("/subject/0/digest", json!({"sha512": digest}));
    assert_eq!(judged("", &sealed(&other, 1)).0, Inconclusive);
    let shouted = changed("/subject/0/digest", json!({"sha256": digest.to_uppercase()}));
    assert_eq!(judged("", &sealed(&shouted, 1)).0, Inconclusive);
}

#[test]
fn what_no_named_key_signed_fails() {
    let (outcome, reasons) = judged("", &sealed(&provenance(b"v1"), 2));
    assert_eq!(
        (outcome, reasons.as_str()),
        (Fail, "Nothing in `node.jsonl` was signed by a named key.")
    );
    let mut altered: Value = serde_json::from_str(&sealed(&provenance(b"v1"), 1)).unwrap();
    let other: Value = serde_json::from_str(&sealed(&provenance(b"v2"), 2)).unwrap();
    altered["payload"] = other["payload"].clone();
    assert_eq!(judged("", &altered.to_string()).0, Fail);
}

#[test]
fn another_builder_repository_or_commit_fails_and_is_named() {
    let all = format!("{ORIGIN}\ncommit = '{COMMIT}'");
    let dependency = "/predicate/buildDefinition/resolvedDependencies/0";
    let cases = [
        (
            "/predicate/runDetails/builder/id",
            json!("https://example.org/laptop"),
            "names the builder `https://example.org/laptop` instead of `https://example.org/builder`.",
        ),
        (
            &*format!("{dependency}/uri"),
            json!("git+https://example.org/node-fork@main"),
            "does not name `git+https://example.org/node` among what was built.",
        ),
        (
            &format!("{dependency}/digest/gitCommit"),
            json!("ab"),
            "names the commit `ab` of `git+https://example.org/node` instead of the commit",
        ),
        (
            &format!("{dependency}/digest"),
            json!({}),
            "names no commit of `git+https://example.org/node` instead of the commit",
        ),
    ];
    for (pointer, value, reason) in cases {
        let (outcome, reasons) = judged(&all, &sealed(&changed(pointer, value), 1));
        assert_eq!(outcome, Fail, "{pointer}");
        assert!(reasons.starts_with("The statement on line 1 "), "{reasons}");
        assert!(reasons.contains(reason), "{reasons}");
    }
    // A second commit of the repository is not the only one.
    let mut two = provenance(b"v1");
    let dependencies = two.pointer_mut("/predicate/buildDefinition/resolvedDependencies").unwrap();
    let more = json!({"uri": "git+https://example.org/node", "digest": {"gitCommit": "ab"}});
    dependencies.as_array_mut().unwrap().push(more);
    assert_eq!(judged(&all, &sealed(&two, 1)).0, Fail);
    assert_eq!(judged(ORIGIN, &sealed(&two, 1)).0, Pass, "any commit will do");
}

#[test]
fn what_is_not_asked_is_shown_and_does_not_count() {
    let other = changed("/predicate/runDetails/builder/id", json!("a\u{7}\nb"));
    let (outcome, reasons) = judged("", &sealed(&other, 1));
    assert_eq!(outcome, Pass);
    assert!(reasons.ends_with("It was built by `a b`."), "{reasons}");
}

#[test]
fn a_provenance_of_the_old_version_is_read_when_it_is_asked_for() {
    const OLD: &str = "https://slsa.dev/provenance/v0.2";
    let mut old = with_predicate(
        OLD,
        json!({
            "builder": {"id": "https://example.org/builder"},
            "buildType": "x",
            "materials": [{"uri": "git+https://example.org/node@v1", "digest": {"sha1": COMMIT}}],
        }),
    );
    let params = format!("{ORIGIN}\ncommit = '{COMMIT}'\npredicate_type = '{OLD}'");
    assert_eq!(judged(&params, &sealed(&old, 1)).0, Pass);
    old["_type"] = "https://in-toto.io/Statement/v0.1".into();
    assert_eq!(judged(&params, &sealed(&old, 1)).0, Pass);
    old["predicate"]["builder"]["id"] = "other".into();
    assert_eq!(judged(&params, &sealed(&old, 1)).0, Fail);
    assert_eq!(judged(ORIGIN, &sealed(&old, 1)).0, Inconclusive, "the new version was asked for");
    // The new provenance was never defined for the old statement.
    let mixed = changed("/_type", "https://in-toto.io/Statement/v0.1".into());
    let (outcome, reasons) = judged(ORIGIN, &sealed(&mixed, 1));
    assert_eq!(outcome, Error);
    assert!(reasons.contains("has the type `https://in-toto.io/Statement/v0.1`"), "{reasons}");
}

#[test]
fn other_statements_are_judged_by_subject_and_signature() {
    const TYPE: &str = "https://example.org/audited/v1";
    let params = format!("predicate_type = '{TYPE}'");
    let audited = with_predicate(TYPE, json!({"by": "us"}));
    assert_eq!(judged(&params, &sealed(&audited, 1)).0, Pass);
    let mut bare = audited;
    bare.as_object_mut().unwrap().remove("predicate");
    assert_eq!(judged(&params, &sealed(&bare, 1)).0, Pass);
    assert_eq!(judged(&params, &sealed(&bare, 2)).0, Fail);
    // A statement of another type is missing evidence, not bad evidence.
    let (outcome, reasons) = judged(&params, &sealed(&provenance(b"v1"), 1));
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("signed no statement of the type"), "{reasons}");
    let strict = format!("{params}\non_missing = 'fail'");
    assert_eq!(judged(&strict, &sealed(&provenance(b"v1"), 1)).0, Fail);
}

#[test]
fn so_many_different_keys_must_have_signed_in_one_envelope_or_several() {
    let gate = |text: &str| {
        let params = format!("{}\nthreshold = 2\n{ORIGIN}", keys(&[1, 2, 3]));
        world(&params).with_record("document", json!({"path": "node.jsonl", "text": text}))
    };
    let by = |seed| sealed(&provenance(b"v1"), seed);
    let (outcome, reasons) = gate(&by(1)).verdict();
    assert_eq!(outcome, Fail);
    assert!(reasons.starts_with("1 named key signed what has to be said"), "{reasons}");
    assert_eq!(gate(&format!("{}{}", by(1), by(1))).verdict().0, Fail, "one key counts once");
    assert_eq!(gate(&format!("{}{}", by(1), by(9))).verdict().0, Fail, "the other is not named");
    let elsewhere = format!("{}{}", by(1), sealed(&provenance(b"v2"), 2));
    assert_eq!(gate(&elsewhere).verdict().0, Fail, "the other signed something else");
    assert_eq!(gate(&format!("{}{}", by(1), by(3))).verdict().0, Pass);
    let mut both: Value = serde_json::from_str(&by(1)).unwrap();
    let other: Value = serde_json::from_str(&by(2)).unwrap();
    both["signatures"].as_array_mut().unwrap().push(other["signatures"][0].clone());
    let finding = gate(&both.to_string()).judge();
    assert_eq!((finding.outcome, finding.measures[0].value), (Pass, Some(2.0)));
}

#[test]
fn among_several_statements_the_right_one_is_found_and_the_others_are_explained() {
    let wrong = changed("/predicate/runDetails/builder/id", json!("other"));
    let text = [
        sealed(&provenance(b"v1"), 9),
        sealed(&provenance(b"v2"), 1),
        sealed(&with_predicate("https://example.org/p", json!({})), 1),
        sealed(&wrong, 1),
        sealed(&provenance(b"v1"), 1),
    ];
    let finding = found(ORIGIN, &text.concat()).judge();
    assert_eq!(finding.outcome, Pass);
    let steps = &finding.explanation.steps;
    assert_eq!(steps.len(), 5);
    assert_eq!(steps[0], "Line 1: no named key signed it.");
    for (step, end) in steps[1..].iter().zip([
        "it is about other artifacts.",
        "it is of the type `https://example.org/p`.",
        "it is about what is deployed, and not as it has to be.",
        "it holds.",
    ]) {
        assert!(step.ends_with(end), "{step}");
    }
    assert_eq!(judged(ORIGIN, &text[..4].concat()).0, Fail, "one is about it, and wrong");
    assert_eq!(judged(ORIGIN, &text[..2].concat()).0, Inconclusive, "none is about it");
    let change = found(ORIGIN, &text[..2].concat()).judge().explanation.would_change.unwrap();
    assert!(change.contains(&base::Digest::of(b"v1").to_string()), "{change}");
}

#[test]
fn damaged_files_are_errors_with_file_and_place() {
    let good = sealed(&provenance(b"v1"), 1);
    let cases = [
        (String::new(), "`node.jsonl` cannot be judged: there is no envelope in it."),
        ("# A guide".to_owned(), "expected value at line 1 column 1"),
        (format!("{good}{}", &good[..50]), "at line 2 column 50"),
        (format!("{good}{{}}"), "line 2 is neither a DSSE envelope nor a sigstore bundle"),
        (good.replace("vnd.in-toto+json", "json"), "has the payload type `application/json`"),
        (good.replacen('{', "{\"payload\":\"\",", 1), "the key `payload` is repeated"),
    ];
    for (text, reason) in cases {
        let (outcome, reasons) = judged(ORIGIN, &text);
        assert_eq!(outcome, Error, "{reasons}");
        assert!(reasons.contains(reason), "{reasons}");
    }
    let shapeless = changed("/predicate/runDetails", json!({"builder": {}}));
    let (outcome, reasons) = judged(ORIGIN, &sealed(&shapeless, 1));
    assert_eq!(outcome, Error);
    assert!(reasons.contains("the provenance on line 1 cannot be read: missing field `id`"));
    let link = changed("/_type", "link".into());
    assert_eq!(judged(ORIGIN, &sealed(&link, 1)).0, Error);
    // Of a key that is not named nothing is believed, not even that it is damaged.
    assert_eq!(judged(ORIGIN, &sealed(&link, 2)).0, Fail);
}

#[test]
fn absence_is_what_the_definition_says_and_ignorance_is_inconclusive() {
    let absent = json!({"path": "node.jsonl", "text": null});
    let gate = |params: &str| world(&format!("{}\n{params}", keys(&[1])));
    assert_eq!(gate("").with_record("document", absent.clone()).verdict().0, Inconclusive);
    let strict = "on_missing = 'fail'";
    assert_eq!(gate(strict).with_record("document", absent).verdict().0, Fail);
    assert_eq!(gate(strict).verdict().0, Inconclusive, "nobody looked");
    let text = sealed(&provenance(b"v1"), 1);
    let other = json!({"path": "other.jsonl", "text": text});
    assert_eq!(gate("").with_record("document", other).verdict().0, Inconclusive);
    let problem = json!({"kind": "malformed", "text": "`node.jsonl` is not UTF-8."});
    let body = json!({"path": "node.jsonl", "text": null, "problem": problem});
    assert_eq!(gate("").with_record("document", body).verdict().0, Error);
    assert_eq!(gate("").with_record("document", json!({"path": 7})).verdict().0, Error);
}

#[test]
fn without_a_known_candidate_nothing_passes() {
    let good = || found(ORIGIN, &sealed(&provenance(b"v1"), 1));
    assert_eq!(good().verdict().0, Pass);
    let mut world = good();
    world.deployed = false;
    assert_eq!(world.verdict().0, Inconclusive);
    // What ran is not what the evidence has to be about.
    let mut world = good();
    world.intervals[0].subject = subject("v2");
    let (outcome, reasons) = world.verdict();
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("did not run the candidate"), "{reasons}");
    let mut world = good();
    let artifacts = std::mem::take(&mut world.candidate.artifacts);
    world.candidate.artifacts = artifacts.into_values().map(|d| ("prover".to_owned(), d)).collect();
    world.intervals[0].subject = world.candidate.clone();
    let finding = world.judge();
    assert_eq!(finding.outcome, Inconclusive);
    assert!(finding.reasons[0].contains("names no artifact `node`"), "{:?}", finding.reasons);
    assert!(finding.explanation.would_change.unwrap().contains("`prover`"));
}

#[test]
fn a_file_that_was_collected_too_long_ago_does_not_count() {
    let mut world = found(ORIGIN, &sealed(&provenance(b"v1"), 1));
    world.gate.max_age = Some(Duration::from_seconds(30));
    let (outcome, reasons) = world.verdict();
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("older than 30s does not count"), "{reasons}");
}

#[test]
fn a_definition_that_nothing_could_pass_or_fail_is_refused() {
    let rsa = "ssh-rsa AAAA";
    let cases = [
        ("keys = []".to_owned(), "PG0406 nobody's signature counts"),
        ("keys = ['nonsense']".to_owned(), "PG0204 `nonsense` is not an OpenSSH public key"),
        (format!("keys = ['{rsa}']"), "PG0204 `ssh-rsa AAAA` is not"),
        (keys(&[1, 2, 1]), "PG0206 the key SHA256:"),
        (keys(&(1..=17).collect::<Vec<u8>>()), "PG0204 17 keys are named; at most 16"),
        (format!("{}\nthreshold = 0", keys(&[1])), "PG0406 no signature is asked for"),
        (format!("{}\nthreshold = 3", keys(&[1, 2])), "PG0204 3 of 2 keys can never have signed"),
        (format!("{}\nbuilder = ' '", keys(&[1])), "PG0207 `builder` says nothing"),
        (format!("{}\npredicate_type = ''", keys(&[1])), "PG0207 `predicate_type` says nothing"),
        (
            format!("{}\n{ORIGIN}\npredicate_type = 'https://example.org/p'", keys(&[1])),
            "PG0209 statements of the type `https://example.org/p` are not read for a builder",
        ),
        (format!("{}\n{ORIGIN}\ncommit = 'main'", keys(&[1])), "PG0204 `main` is no commit"),
        (
            format!("{}\ncommit = '{COMMIT}'", keys(&[1])),
            "PG0209 a commit without its repository could be that of any dependency",
        ),
    ];
    for (params, problem) in cases {
        let problems = world(&params).problems();
        assert!(problems[0].starts_with(problem), "{params}: {problems:?}");
    }
    let leaving =
        World::new("attestation", &format!("path = '../x'\nartifact = ''\n{}", keys(&[1])));
    let problems = leaving.problems();
    assert!(problems[0].contains("`../x` leaves the repository"), "{problems:?}");
    assert!(problems[1].starts_with("PG0207 `artifact` says nothing"), "{problems:?}");
    let mut entry = world(&keys(&[1]));
    entry.gate.on = definition::Side::Entry;
    assert!(entry.problems()[0].contains("at the entry nothing is deployed"));
}

#[test]
fn a_key_that_makes_no_bare_signatures_is_refused() {
    let p256 = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBD7vX/+ctux4SduZA3Pqc1FOfrUwuAeBMxXOEKh9XjjHrXwVlbxvNuYz9sm7rhipOa011Ps7p3XXICzsiE8721I=";
    let problems = world(&format!("keys = ['{p256}']")).problems();
    assert!(problems[0].starts_with("PG0204 this key cannot sign a DSSE envelope here"));
}

#[test]
fn the_example_of_the_documentation_loads() {
    let page = include_str!("../../../../../docs/attestations.md");
    let block = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let table: toml::Table = block.parse().unwrap();
    let params = toml::to_string(&table["gate"][0]["params"]).unwrap();
    let kind = table["gate"][0]["kind"].as_str().unwrap();
    assert_eq!(World::new(kind, &params).problems(), [] as [String; 0]);
}

/// The envelope of another tool in `../shared`, about a report whose content is `hello`.
#[test]
fn an_envelope_of_another_tool_is_judged_like_ours() {
    let test = "an_envelope_of_another_tool_is_judged_like_ours";
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors"))
        .join("interop-generated");
    if !folder.is_dir() {
        println!("skipped: {test} (no vectors of interop-generated)");
        return;
    }
    let file = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let judge = |key: &str, deployed: &str, predicate_type: &str| {
        let params = format!(
            "keys = ['{}']\npredicate_type = '{predicate_type}'",
            file(&format!("{key}.pub")).trim()
        );
        let body = json!({"path": "node.jsonl", "text": file("st.std.dsse.json")});
        let mut world = world(&params);
        world.candidate = subject(deployed);
        world.intervals[0].subject = subject(deployed);
        world.with_record("document", body).verdict().0
    };
    const SUMMARY: &str = "https://slsa.dev/verification_summary/v1";
    assert_eq!(judge("ci", "hello", SUMMARY), Pass);
    assert_eq!(judge("ci", "hello", "https://slsa.dev/provenance/v1"), Inconclusive);
    assert_eq!(judge("ci", "other", SUMMARY), Inconclusive);
    assert_eq!(judge("alice", "hello", SUMMARY), Fail);
}
