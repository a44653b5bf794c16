//! The servers that gates name.

use diagnostics::{Diagnostic, codes, suggestion};

use super::Context;
use crate::model::Phase;
use crate::raw::RawServers;

/// Reports gates whose parameter `server` names none of the pipeline.
pub(crate) fn check(phases: &[Phase], servers: &RawServers, context: &Context<'_>) {
    for gate in phases.iter().flat_map(|phase| &phase.gates) {
        // A server that is no text is reported by the gate's kind.
        let Some(name) = gate.params.get("server").and_then(crate::Value::as_text) else {
            continue;
        };
        if servers.contains_key(name) {
            continue;
        }
        let message = format!("the pipeline has no server `{name}`");
        let help = suggestion(name, servers.keys().map(String::as_str))
            .unwrap_or_else(|| format!("add `[servers.{name}]` with its `url` to the pipeline"));
        let problem: Diagnostic = gate.params.problem(codes::BAD_VALUE, "server", message);
        context.sink.push(problem.help(help));
    }
}
