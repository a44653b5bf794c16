//! Probes: what the nodes of a deployment answer.

use std::collections::BTreeMap;

use evidence::{ProbeAnswer, ProbeBody, Record, to_body};
use gates::Need;

use crate::{Collector, Request, record};

/// Calls a remote procedure on every node of a role, through the deployment's driver.
#[derive(Debug)]
pub struct Probes;

impl Collector for Probes {
    fn collect(&self, request: &Request<'_>) -> Option<Record> {
        let Need::Probe { rpc, role } = request.need else { return None };
        let (driver, id) = request.deployment?;
        let answers = match driver.rpc(id, role, rpc) {
            Ok(answers) => answers,
            Err(error) => {
                tracing::warn!(deployment = %id, %error, "the nodes could not be asked");
                return None;
            }
        };
        let answers: BTreeMap<_, _> = answers
            .into_iter()
            .map(|one| {
                let (result, error) = match one.answer {
                    Ok(value) => (Some(value), None),
                    Err(error) => (None, Some(error)),
                };
                (one.node, ProbeAnswer { role: role.clone(), result, error })
            })
            .collect();
        let body = to_body(&ProbeBody { rpc: rpc.clone(), answers }).ok()?;
        Some(record(request, "probe", format!("deployment:{id}"), "probes", body))
    }
}
