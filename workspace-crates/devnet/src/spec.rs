use base::{Digest, Duration, Instant, NetworkId};
use serde::{Deserialize, Serialize};

use crate::CryptoKind;

/// Everything that makes one network: the same specification starts every host.
///
/// A field that is left out has the value of the sequencer & prover testnet's first phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkSpec {
    /// Names the network.
    pub network: NetworkId,
    /// Size of the validator set: 1 to 10,000.
    pub validators: u32,
    /// Size of each epoch's committee: 1 to `validators`.
    pub committee: u32,
    /// Length of an L2 slot.
    pub slot: Duration,
    /// Slots per epoch: at least 1.
    pub epoch_slots: u32,
    /// Most transactions in one block.
    pub max_txs_per_block: u32,
    /// Transactions per second that the load generator sends, over all users.
    pub load_tps: f64,
    /// Most transactions that one node's mempool holds.
    pub mempool_size: u32,
    /// A share of the validators that has smaller mempools.
    pub small_mempools: Option<SmallMempools>,
    /// Provers that the team runs.
    pub internal_provers: u32,
    /// Provers that participants run.
    pub external_provers: u32,
    /// Epochs after its end within which an epoch has to be proven, else it is pruned.
    pub proof_window_epochs: u32,
    /// Epochs between the draw of a committee and its duty.
    pub committee_lag_epochs: u32,
    /// Length of an L1 slot; at most half of `slot`.
    pub l1_slot: Duration,
    /// How long an L1 transaction waits before it can be included.
    pub l1_inclusion_delay: Duration,
    /// Age at which an L1 block is final.
    pub l1_finality: Duration,
    /// How long a proposer waits for attestations before it posts what it has.
    pub attestation_window: Duration,
    /// Modelled time of a block's re-execution.
    pub reexecution: Duration,
    /// Modelled time of an epoch's proof.
    pub proving: Duration,
    /// Least time of a message between two nodes.
    pub link_latency: Duration,
    /// Most time that chance adds to `link_latency`.
    pub link_jitter: Duration,
    /// Time between a governance proposal's quorum and its execution.
    pub governance_delay: Duration,
    /// Stake that each validator deposits on L1, in units.
    pub stake: u64,
    /// Stake that an inactive validator loses per epoch, in units.
    pub inactivity_penalty: u64,
    /// How often metrics are scraped.
    pub scrape_interval: Duration,
    /// Seed of keys, committees and the network model.
    pub seed: u64,
    /// Signature scheme.
    pub crypto: CryptoKind,
    /// Version of the client that all nodes start with.
    pub node_version: u32,
}

/// A share of the validators with smaller mempools than the others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmallMempools {
    /// Share of the validators, 0 to 1; those with the lowest numbers.
    pub share: f64,
    /// Most transactions in their mempools.
    pub size: u32,
}

/// A parameter that no network can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {problem}")]
pub struct SpecError {
    /// The field of [`NetworkSpec`].
    pub field: &'static str,
    /// What is impossible and what would be possible.
    pub problem: String,
}

impl Default for NetworkSpec {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "`devnet` has the form of an identifier")]
        let network = NetworkId::new("devnet").expect("is an identifier");
        Self {
            network,
            validators: 48,
            committee: 16,
            slot: Duration::from_seconds(36),
            epoch_slots: 32,
            max_txs_per_block: 1,
            load_tps: 0.024,
            mempool_size: 1_024,
            small_mempools: None,
            internal_provers: 1,
            external_provers: 0,
            proof_window_epochs: 2,
            committee_lag_epochs: 2,
            l1_slot: Duration::from_seconds(12),
            l1_inclusion_delay: Duration::from_seconds(1),
            l1_finality: Duration::from_seconds(768),
            attestation_window: Duration::from_seconds(8),
            reexecution: Duration::from_millis(300),
            proving: Duration::from_seconds(300),
            link_latency: Duration::from_millis(20),
            link_jitter: Duration::from_millis(130),
            governance_delay: Duration::from_hours(2),
            stake: 100_000,
            inactivity_penalty: 500,
            scrape_interval: Duration::from_seconds(60),
            seed: 1,
            crypto: CryptoKind::Ed25519,
            node_version: 1,
        }
    }
}

