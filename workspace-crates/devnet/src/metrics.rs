use crate::Role;

/// How a metric's value develops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows while the node runs; starts at 0 with it.
    Counter,
    /// Rises and falls.
    Gauge,
}

/// One metric that nodes of a role export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricDefinition {
    /// Its stable name.
    pub name: &'static str,
    /// How it develops.
    pub kind: MetricKind,
    /// The unit of its value.
    pub unit: &'static str,
    /// The role whose nodes export it.
    pub role: Role,
    /// A label that it has besides `instance`, `role` and, for provers, `operator`.
    pub label: Option<(&'static str, &'static str)>,
    /// What it means.
    pub help: &'static str,
}

const fn metric(
    role: Role,
    kind: MetricKind,
    name: &'static str,
    unit: &'static str,
    help: &'static str,
) -> MetricDefinition {
    MetricDefinition { name, kind, unit, role, label: None, help }
}

const fn proven_by(operator: &'static str) -> MetricDefinition {
    MetricDefinition {
        label: Some(("operator", operator)),
        ..metric(
            Role::L1,
            Counter,
            "devnet_epochs_proven_total",
            "epochs",
            "Epochs proven on L1, by the operator of the prover.",
        )
    }
}

use MetricKind::{Counter, Gauge};
use Role::{L1, Load, Prover, Validator};

/// Every metric of every role, in the order in which machines export them.
/// `up` is not among them: it is the scraper's.
pub const METRICS: &[MetricDefinition] = &[
    metric(Validator, Gauge, "devnet_pending_height", "blocks", "Height of the pending tip."),
    metric(Validator, Gauge, "devnet_proven_height", "blocks", "Height of the proven tip."),
    metric(Validator, Gauge, "devnet_final_height", "blocks", "Height of the finalized tip."),
    metric(
        Validator,
        Gauge,
        "devnet_pending_timestamp_seconds",
        "seconds since the Unix epoch",
        "Start of the slot of the pending tip's block; the network's birth before the first.",
    ),
    metric(
        Validator,
        Gauge,
        "devnet_process_start_time_seconds",
        "seconds since the Unix epoch",
        "When the node's process started.",
    ),
    metric(
        Validator,
        Counter,
        "devnet_fatal_errors_total",
        "errors",
        "Things that the node could not go on with: blocks that cannot be re-executed, rules that it does not know.",
    ),
    metric(Validator, Gauge, "devnet_client_version", "version", "Version of the client."),
    metric(
        Validator,
        Gauge,
        "devnet_rollup_version",
        "version",
        "Version of the rollup that the node moved to.",
    ),
    metric(
        Validator,
        Gauge,
        "devnet_mempool_transactions",
        "transactions",
        "Transactions that wait in the node's mempool.",
    ),
    metric(
        Validator,
        Gauge,
        "devnet_sync_lag_blocks",
        "blocks",
        "Blocks by which the node is behind the pending tip that L1 states.",
    ),
    metric(Validator, Counter, "devnet_attestations_total", "attestations", "Attestations signed."),
    metric(L1, Counter, "devnet_slots_total", "slots", "L2 slots that have ended."),
    metric(
        L1,
        Counter,
        "devnet_slots_filled_total",
        "slots",
        "L2 slots whose block was included on L1; a slot counts once, also when an L1 reorg or a prune undoes it later.",
    ),
    metric(
        L1,
        Counter,
        "devnet_transactions_total",
        "transactions",
        "Transactions in the blocks that devnet_slots_filled_total counts.",
    ),
    metric(
        L1,
        Counter,
        "devnet_epochs_total",
        "epochs",
        "Ended epochs with at least one block: those that are owed a proof.",
    ),
    proven_by("internal"),
    proven_by("external"),
    metric(
        L1,
        Gauge,
        "devnet_proof_delay_seconds",
        "seconds",
        "Time from the end of the last proven epoch to its proof's inclusion.",
    ),
    metric(L1, Counter, "devnet_prunes_total", "prunes", "Times that unproven epochs were pruned."),
    metric(L1, Counter, "devnet_l1_reorgs_total", "reorgs", "L1 reorgs."),
    metric(L1, Gauge, "devnet_l1_height", "blocks", "Height of the L1."),
    metric(L1, Counter, "devnet_deposits_made_total", "deposits", "Deposits made on L1."),
    metric(L1, Counter, "devnet_deposits_credited_total", "deposits", "Deposits credited on L2."),
    metric(L1, Gauge, "devnet_stake_total", "units", "Stake of all validators."),
    metric(L1, Counter, "devnet_slashed_total", "units", "Stake taken away."),
    metric(L1, Gauge, "devnet_active_validators", "validators", "Validators that can be drawn."),
    metric(
        L1,
        Gauge,
        "devnet_registered_rollup_version",
        "version",
        "Version of the rollup that the registry points to.",
    ),
    metric(
        L1,
        Counter,
        "devnet_posts_rejected_total",
        "transactions",
        "L1 transactions that the contracts refused.",
    ),
    metric(Prover, Counter, "devnet_proofs_made_total", "proofs", "Proofs made and sent to L1."),
    metric(Prover, Counter, "devnet_proof_failures_total", "proofs", "Proofs that failed."),
    metric(Prover, Gauge, "devnet_prove_seconds", "seconds", "Time that the last proof took."),
    metric(Prover, Gauge, "devnet_pending_height", "blocks", "Height of the pending tip."),
    metric(
        Prover,
        Gauge,
        "devnet_process_start_time_seconds",
        "seconds since the Unix epoch",
        "When the node's process started.",
    ),
    metric(
        Load,
        Counter,
        "devnet_transactions_sent_total",
        "transactions",
        "Transactions sent, each counted once.",
    ),
    metric(
        Load,
        Gauge,
        "devnet_inclusion_delay_seconds",
        "seconds",
        "Time from sending to inclusion of the transaction included last.",
    ),
    metric(
        Load,
        Counter,
        "devnet_transactions_dropped_total",
        "transactions",
        "Transactions that had to be sent again because they were not included in time or fell off the chain.",
    ),
];

