//! What bytes are an entry: JSON, shapes, spellings, sizes.

use ledger::body::{Event, WaiverScope};
use ledger::{PrincipalKind, RawEntry};
use serde_json::json;

use super::table::{Case, bad, bad_end, good, opened};
use crate::chain::{altered, resigned};
use crate::world::*;

pub fn cases() -> Vec<Case> {
    [json_cases(), shape_cases(), spelling_cases(), statement_cases()]
        .into_iter()
        .flatten()
        .collect()
}

/// A good ledger, and one more event whose text is changed before it is signed.
fn spelled(from: &str, to: &str) -> Vec<RawEntry> {
    Chain::new().then_spelled(event("deploy"), &["ci"], |text| text.replacen(from, to, 1))
}

fn detail(text: &str) -> Vec<RawEntry> {
    spelled(r#"{"ratio":0.25,"validators":48}"#, text)
}

fn json_cases() -> Vec<Case> {
    let nested = |levels: usize| {
        // The detail itself is the fifth level.
        let (open, close) = ("[".repeat(levels - 3), "]".repeat(levels - 3));
        detail(&format!("{open}{close}"))
    };
    vec![
        bad_end(
            "a key is repeated",
            spelled(r#""event":"deploy""#, r#""event":"deploy","event":"deploy""#),
        ),
        bad_end(
            "a key is repeated with an escape",
            spelled(r#""event":"deploy""#, r#""event":"deploy","\u0065vent":"deploy""#),
        ),
        bad_end("a key is repeated deep inside", detail(r#"{"a":[{"b":{"c":1},"b":2}]}"#)),
        good(
            "a detail may hold any JSON",
            detail(r#"{"a":[1.5,-0,1e3,true,null,{}],"b":"\ud83d\ude00 \"\\\/ ü"}"#),
        ),
        good("32 levels", nested(32)),
        bad_end("33 levels", nested(33)),
        good(
            "an empty object on level 33",
            detail(&format!("{}{{}}{}", "[".repeat(29), "]".repeat(29))),
        ),
        bad_end("thousands of levels", nested(20_000)),
        bad_end("too many bytes", spelled("deploy", &"x".repeat(256 * 1024))),
        good("as many bytes as there may be", {
            let size = Chain::new().next(event("deploy")).to_bytes().unwrap().len();
            spelled(r#""due":""#, &format!(r#""due":"{}"#, "x".repeat(256 * 1024 - size)))
        }),
        bad_end("trailing bytes", spelled("}\n", "}\n{}")),
        bad_end("a trailing NUL", spelled("}\n", "}\n\0")),
        good("white space and other line ends", spelled("}\n", " }\r\n\t")),
        bad_end("no JSON", spelled("{", "")),
        bad_end("a byte order mark", spelled("{", "\u{feff}{")),
        bad_end("a line feed in a text", spelled("deploy@", "deploy\n@")),
        bad_end("half a surrogate pair", spelled("deploy@", r"deploy\ud800@")),
        bad_end("an unknown escape", spelled("deploy@", r"deploy\x40")),
        bad_end("a number with a leading zero", detail("01")),
        bad_end("a number that ends with a point", detail("1.")),
        bad_end("no number", detail("NaN")),
        bad_end("a number out of range", detail("1e999")),
        bad_end("a byte that is no UTF-8", {
            let chain = Chain::new();
            let mut bytes = chain.next(event("deploy")).to_bytes().unwrap();
            let at = bytes.windows(7).position(|some| some == b"deploy@").unwrap();
            bytes[at + 6] = 0xff;
            chain.with(resigned(bytes, 1, &["ci"]))
        }),
        bad_end("an empty entry", Chain::new().with(resigned(Vec::new(), 1, &["ci"]))),
    ]
}

fn shape_cases() -> Vec<Case> {
    let chain = Chain::new();
    let plain = sign(&chain.next(event("deploy")), &["ci"]);
    let with =
        |pointer: &str, value| chain.with(resigned(altered(&plain, pointer, value), 1, &["ci"]));
    vec![
        bad_end("an unknown field of the statement", with("/extra", json!(1))),
        bad_end("an unknown field of the entry", with("/predicate/extra", json!(1))),
        bad_end("an unknown field of the pins", with("/predicate/pins/extra", json!(1))),
        bad_end("an unknown field of the body", with("/predicate/body/extra", json!(1))),
        bad_end("an unknown kind", with("/predicate/kind", json!("gift"))),
        bad_end("the body of another kind", with("/predicate/kind", json!("hold"))),
        bad_end("a field that is missing", spelled(r#""event":"deploy","#, "")),
        bad_end("a number for a text", with("/predicate/body/event", json!(7))),
        bad_end("a text for a number", with("/predicate/seq", json!("1"))),
        bad_end(
            "a list for an object",
            with("/predicate/pins", json!(["1".repeat(40), "2".repeat(40), "x"])),
        ),
        bad_end("an object for a name", with("/predicate/body/track", json!({"internal": null}))),
        bad_end("null for what is missing", with("/predicate/body/track", json!(null))),
        bad_end("no detail, written as null", with("/predicate/body/detail", json!(null))),
        bad_end("no distrust, written as a list", {
            chain.then_spelled(next_roles(|_| {}), &["alice", "bob"], |text| {
                text.replacen(r#""body":{"#, r#""body":{"distrust":[],"#, 1)
            })
        }),
        bad_end("a fraction for a whole number", spelled(r#""seq":1"#, r#""seq":1.0"#)),
        bad_end("an exponent for a whole number", spelled(r#""seq":1"#, r#""seq":1e0"#)),
        bad_end("a negative zero", spelled(r#""seq":1"#, r#""seq":-0"#)),
        bad_end("a phase that is no id", with("/predicate/body/phase", json!("../phase-1"))),
        bad_end(
            "a network that ends with a line feed",
            with("/predicate/network", json!("testnet-1\n")),
        ),
        bad_end(
            "a pin that is no object id",
            with("/predicate/pins/stages", json!("2".repeat(41))),
        ),
        bad_end("a waiver for a subject and a configuration", {
            chain.then_spelled(waiver(), &["alice", "bob"], |text| {
                let digest = "0".repeat(64);
                let subject =
                    format!(r#"{{"artifacts":{{}},"configuration":"{digest}","network":"n"}}"#);
                text.replacen(r#""scope":{"#, &format!(r#""scope":{{"subject":{subject},"#), 1)
            })
        }),
        good("a waiver for a subject", {
            let mut body = waiver();
            body.scope = WaiverScope::Subject(base::Subject {
                network: network(),
                artifacts: [("node".to_owned(), base::Digest::of(b"node"))].into(),
                configuration: base::Digest::of(b"c"),
                versions: Default::default(),
            });
            chain.then(body, &["alice", "bob"])
        }),
    ]
}

/// A ledger that is opened at this instant.
fn first_at(instant: &str) -> Vec<RawEntry> {
    let bytes = altered(&Chain::new().raw[0], "/predicate/time", json!(instant));
    vec![resigned(bytes, 0, &["alice", "bob"])]
}

fn spelling_cases() -> Vec<Case> {
    let at = |instant: &str| spelled("2026-01-08T15:01:00Z", instant);
    vec![
        good("microseconds", at("2026-01-08T15:01:00.000001Z")),
        good("tenths of a second", at("2026-01-08T15:01:00.5Z")),
        good("a leap day", at("2028-02-29T15:01:00Z")),
        good("the last instant", at("9999-12-30T22:00:00Z")),
        bad_end("an instant after the last one", at("9999-12-30T22:00:00.000001Z")),
        bad_end("a leap day in another year", at("2026-02-29T15:01:00Z")),
        bad_end("no day of the calendar", at("2026-04-31T15:01:00Z")),
        bad_end("a leap second", at("2026-12-31T23:59:60Z")),
        bad_end("an offset", at("2026-01-08T16:01:00+01:00")),
        bad_end("no offset", at("2026-01-08T15:01:00")),
        bad_end("small letters in an instant", at("2026-01-08t15:01:00z")),
        bad_end("a zero at the end of a fraction", at("2026-01-08T15:01:00.50Z")),
        bad_end("nanoseconds", at("2026-01-08T15:01:00.000000001Z")),
        bad_end("a time before Christ, far too early", at("-002026-01-08T15:01:00Z")),
        good("the first instant", first_at("-009999-01-02T01:59:59Z")),
        bad("an instant before the first one", 0, first_at("-009999-01-02T01:59:58Z")),
        good("a year before the year 0", first_at("-000004-02-29T23:59:59.9Z")),
        bad("a year 0 with a sign", 0, first_at("-000000-02-28T23:59:59Z")),
        bad("a year of six digits", 0, first_at("+002026-01-08T15:00:00Z")),
        good("a policy that is left out", {
            let raw = &Chain::new().raw[0];
            let text = String::from_utf8(raw.bytes.clone()).unwrap();
            let bytes = text.replacen(r#""policy":"quorum","#, "", 1).into_bytes();
            vec![resigned(bytes, 0, &["alice", "bob"])]
        }),
        good(
            "an organisation among the principals",
            opened(
                |roles| roles.principals.push(principal("acme", PrincipalKind::Organisation)),
                &["alice", "bob"],
            ),
        ),
    ]
}

fn statement_cases() -> Vec<Case> {
    let chain = Chain::new();
    let digests = [base::Digest::of(b"one"), base::Digest::of(b"two"), base::Digest::of(b"three")];
    let mut entry = chain.next(event("deploy"));
    entry.evidence.extend(digests);
    let rested = sign(&entry, &["ci"]);
    let with =
        |pointer: &str, value| chain.with(resigned(altered(&rested, pointer, value), 1, &["ci"]));
    let statement: serde_json::Value = serde_json::from_slice(&rested.bytes).unwrap();
    let backwards: Vec<_> =
        statement["predicate"]["evidence"].as_array().unwrap().iter().rev().cloned().collect();
    vec![
        good("evidence", chain.with(rested.clone())),
        bad_end(
            "another type of statement",
            with("/_type", json!("https://in-toto.io/Statement/v0.1")),
        ),
        bad_end(
            "another type of predicate",
            with("/predicateType", json!("https://phasegate.dev/ledger-entry/v2")),
        ),
        bad_end(
            "a subject that is another's",
            with("/subject/0/digest/gitTree", json!("3".repeat(40))),
        ),
        bad_end("a subject with a place", with("/subject/0/uri", json!("https://example.org"))),
        bad_end("no subject", with("/subject", json!([]))),
        bad_end(
            "the digest of evidence is altered in the subject",
            with("/subject/2/digest/sha256", json!("0".repeat(64))),
        ),
        bad_end(
            "the digest of evidence is altered in the entry",
            with("/predicate/evidence/0", json!("0".repeat(64))),
        ),
        bad_end("evidence in another order", with("/predicate/evidence", json!(backwards))),
        bad_end("evidence twice", with("/predicate/evidence", json!([digests[0], digests[0]]))),
        good("an event with nothing but its name", chain.then(Event::new("drill"), &["ci"])),
    ]
}