impl NetworkSpec {
    /// The same network with slots of length `slot`: every other duration shrinks or grows by the
    /// same factor, the scrape interval to no less than a second.
    #[must_use]
    pub fn with_slot(mut self, slot: Duration) -> Self {
        let (to, from) = (i128::from(slot.micros()), i128::from(self.slot.micros().max(1)));
        let scale = |length: &mut Duration| {
            let micros = i128::from(length.micros()) * to / from;
            *length = Duration::from_micros(i64::try_from(micros).unwrap_or(i64::MAX));
        };
        for length in [
            &mut self.l1_slot,
            &mut self.l1_inclusion_delay,
            &mut self.l1_finality,
            &mut self.attestation_window,
            &mut self.reexecution,
            &mut self.proving,
            &mut self.governance_delay,
            &mut self.link_latency,
            &mut self.link_jitter,
            &mut self.scrape_interval,
        ] {
            scale(length);
        }
        self.scrape_interval = self.scrape_interval.max(Duration::from_seconds(1));
        self.slot = slot;
        self
    }

    /// Length of an epoch.
    #[must_use]
    pub const fn epoch(&self) -> Duration {
        Duration::from_micros(self.slot.micros().saturating_mul(self.epoch_slots as i64))
    }

    /// The epoch that `slot` belongs to.
    #[must_use]
    pub fn epoch_of(&self, slot: u64) -> u64 {
        slot / u64::from(self.epoch_slots.max(1))
    }

    /// When `slot` starts in a network that was born at `genesis`.
    #[must_use]
    pub fn slot_start(&self, genesis: Instant, slot: u64) -> Instant {
        let slots = i64::try_from(slot).unwrap_or(i64::MAX);
        genesis + Duration::from_micros(self.slot.micros().saturating_mul(slots))
    }

    /// The slot at `now`; 0 before `genesis`.
    #[must_use]
    pub fn slot_at(&self, genesis: Instant, now: Instant) -> u64 {
        let passed = (now - genesis).micros() / self.slot.micros().max(1);
        u64::try_from(passed).unwrap_or(0)
    }

    /// Binds signatures to this network: another network's signatures are never valid here.
    #[must_use]
    pub fn domain(&self) -> Digest {
        Digest::of(format!("devnet/1/{}/{}", self.network, self.seed).as_bytes())
    }

    /// Most transactions in the mempool of the validator with number `number`.
    #[must_use]
    pub fn mempool_size_of(&self, number: u32) -> u32 {
        match self.small_mempools {
            Some(small) if f64::from(number) < small.share * f64::from(self.validators) => {
                small.size
            }
            _ => self.mempool_size,
        }
    }