/// The metrics that nodes with `role` export, in their order.
pub fn metrics_of(role: Role) -> impl Iterator<Item = &'static MetricDefinition> {
    METRICS.iter().filter(move |metric| metric.role == role)
}

/// The reference page of all metrics, in Markdown.
#[must_use]
pub fn metrics_page() -> String {
    let mut page = String::from(
        "# Metrics of the reference network\n\nEvery series has the labels `instance` and `role`; \
         those of provers also `operator`. The scraper adds `up`.\n\n\
         | role | metric | kind | unit | meaning |\n|---|---|---|---|---|\n",
    );
    for metric in METRICS {
        let kind = match metric.kind {
            Counter => "counter",
            Gauge => "gauge",
        };
        let label = metric.label.map(|(k, v)| format!("{{{k}=\"{v}\"}}")).unwrap_or_default();
        let (role, name, unit, help) =
            (metric.role.as_str(), metric.name, metric.unit, metric.help);
        page.push_str(&format!("| {role} | `{name}{label}` | {kind} | {unit} | {help} |\n"));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::{METRICS, MetricKind};

    #[test]
    fn counters_and_only_they_end_in_total_or_state_totals_of_stake() {
        for metric in METRICS {
            let named = metric.name.ends_with("_total") && metric.name != "devnet_stake_total";
            assert_eq!(named, metric.kind == MetricKind::Counter, "{}", metric.name);
            assert!(metric.name.starts_with("devnet_") && metric.help.ends_with('.'));
        }
    }

    #[test]
    fn no_series_is_exported_twice() {
        for (index, metric) in METRICS.iter().enumerate() {
            let same = |other: &&super::MetricDefinition| {
                (other.role, other.name, other.label) == (metric.role, metric.name, metric.label)
            };
            assert!(!METRICS[index + 1..].iter().any(|other| same(&other)), "{}", metric.name);
        }
    }
}
