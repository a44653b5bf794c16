//! What a definition says, and what is wrong with it.

use definition::Phase;
use diagnostics::{Diagnostic, codes};
use serde::Deserialize;
use signatures::PublicKey;
use signatures::provenance::{Provenance, SLSA_PROVENANCE_V1};

use super::super::records::OnMissing;
use super::super::{Gate, ParamInfo, common};

/// The most keys that a gate may name; each is tried on each signature.
const KEYS_MAX: usize = 16;

pub(super) const PARAMS: &[ParamInfo] = &[
    ParamInfo::required(
        "path",
        "text",
        "Path of the file with the signed statements, relative to the repository: one DSSE envelope, several in a row as in JSON lines, or sigstore bundles with one each.",
    ),
    ParamInfo::required(
        "artifact",
        "text",
        "Name of the deployed artifact whose digest the statement must name. Of the reference network it is `devnet-node`: with the driver `process` the executable that runs as every node, in a rehearsal the text `devnet-node/VERSION/CLIENT`. The file may hold a statement about each.",
    ),
    ParamInfo::required(
        "keys",
        "list of OpenSSH public keys",
        "Whose signatures count: Ed25519 keys, one line each, at most 16.",
    ),
    ParamInfo::optional(
        "threshold",
        "integer, at least 1",
        "1",
        "How many different ones of the keys must have signed such a statement, in one envelope or in several.",
    ),
    ParamInfo::optional(
        "predicate_type",
        "text",
        "`https://slsa.dev/provenance/v1`",
        "What kind of statement it must be. SLSA provenance v1 and v0.2 are read for builder, repository and commit; of others only subject and signatures are judged.",
    ),
    ParamInfo::optional(
        "builder",
        "text",
        "any, and shown",
        "The builder's identity that a provenance must name, to the letter.",
    ),
    ParamInfo::optional(
        "source",
        "text",
        "any",
        "URI of the repository that a provenance must name among what it was built from, such as `git+https://github.com/example/node`. A revision after `@` may follow in the provenance.",
    ),
    ParamInfo::optional(
        "commit",
        "40 or 64 hexadecimal digits",
        "any, and shown when `source` is given",
        "The only commit of `source` that it may have been built from.",
    ),
    ParamInfo::optional(
        "on_missing",
        "`inconclusive` or `fail`",
        "`inconclusive`",
        "What it means when there is no such file, or no signed statement of this type in it.",
    ),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    pub(super) path: String,
    pub(super) artifact: String,
    keys: Vec<String>,
    #[serde(default = "one")]
    pub(super) threshold: u32,
    #[serde(default = "provenance")]
    pub(super) predicate_type: String,
    pub(super) builder: Option<String>,
    pub(super) source: Option<String>,
    pub(super) commit: Option<String>,
    #[serde(default)]
    pub(super) on_missing: OnMissing,
}

fn one() -> u32 {
    1
}

fn provenance() -> String {
    SLSA_PROVENANCE_V1.to_owned()
}

/// A gate with its keys unpacked.
pub(super) struct Attestation {
    pub(super) params: Params,
    pub(super) keys: Vec<PublicKey>,
}

pub(super) fn parse(
    gate: &definition::Gate,
    _phase: &Phase,
) -> Result<Box<dyn Gate>, Vec<Diagnostic>> {
    let params: Params = gate.params.deserialize()?;
    let mut problems = Vec::new();
    common::check_path(&gate.params, "path", &params.path, &mut problems);
    let keys = read_keys(&params, gate, &mut problems);
    check_texts(&params, gate, &mut problems);
    check_threshold(&params, gate, &mut problems);
    check_origin(&params, gate, &mut problems);
    check_side(gate, &mut problems);
    if problems.is_empty() { Ok(Box::new(Attestation { params, keys })) } else { Err(problems) }
}