    /// Every parameter that no network can have.
    ///
    /// # Errors
    /// The list of all problems when there is at least one.
    pub fn check(&self) -> Result<(), Vec<SpecError>> {
        let mut problems = Vec::new();
        self.check_sizes(&mut problems);
        self.check_durations(&mut problems);
        self.check_timeline(&mut problems);
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn check_sizes(&self, problems: &mut Vec<SpecError>) {
        let mut refuse = |bad: bool, field, problem: String| {
            if bad {
                problems.push(SpecError { field, problem });
            }
        };
        let (set, committee) = (self.validators, self.committee);
        refuse(
            !(1..=10_000).contains(&set),
            "validators",
            format!("is {set}; possible are 1 to 10000"),
        );
        refuse(committee == 0, "committee", "is 0; a committee has at least one member".into());
        refuse(
            committee > set,
            "committee",
            format!("is {committee}, but only {set} validators exist"),
        );
        for (field, value) in [
            ("epoch_slots", self.epoch_slots),
            ("max_txs_per_block", self.max_txs_per_block),
            ("mempool_size", self.mempool_size),
            ("proof_window_epochs", self.proof_window_epochs),
            ("node_version", self.node_version),
        ] {
            refuse(value == 0, field, "is 0; it must be at least 1".into());
        }
        refuse(
            self.max_txs_per_block > 1_000,
            "max_txs_per_block",
            format!("is {}; possible are 1 to 1000", self.max_txs_per_block),
        );
        refuse(
            self.epoch_slots > 4_096,
            "epoch_slots",
            format!("is {}; possible are 1 to 4096", self.epoch_slots),
        );
        refuse(
            self.committee_lag_epochs > 16,
            "committee_lag_epochs",
            format!("is {}; possible are 0 to 16", self.committee_lag_epochs),
        );
        refuse(self.provers() == 0, "internal_provers", "the network has no prover at all".into());
        refuse(self.provers() > 1_000, "external_provers", "more than 1000 provers".into());
        refuse(
            !self.load_tps.is_finite() || !(0.0..=1_000.0).contains(&self.load_tps),
            "load_tps",
            format!("is {}; possible are 0 to 1000", self.load_tps),
        );
        refuse(
            self.small_mempools
                .is_some_and(|small| !(0.0..=1.0).contains(&small.share) || small.size == 0),
            "small_mempools",
            "the share must be 0 to 1 and the size at least 1".into(),
        );
        refuse(
            self.inactivity_penalty > self.stake,
            "inactivity_penalty",
            format!("is {}, more than the stake of {}", self.inactivity_penalty, self.stake),
        );
    }

    fn check_durations(&self, problems: &mut Vec<SpecError>) {
        for (field, length, least) in [
            ("slot", self.slot, 1),
            ("l1_slot", self.l1_slot, 1),
            ("l1_inclusion_delay", self.l1_inclusion_delay, 0),
            ("l1_finality", self.l1_finality, 1),
            ("attestation_window", self.attestation_window, 1),
            ("reexecution", self.reexecution, 0),
            ("proving", self.proving, 0),
            ("link_latency", self.link_latency, 0),
            ("link_jitter", self.link_jitter, 0),
            ("governance_delay", self.governance_delay, 0),
            ("scrape_interval", self.scrape_interval, 1_000),
        ] {
            let problem = if length.micros() < least {
                format!("is {length}; at least {}", Duration::from_micros(least))
            } else if length > Duration::from_hours(24 * 366) {
                format!("is {length}; at most a year")
            } else {
                continue;
            };
            problems.push(SpecError { field, problem });
        }
    }

    fn check_timeline(&self, problems: &mut Vec<SpecError>) {
        let mut refuse = |bad: bool, field, problem: String| {
            if bad {
                problems.push(SpecError { field, problem });
            }
        };
        let link = self.link_latency + self.link_jitter;
        let posted = self.attestation_window + self.l1_inclusion_delay + self.l1_slot + link + link;
        refuse(
            posted > self.slot,
            "slot",
            format!(
                "is {}, but attestations ({}), inclusion ({}), an L1 slot ({}) and two messages \
                 ({link} each) take {posted}",
                self.slot, self.attestation_window, self.l1_inclusion_delay, self.l1_slot
            ),
        );
        refuse(
            self.reexecution + link + link > self.attestation_window,
            "attestation_window",
            format!(
                "is {}, but re-execution ({}) and two messages ({link} each) take longer",
                self.attestation_window, self.reexecution
            ),
        );
        refuse(
            self.l1_finality < self.l1_slot,
            "l1_finality",
            format!("is {}, shorter than one L1 slot of {}", self.l1_finality, self.l1_slot),
        );
        let window = self.epoch().micros().saturating_mul(i64::from(self.proof_window_epochs));
        let needed = self.proving + self.slot + self.l1_slot;
        refuse(
            needed.micros() >= window,
            "proof_window_epochs",
            format!("allows {}, but a proof needs {needed}", Duration::from_micros(window)),
        );
    }

    /// How many L1 blocks a reorg can undo at most: those that are not final.
    #[must_use]
    pub const fn reorg_depth_max(&self) -> u32 {
        let slot = if self.l1_slot.micros() < 1 { 1 } else { self.l1_slot.micros() };
        let depth = self.l1_finality.micros() / slot;
        if depth > u32::MAX as i64 { u32::MAX } else { depth as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::NetworkSpec;
    use base::Duration;

    #[test]
    fn the_first_phase_is_possible_and_so_it_is_in_real_time() {
        NetworkSpec::default().check().unwrap();
        let short = NetworkSpec::default().with_slot(Duration::from_seconds(1));
        short.check().unwrap();
        assert_eq!(short.epoch(), Duration::from_seconds(32));
        assert_eq!(short.l1_finality.millis(), 21_333);
    }

    #[test]
    fn every_impossible_parameter_is_named() {
        let spec = NetworkSpec {
            committee: 49,
            slot: Duration::ZERO,
            epoch_slots: 0,
            load_tps: f64::NAN,
            internal_provers: 0,
            inactivity_penalty: 100_001,
            ..NetworkSpec::default()
        };
        let fields: Vec<_> = spec.check().unwrap_err().iter().map(|e| e.field).collect();
        for field in [
            "committee",
            "slot",
            "epoch_slots",
            "load_tps",
            "internal_provers",
            "inactivity_penalty",
        ] {
            assert!(fields.contains(&field), "{field} not in {fields:?}");
        }
    }

    #[test]
    fn unknown_fields_are_refused_and_missing_ones_have_defaults() {
        let spec: NetworkSpec = serde_json::from_str(r#"{"validators": 128}"#).unwrap();
        assert_eq!((spec.validators, spec.committee), (128, 16));
        assert!(serde_json::from_str::<NetworkSpec>(r#"{"validatorz": 1}"#).is_err());
    }
}
