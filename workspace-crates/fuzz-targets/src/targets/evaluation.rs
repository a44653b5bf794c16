//! Evaluations, as `phase explain` and a recomputation read them out of a ledger.

use gates::Evaluation;

use crate::Target;

/// The bytes of an evaluation.
pub const TARGET: Target = Target {
    name: "evaluation",
    run,
    seeds: crate::no_seeds,
    repair: crate::no_repair,
    words: json_words![
        "\"findings\":[",
        "\"outcome\":\"pass\"",
        "\"verdict\":\"advance\"",
        "\"measures\":[",
        "\"series\":[",
        "\"soak\":null",
        "\"waivers\":[",
        "\"at\":\"",
    ],
};

/// What is read and can be written is read again the same.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let Ok(evaluation) = serde_json::from_slice::<Evaluation>(bytes) else { return false };
    let Ok(written) = base::canonical_json(&evaluation) else { return false };
    let Ok(again) = serde_json::from_slice::<Evaluation>(&written) else {
        panic!("an evaluation that was read cannot be read again: {evaluation:?}")
    };
    assert_eq!(base::canonical_json(&again).ok(), Some(written), "it has two forms");
    true
}
