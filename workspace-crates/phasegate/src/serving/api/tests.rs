use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use samples::{Labels, Store};
use serde_json::Value;

use super::{Allowance, answer};
use crate::queries::Sampled;
use crate::serving::params::Params;

/// Two series, every 15 s from 0 to 600 s.
fn sampled() -> Sampled {
    let mut store = Store::new();
    let up = |node: &str| Labels::metric("up", &[("instance", node), ("role", "validator")]);
    let target = store.add_target(vec![up("a"), up("b")]);
    for step in 0..=40_i64 {
        store.append(target, step * 15_000, &[1.0, step as f64]).unwrap();
    }
    Sampled::new("test".to_owned(), Arc::new(store), false)
}

fn ask(path: &str, query: &str, timeout: Duration) -> (u16, Value) {
    let allowance = Allowance { max_samples: 1_000, timeout };
    let params = Params::of(query, b"");
    let flag = Arc::new(AtomicBool::new(false));
    let (status, body) = match answer(path, &params, &sampled(), allowance, &flag) {
        Ok(body) => (200, body),
        Err(refusal) => (refusal.status.as_u16(), refusal.json()),
    };
    (status, serde_json::from_str(&body).unwrap())
}

#[track_caller]
fn gives(path: &str, query: &str, data: Value) {
    let (status, body) = ask(path, query, Duration::from_secs(60));
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["data"], data, "{body}");
}

#[track_caller]
fn refuses(path: &str, query: &str, status: u16, kind: &str, text: &str) {
    let (found, body) = ask(path, query, Duration::from_secs(60));
    assert_eq!((found, body["errorType"].as_str()), (status, Some(kind)), "{body}");
    assert!(body["error"].as_str().unwrap().contains(text), "{body}");
}

#[test]
fn queries_are_answered_at_an_instant_and_over_a_range() {
    let vector = serde_json::json!({ "resultType": "vector",
        "result": [{ "metric": {}, "value": [600, "41"] }] });
    gives("query", "query=sum(up)", vector);
    let matrix = serde_json::json!({ "resultType": "matrix",
        "result": [{ "metric": {}, "values": [[0, "1"], [15.5, "2"], [31, "3"]] }] });
    gives("query_range", "query=sum(up)&start=0&end=40&step=15.5", matrix);
}

#[test]
fn labels_and_series_are_listed() {
    gives("labels", "", serde_json::json!(["__name__", "instance", "role"]));
    gives("label/instance/values", "", serde_json::json!(["a", "b"]));
    gives("label/instance/values", "match[]=up{instance!=%22a%22}", serde_json::json!(["b"]));
    gives("label/none/values", "", serde_json::json!([]));
    let series = serde_json::json!([{ "__name__": "up", "instance": "a", "role": "validator" }]);
    gives("series", "match[]={instance=%22a%22}", series);
    gives("metadata", "", serde_json::json!({}));
    let (_, body) = ask("labels", "limit=1", Duration::from_secs(1));
    assert_eq!(body["data"].as_array().unwrap().len(), 1);
    assert!(body["warnings"][0].as_str().unwrap().contains("truncated"), "{body}");
}

#[test]
fn what_is_not_understood_is_bad_data() {
    refuses("query", "", 400, "bad_data", "\"query\"");
    refuses("query", "query=sum(", 400, "bad_data", "\"query\"");
    refuses("query", "query=up&time=soon", 400, "bad_data", "\"time\"");
    refuses("query", "query=up&timeout=x", 400, "bad_data", "\"timeout\"");
    refuses("query_range", "query=up&start=0&end=1", 400, "bad_data", "\"step\"");
    refuses("query_range", "query=up&start=0&end=1&step=0", 400, "bad_data", "\"step\"");
    refuses("query_range", "query=up&start=2&end=1&step=1", 400, "bad_data", "\"end\"");
    refuses("query_range", "query=up[5m]&start=0&end=1&step=1", 400, "bad_data", "\"query\"");
    refuses("query_range", "query=up&start=0&end=11001&step=1", 400, "bad_data", "11,000");
    refuses("series", "", 400, "bad_data", "match[]");
    refuses("series", "match[]=sum(up)", 400, "bad_data", "match[]");
    refuses("labels", "limit=-1", 400, "bad_data", "\"limit\"");
    refuses("alerts", "", 404, "not_found", "query_range");
}

#[test]
fn a_query_that_fails_or_costs_too_much_cannot_be_executed() {
    refuses("query", "query=up%20%2B%20on(role)%20up", 422, "execution", "up + on(role) up");
    let expensive = "query=up&start=0&end=600&step=0.1";
    refuses("query_range", expensive, 422, "execution", "1000 samples");
}

#[test]
fn a_query_out_of_time_says_so_and_one_withdrawn_too() {
    let (status, body) = ask("query", "query=up&timeout=0", Duration::from_secs(60));
    assert_eq!((status, body["errorType"].as_str()), (503, Some("timeout")), "{body}");
    let flag = Arc::new(AtomicBool::new(true));
    let allowance = Allowance { max_samples: 1_000, timeout: Duration::from_secs(60) };
    let params = Params::of("query=up", b"");
    let refusal = answer("query", &params, &sampled(), allowance, &flag).unwrap_err();
    assert_eq!((refusal.status.as_u16(), refusal.kind), (503, "canceled"));
}
