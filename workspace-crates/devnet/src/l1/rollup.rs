use std::collections::VecDeque;
use std::sync::Arc;

use base::Duration;

use super::contracts::{Call, Refused};
use super::governance::Governance;
use super::staking::Staking;
use crate::follower::{block_ref, genesis_ref};
use crate::{
    Block, BlockRef, Committee, Deposit, NodeId, Observation, PostedBlock, Proof, ProofSystem as _,
    Role, SignedReexecution, State, Statement, names, quorum,
};

/// What one bridge deposit is worth, in units.
const DEPOSIT_UNITS: u64 = 1_000;

/// The rollup contract: the pending chain, its proofs, the committees, the bridge's inbox.
#[derive(Clone)]
pub(super) struct Rollup {
    /// Blocks above the proven tip, in order.
    chain: VecDeque<Arc<PostedBlock>>,
    pub(super) proven: BlockRef,
    /// Version of the rollup that the proven tip belongs to.
    pub(super) proven_version: u32,
    committees: VecDeque<Arc<Committee>>,
    next_committee: u64,
    /// Deposits that the proven chain has not credited, in order.
    inbox: VecDeque<Deposit>,
    pub(super) deposits_made: u64,
    next_deposit_epoch: u64,
    /// Time from the end of the last proven epoch to its proof.
    pub(super) proof_delay: Duration,
}

impl Rollup {
    pub(super) fn new() -> Self {
        Self {
            chain: VecDeque::new(),
            proven: genesis_ref(),
            proven_version: 1,
            committees: VecDeque::new(),
            next_committee: 0,
            inbox: VecDeque::new(),
            deposits_made: 0,
            next_deposit_epoch: 0,
            proof_delay: Duration::ZERO,
        }
    }

    pub(super) fn pending(&self) -> BlockRef {
        self.chain.back().map_or(self.proven, |posted| block_ref(posted))
    }

    pub(super) fn first_unproven_version(&self) -> Option<u32> {
        self.chain.front().map(|posted| posted.block.header().rollup_version)
    }

    pub(super) fn newest(&self) -> Option<&Arc<PostedBlock>> {
        self.chain.back()
    }

    pub(super) fn committees(&self) -> Vec<Arc<Committee>> {
        self.committees.iter().cloned().collect()
    }

    pub(super) fn committee(&self, epoch: u64) -> Option<&Arc<Committee>> {
        self.committees.iter().find(|committee| committee.epoch == epoch)
    }

    fn credited_by_chain(&self) -> usize {
        self.chain.iter().map(|posted| posted.block.deposits().len()).sum()
    }

    /// Deposits that the pending chain has not credited.
    pub(super) fn uncredited(&self) -> Vec<Deposit> {
        self.inbox.iter().skip(self.credited_by_chain()).cloned().collect()
    }

    /// How many deposits the pending chain has credited.
    pub(super) fn credited(&self) -> u64 {
        self.deposits_made - self.inbox.len() as u64 + self.credited_by_chain() as u64
    }

    fn overdue_epoch(&self, call: &Call<'_>) -> Option<u64> {
        let epoch = call.spec.epoch_of(self.chain.front()?.block.header().slot);
        (call.epoch() > epoch + u64::from(call.spec.proof_window_epochs)).then_some(epoch)
    }

    pub(super) fn is_due(&self, call: &Call<'_>) -> bool {
        let drawn_up_to = call.epoch() + u64::from(call.spec.committee_lag_epochs);
        self.next_committee <= drawn_up_to
            || self.next_deposit_epoch <= call.epoch()
            || self.overdue_epoch(call).is_some()
    }

    pub(super) fn advance(
        &mut self,
        call: &Call<'_>,
        staking: &Staking,
        governance: &Governance,
        seen: &mut Vec<Observation>,
    ) {
        if let Some(epoch) = self.overdue_epoch(call) {
            self.prune(epoch, seen);
        }
        let epoch = call.epoch();
        while self.next_committee <= epoch + u64::from(call.spec.committee_lag_epochs) {
            let active = governance.eligible(call, self.next_committee, staking);
            let drawn = Committee::draw(
                call.spec.seed,
                self.next_committee,
                &active,
                call.spec.committee,
                call.spec.epoch_slots,
            );
            self.committees.push_back(Arc::new(drawn));
            self.next_committee += 1;
        }
        // A committee judges its epoch after the end, so the epoch before the last is kept.
        while self.committees.front().is_some_and(|committee| committee.epoch + 2 < epoch) {
            self.committees.pop_front();
        }
        while self.next_deposit_epoch <= epoch {
            let account = (self.deposits_made % u64::from(State::USERS)) as u32;
            let number = self.deposits_made;
            self.inbox.push_back(Deposit { number, account, amount: DEPOSIT_UNITS });
            self.deposits_made += 1;
            self.next_deposit_epoch += 1;
        }
    }

    fn prune(&mut self, epoch: u64, seen: &mut Vec<Observation>) {
        let to = self.pending().height;
        self.chain.clear();
        seen.push(Observation::new(
            names::EPOCH_PRUNED,
            [
                ("epoch", epoch.to_string()),
                ("from_height", (self.proven.height + 1).to_string()),
                ("to_height", to.to_string()),
            ],
        ));
    }

