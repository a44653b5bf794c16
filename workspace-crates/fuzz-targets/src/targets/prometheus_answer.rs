//! What a Prometheus-compatible server answers to a range query.

use base::{Duration, Instant};
use collectors::read_answer;
use gates::Question;

use crate::Target;

/// The body of a reply.
pub const TARGET: Target = Target {
    name: "prometheus_answer",
    run,
    seeds,
    repair: crate::no_repair,
    words: json_words![
        "\"status\":\"success\"",
        "\"resultType\":\"matrix\"",
        "\"result\":[",
        "\"metric\":{",
        "\"values\":[[1767884400,\"1\"]]",
        "[1767884460.000,\"NaN\"]",
        "\"+Inf\"",
        "\"histograms\":[]",
        "\"warnings\":[\"x\"]",
        "\"isPartial\":true",
        "\"errorType\":\"timeout\"",
        "<html>",
    ],
};

/// Every series has labels of its own, and points of the question only, in order.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let from = Instant::from_unix_millis(1_767_884_400_000);
    let step = Duration::from_minutes(1);
    let question = Question {
        query: "up".to_owned(),
        from,
        until: from + Duration::from_minutes(10),
        step,
        stated: true,
    };
    let Ok(series) = read_answer(bytes, &question) else { return false };
    for (index, one) in series.iter().enumerate() {
        assert!(series[..index].iter().all(|other| other.metric != one.metric), "twice: {one:?}");
        let Ok(points) = one.points(&question) else { panic!("accepted without points: {one:?}") };
        let places: Vec<usize> = points.iter().map(|(place, _)| *place).collect();
        assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
        assert!(places.iter().all(|place| (*place as u64) < question.points()), "{places:?}");
    }
    assert_eq!(read_answer(bytes, &question).ok().as_ref(), Some(&series));
    true
}

fn seeds() -> Vec<Vec<u8>> {
    let full = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"instance":"a"},"values":[[1767884400,"1"],[1767884460,"+Inf"],[1767884520,"NaN"]]},{"metric":{},"values":[[1767884400.000,"0.5"]]}]},"warnings":["PromQL info: x"]}"#;
    let empty = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    let failed = r#"{"status":"error","errorType":"bad_data","error":"no"}"#;
    [full, empty, failed].map(|text| text.as_bytes().to_vec()).into()
}
