//! The remote procedures of a node, and the shapes of their results.

use base::Instant;
use devnet::{BlockRef, Facts, NodeInfo, Tips};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Injection;
use crate::http::{Request, Response};

const PARSE_ERROR: i64 = -32_700;
const INVALID_REQUEST: i64 = -32_600;
const UNKNOWN_METHOD: i64 = -32_601;
const INVALID_PARAMS: i64 = -32_602;

/// A procedure that a node can be asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Procedure {
    Health,
    Status,
    Tips,
    Inject(Injection),
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    id: Value,
    method: String,
    #[serde(default)]
    params: Value,
}

/// The procedure of a request and its id, or the answer that refuses it.
pub(crate) fn read(request: &Request) -> Result<(Procedure, Value), Response> {
    let refuse = |id: Value, code: i64, message: String| {
        let error = json!({ "code": code, "message": message });
        Response::json(&json!({ "jsonrpc": "2.0", "id": id, "error": error }))
    };
    let value: Value = serde_json::from_slice(&request.body)
        .map_err(|error| refuse(Value::Null, PARSE_ERROR, error.to_string()))?;
    let body = Body::deserialize(value)
        .map_err(|error| refuse(Value::Null, INVALID_REQUEST, error.to_string()))?;
    let procedure = match body.method.as_str() {
        "devnet_health" => Procedure::Health,
        "devnet_status" => Procedure::Status,
        "devnet_tips" => Procedure::Tips,
        "devnet_inject" => match injection(body.params) {
            Ok(injection) => Procedure::Inject(injection),
            Err(problem) => return Err(refuse(body.id, INVALID_PARAMS, problem)),
        },
        other => {
            let known = "devnet_health, devnet_status, devnet_tips, devnet_inject";
            let message = format!("there is no method `{other}`; there are {known}");
            return Err(refuse(body.id, UNKNOWN_METHOD, message));
        }
    };
    Ok((procedure, body.id))
}

/// Parameters are one injection, bare or as the only element of a list.
fn injection(params: Value) -> Result<Injection, String> {
    let one = match params {
        Value::Array(mut list) if list.len() == 1 => list.remove(0),
        other => other,
    };
    Injection::deserialize(one).map_err(|error| error.to_string())
}

pub(crate) fn result(id: &Value, result: Value) -> Response {
    Response::json(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

/// Body of a call without parameters.
#[must_use]
pub fn call(method: &str, params: Value) -> Vec<u8> {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
        .to_string()
        .into_bytes()
}

/// The result of an answer.
///
/// # Errors
/// When the answer is an error or no JSON-RPC, as a full sentence.
pub fn result_of(answer: &[u8]) -> Result<Value, String> {
    let mut value: Value = serde_json::from_slice(answer)
        .map_err(|error| format!("the answer is no JSON: {error}"))?;
    if let Some(error) = value.get("error") {
        return Err(format!("the node refused: {error}"));
    }
    value.get_mut("result").map(Value::take).ok_or_else(|| "the answer has no result".to_owned())
}

/// The result of `devnet_health`: a node is `ok` when it follows the L1's pending tip.
#[must_use]
pub fn health(synced: bool) -> Value {
    json!({ "status": if synced { "ok" } else { "syncing" } })
}

/// The result of `devnet_tips`.
#[must_use]
pub fn tips(tips: &Tips) -> Value {
    let block = |block: &BlockRef| {
        json!({
            "height": block.height,
            "slot": block.slot,
            "digest": block.digest,
            "state_root": block.state_root,
        })
    };
    json!({
        "pending": block(&tips.pending),
        "proven": block(&tips.proven),
        "finalized": block(&tips.finalized),
    })
}

/// The result of `devnet_status`.
#[must_use]
pub fn status(node: &NodeInfo, version: u32, facts: &Facts, now: Instant) -> Value {
    json!({
        "node": node.name,
        "role": node.role.as_str(),
        "version": version,
        "pending_height": facts.tips.pending.height,
        "proven_height": facts.tips.proven.height,
        "finalized_height": facts.tips.finalized.height,
        "synced": facts.synced,
        "now": now,
    })
}

#[cfg(test)]
mod tests {
    use super::{Procedure, call, read, result_of};
    use crate::Injection;
    use crate::http::Request;
    use devnet::Command;
    use serde_json::json;

    fn ask(body: &[u8]) -> Result<Procedure, i64> {
        let request = Request { method: "POST".into(), path: "/".into(), body: body.to_vec() };
        read(&request).map(|(procedure, _)| procedure).map_err(|refusal| {
            assert!(result_of(&refusal.body).is_err());
            let body: serde_json::Value = serde_json::from_slice(&refusal.body).unwrap();
            body["error"]["code"].as_i64().unwrap()
        })
    }

    #[test]
    fn procedures_are_read_with_their_parameters() {
        assert_eq!(ask(&call("devnet_health", json!([]))), Ok(Procedure::Health));
        let injection = Injection::Command { command: Command::Reorg { depth: 3 } };
        let params = serde_json::to_value(&injection).unwrap();
        let listed = json!([params]);
        assert_eq!(ask(&call("devnet_inject", params)), Ok(Procedure::Inject(injection.clone())));
        assert_eq!(ask(&call("devnet_inject", listed)), Ok(Procedure::Inject(injection)));
    }

    #[test]
    fn mistakes_get_the_codes_of_json_rpc() {
        assert_eq!(ask(b"{"), Err(-32_700));
        assert_eq!(ask(b"[1]"), Err(-32_600));
        assert_eq!(ask(&call("devnet_helth", json!([]))), Err(-32_601));
        assert_eq!(ask(&call("devnet_inject", json!([{ "kind": "explode" }]))), Err(-32_602));
        assert!(result_of(b"<html>").is_err());
    }
}