fn read_keys(
    params: &Params,
    gate: &definition::Gate,
    problems: &mut Vec<Diagnostic>,
) -> Vec<PublicKey> {
    let mut keys: Vec<PublicKey> = Vec::new();
    let mut refuse = |code, place: &str, message: String, help: &str| {
        problems.push(gate.params.problem(code, place, message).help(help.to_owned()));
    };
    if params.keys.is_empty() {
        let help = "name the public key of the builder, such as `ssh-ed25519 AAAA… builder`";
        refuse(codes::NO_CONDITION, "keys", "nobody's signature counts".to_owned(), help);
    }
    if params.keys.len() > KEYS_MAX {
        let message = format!("{} keys are named; at most {KEYS_MAX} are", params.keys.len());
        refuse(codes::BAD_VALUE, "keys", message, "split the gate in two");
    }
    for (index, text) in params.keys.iter().enumerate() {
        let place = format!("keys.{index}");
        match PublicKey::parse(text) {
            Err(error) => {
                let help = "write the one line of an `id_ed25519.pub`";
                refuse(codes::BAD_VALUE, &place, error.to_string(), help);
            }
            Ok(key) if key.ed25519_bytes().is_none() => {
                let message = "this key cannot sign a DSSE envelope here".to_owned();
                let help = "envelopes are verified with Ed25519 keys only";
                refuse(codes::BAD_VALUE, &place, message, help);
            }
            Ok(key) if keys.iter().any(|earlier| earlier.material() == key.material()) => {
                let message = format!("the key {} is named twice", key.fingerprint());
                refuse(codes::DUPLICATE, &place, message, "one key counts once");
            }
            Ok(key) => keys.push(key),
        }
    }
    keys
}

fn check_texts(params: &Params, gate: &definition::Gate, problems: &mut Vec<Diagnostic>) {
    let texts = [
        ("artifact", Some(&params.artifact)),
        ("predicate_type", Some(&params.predicate_type)),
        ("builder", params.builder.as_ref()),
        ("source", params.source.as_ref()),
    ];
    for (key, text) in texts.into_iter().filter_map(|(key, text)| Some((key, text?))) {
        if text.trim().is_empty() {
            problems.push(gate.params.problem(codes::EMPTY, key, format!("`{key}` says nothing")));
        }
    }
}

fn check_threshold(params: &Params, gate: &definition::Gate, problems: &mut Vec<Diagnostic>) {
    let (threshold, count) = (params.threshold, params.keys.len());
    if threshold == 0 {
        let problem =
            gate.params.problem(codes::NO_CONDITION, "threshold", "no signature is asked for");
        problems.push(problem.help("ask for at least one"));
    } else if count > 0 && threshold as usize > count {
        let message = format!("{threshold} of {count} keys can never have signed");
        let problem = gate.params.problem(codes::BAD_VALUE, "threshold", message);
        problems.push(problem.help(format!("write 1 to {count}, or name more keys")));
    }
}

/// What only a provenance says can only be asked of a provenance.
fn check_origin(params: &Params, gate: &definition::Gate, problems: &mut Vec<Diagnostic>) {
    let asked = [
        ("builder", params.builder.is_some()),
        ("source", params.source.is_some()),
        ("commit", params.commit.is_some()),
    ];
    if !Provenance::is_read(&params.predicate_type) {
        for (key, _) in asked.into_iter().filter(|(_, given)| *given) {
            let message = format!(
                "statements of the type `{}` are not read for a {key}",
                params.predicate_type
            );
            let problem = gate.params.problem(codes::CONFLICT, key, message);
            problems.push(
                problem.help(format!("leave `{key}` out, or ask for `{SLSA_PROVENANCE_V1}`")),
            );
        }
    }
    let Some(commit) = &params.commit else { return };
    let is_hex = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    if ![40, 64].contains(&commit.len()) || !commit.bytes().all(is_hex) {
        let message = format!("`{commit}` is no commit");
        let problem = gate.params.problem(codes::BAD_VALUE, "commit", message);
        problems.push(problem.help("write its whole id, 40 or 64 lower-case hexadecimal digits"));
    }
    if params.source.is_none() {
        let message = "a commit without its repository could be that of any dependency";
        let problem = gate.params.problem(codes::CONFLICT, "commit", message);
        problems.push(problem.help("name the repository in `source`"));
    }
}

/// Before a track begins nothing of it is deployed.
fn check_side(gate: &definition::Gate, problems: &mut Vec<Diagnostic>) {
    if gate.on == definition::Side::Entry {
        let message = "at the entry nothing is deployed that a statement could be about";
        let problem = Diagnostic::error(codes::CONFLICT, message).at(&gate.location);
        problems.push(problem.help("write `on = \"exit\"`"));
    }
}
