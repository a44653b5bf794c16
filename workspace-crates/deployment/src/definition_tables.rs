use base::NetworkId;
use definition::{Operation, Params};
use devnet::{NetworkSpec, ScheduledAction};
use diagnostics::{Diagnostic, codes};

/// The network that a stage's `[network]` table describes, with its name and seed.
///
/// # Errors
/// Every mistake of the table at the place where it stands: unknown keys, values of a wrong type,
/// and values that no network can have.
pub fn network_spec(
    params: &Params,
    id: &NetworkId,
    seed: u64,
) -> Result<NetworkSpec, Vec<Diagnostic>> {
    let own: Vec<_> = ["network", "seed"]
        .into_iter()
        .filter(|key| params.get(key).is_some())
        .map(|key| {
            let message = format!("`{key}` is given by the deployment, not by the definition");
            params.problem(codes::UNKNOWN_KEY, key, message)
        })
        .collect();
    if !own.is_empty() {
        return Err(own);
    }
    let mut spec: NetworkSpec = params.deserialize()?;
    scale_unstated(params, &mut spec);
    spec.network = id.clone();
    spec.seed = seed;
    spec.check().map_err(|problems| {
        let describe = |problem: devnet::SpecError| {
            params.problem(codes::BAD_NETWORK, problem.field, problem.to_string())
        };
        problems.into_iter().map(describe).collect::<Vec<_>>()
    })?;
    Ok(spec)
}

/// Gives every duration that the table does not state the value that fits the length of its slots:
/// a network with short slots has a fast L1 and quick proofs too.
fn scale_unstated(params: &Params, spec: &mut NetworkSpec) {
    let fitting = NetworkSpec::default().with_slot(spec.slot);
    let mut keep = |key: &str, field: fn(&mut NetworkSpec) -> &mut base::Duration| {
        if params.get(key).is_none() {
            *field(spec) = *field(&mut fitting.clone());
        }
    };
    keep("l1_slot", |spec| &mut spec.l1_slot);
    keep("l1_inclusion_delay", |spec| &mut spec.l1_inclusion_delay);
    keep("l1_finality", |spec| &mut spec.l1_finality);
    keep("attestation_window", |spec| &mut spec.attestation_window);
    keep("reexecution", |spec| &mut spec.reexecution);
    keep("proving", |spec| &mut spec.proving);
    keep("governance_delay", |spec| &mut spec.governance_delay);
    keep("link_latency", |spec| &mut spec.link_latency);
    keep("link_jitter", |spec| &mut spec.link_jitter);
    keep("scrape_interval", |spec| &mut spec.scrape_interval);
}

/// The action that an operation of a phase performs.
///
/// # Errors
/// When the action's table is not one that a driver knows.
pub fn scheduled_action(operation: &Operation) -> Result<ScheduledAction, Vec<Diagnostic>> {
    let action = operation.action.deserialize().map_err(|problems| {
        // What serde finds wrong here is always the operation.
        problems
            .into_iter()
            .map(|problem| Diagnostic { code: codes::BAD_OPERATION, ..problem })
            .collect::<Vec<_>>()
    })?;
    Ok(ScheduledAction { id: operation.id.clone(), at: operation.at, action })
}
