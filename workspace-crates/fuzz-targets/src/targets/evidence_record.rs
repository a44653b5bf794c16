//! Records of evidence, and what gates take out of them.

use evidence::{DocumentBody, IssuesBody, ProbeBody, Record, read_body};

use crate::Target;

/// The bytes of a record.
pub const TARGET: Target = Target {
    name: "evidence_record",
    run,
    seeds,
    repair: crate::no_repair,
    words: json_words![
        "\"kind\":\"document\"",
        "\"kind\":\"issues\"",
        "\"kind\":\"probe\"",
        "\"body\":{",
        "\"problem\":{\"kind\":\"malformed\",\"text\":\"\"}",
        "\"external\":{\"location\":\"../x\"",
        "\"schema\":2",
    ],
};

/// A record that is read is written back the same, under the same name.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let Ok(record) = serde_json::from_slice::<Record>(bytes) else { return false };
    let Ok(written) = record.to_bytes() else { return false };
    let Ok(again) = serde_json::from_slice::<Record>(&written) else {
        panic!("a record that was read cannot be read again: {record:?}")
    };
    assert_eq!(again.digest().ok(), record.digest().ok(), "one record has two names");
    assert_eq!(again.to_bytes().ok(), Some(written));
    body::<DocumentBody>(&record, "document")
        || body::<IssuesBody>(&record, "issues")
        || body::<ProbeBody>(&record, "probe")
}

/// Whether the body has this form; if so it can be written, and is the same when read again.
fn body<T>(record: &Record, kind: &str) -> bool
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let Ok(body) = read_body::<T>(record, kind) else { return false };
    let Ok(value) = evidence::to_body(&body) else { return true };
    let again = Record { body: value, ..record.clone() };
    assert_eq!(read_body::<T>(&again, kind).ok(), Some(body));
    true
}

fn seeds() -> Vec<Vec<u8>> {
    let bodies = [
        ("document", r#"{"path":"a.md","text":"x","existing_links":["b.md"]}"#),
        (
            "issues",
            r#"{"repository":"o/n","complete":true,"issues":[{"number":1,"title":"T","state":"closed","state_reason":"completed"}]}"#,
        ),
        (
            "probe",
            r#"{"rpc":"height","answers":{"a":{"role":"validator","result":{"height":1.5}}}}"#,
        ),
    ];
    let record = |(kind, body): (&str, &str)| {
        format!(
            r#"{{"schema":1,"kind":"{kind}","for_whom":"p/g","origin":{{"source":"a","collector":"b/1"}},"observed_at":"2026-01-08T15:00:00Z","body":{body}}}"#
        )
    };
    bodies.into_iter().map(|one| record(one).into_bytes()).collect()
}