    /// Takes the next block of the pending chain.
    pub(super) fn post(
        &mut self,
        call: &Call<'_>,
        from: NodeId,
        posted: &Arc<PostedBlock>,
        governance: &Governance,
        seen: &mut Vec<Observation>,
    ) -> Result<(), Refused> {
        let header = posted.block.header();
        let (tip, slot) = (self.pending(), call.slot());
        if header.slot > slot || header.slot + 1 < slot {
            return Err("the slot is neither the present nor the last one");
        }
        if header.parent != tip.digest || header.height != tip.height + 1 {
            return Err("the block does not extend the pending tip");
        }
        if tip.height > 0 && header.slot <= tip.slot {
            return Err("the slot is not later than the tip's");
        }
        if header.rollup_version != governance.rollup_at(header.slot) {
            return Err("the block belongs to another rollup");
        }
        let epoch = call.spec.epoch_of(header.slot);
        let committee = self.committee(epoch).ok_or("the epoch has no committee")?;
        if committee.proposer(header.slot) != Some(from) || header.proposer != from {
            return Err("the sender is not the slot's proposer");
        }
        self.check_deposits(&posted.block)?;
        check_attestations(call, committee, posted)?;
        for deposit in posted.block.deposits() {
            seen.push(credited(deposit));
        }
        self.chain.push_back(Arc::clone(posted));
        Ok(())
    }

    fn check_deposits(&self, block: &Block) -> Result<(), Refused> {
        let due = self.inbox.iter().skip(self.credited_by_chain());
        let deposits = block.deposits();
        if due.take(deposits.len()).eq(deposits) {
            Ok(())
        } else {
            Err("the deposits are not the inbox's next ones")
        }
    }

    /// Takes the proof of the first unproven epoch.
    pub(super) fn prove(
        &mut self,
        call: &Call<'_>,
        from: NodeId,
        proof: &Proof,
        seen: &mut Vec<Observation>,
    ) -> Result<(), Refused> {
        if call.spec.role_of(from) != Some(Role::Prover) || proof.prover != from {
            return Err("the sender is not the prover");
        }
        let first = self.chain.front().ok_or("nothing is to be proven")?;
        let epoch = call.spec.epoch_of(first.block.header().slot);
        if call.now < call.epoch_end(epoch) {
            return Err("the epoch has not ended");
        }
        let blocks: Vec<Arc<Block>> = self
            .chain
            .iter()
            .map(|posted| &posted.block)
            .take_while(|block| call.spec.epoch_of(block.header().slot) == epoch)
            .cloned()
            .collect();
        let expected = Statement::over(epoch, self.proven.state_root, &blocks);
        if expected.as_ref() != Some(&proof.statement) {
            return Err("the statement is not about the first unproven epoch");
        }
        let (system, crypto) = (SignedReexecution, call.compute.crypto());
        if !system.verify(crypto, &call.domain, from, &proof.statement, &proof.bytes) {
            return Err("the proof does not hold");
        }
        for posted in self.chain.drain(..blocks.len()) {
            self.proven = block_ref(&posted);
            self.proven_version = posted.block.header().rollup_version;
            self.inbox.drain(..posted.block.deposits().len());
        }
        self.proof_delay = call.now - call.epoch_end(epoch);
        seen.push(proven(call, epoch, &self.proven, from));
        Ok(())
    }
}

fn proven(call: &Call<'_>, epoch: u64, tip: &BlockRef, prover: NodeId) -> Observation {
    let operator = call.spec.operator_of(prover).map_or("", |operator| operator.as_str());
    let number = prover.0.saturating_sub(2 + call.spec.validators);
    Observation::new(
        names::EPOCH_PROVEN,
        [
            ("epoch", epoch.to_string()),
            ("height", tip.height.to_string()),
            ("operator", operator.to_owned()),
            ("prover", format!("prover-{number}")),
            ("system", SignedReexecution.name().to_owned()),
        ],
    )
}

fn credited(deposit: &Deposit) -> Observation {
    Observation::new(
        names::DEPOSIT_CREDITED,
        [
            ("deposit", deposit.number.to_string()),
            ("account", deposit.account.to_string()),
            ("amount", deposit.amount.to_string()),
        ],
    )
}

fn check_attestations(
    call: &Call<'_>,
    committee: &Committee,
    posted: &PostedBlock,
) -> Result<(), Refused> {
    let attestations = &posted.attestations;
    if attestations.len() < quorum(committee.members.len()) {
        return Err("fewer attestations than the quorum");
    }
    if !attestations.windows(2).all(|pair| pair[0].0 < pair[1].0)
        || !attestations.iter().all(|(node, _)| committee.contains(*node))
    {
        return Err("an attestation is doubled or not from the committee");
    }
    let root = posted.block.attestation_root(&call.domain);
    if !call.compute.valid_attestations(&root, attestations).into_iter().all(|valid| valid) {
        return Err("an attestation's signature is not valid");
    }
    Ok(())
}
