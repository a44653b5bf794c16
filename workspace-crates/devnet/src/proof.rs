use std::sync::Arc;

use base::Digest;

use crate::wire::{Wire, wire_struct};
use crate::{Block, Crypto, KeyId, NodeId, Signature, SignedMessage, State, execute};

/// What an epoch's proof says: these blocks lead from this state to that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The epoch.
    pub epoch: u64,
    /// Root of the state before its first block.
    pub previous_root: Digest,
    /// Root of the state after its last block.
    pub next_root: Digest,
    /// Digest of the digests of its blocks, in order.
    pub epoch_digest: Digest,
    /// Height of its last block.
    pub last_height: u64,
}

wire_struct!(Statement { epoch, previous_root, next_root, epoch_digest, last_height });

impl Statement {
    /// The statement over `blocks` of one epoch; `None` without blocks.
    #[must_use]
    pub fn over(epoch: u64, previous_root: Digest, blocks: &[Arc<Block>]) -> Option<Self> {
        let last = blocks.last()?.header();
        let digests: Vec<u8> = blocks.iter().flat_map(|block| block.digest().0).collect();
        Some(Self {
            epoch,
            previous_root,
            next_root: last.state_root,
            epoch_digest: Digest::of(&digests),
            last_height: last.height,
        })
    }

    /// What is proven or signed: the network's domain and the whole statement.
    #[must_use]
    pub fn root(&self, domain: &Digest, prover: NodeId) -> Digest {
        let mut bytes = domain.0.to_vec();
        bytes.extend_from_slice(b"prf1");
        prover.put(&mut bytes);
        self.put(&mut bytes);
        Digest::of(&bytes)
    }
}

/// Why an epoch cannot be proven.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Re-execution disagrees with a header.
    #[error("block {height} cannot be re-executed: {source}")]
    Execution {
        /// The block's height.
        height: u64,
        /// Why.
        source: crate::ExecutionError,
    },
    /// The blocks do not start or end where the statement says.
    #[error("the blocks do not lead from the statement's previous root to its next root")]
    Statement,
    /// No key.
    #[error("prover {} has no key", .0.0)]
    Key(NodeId),
}

/// A way to show that a statement is true.
pub trait ProofSystem: Send + Sync {
    /// The system's name, as everything that shows its proofs must call them.
    fn name(&self) -> &'static str;

    /// Proves `statement` from the state before and the blocks.
    ///
    /// # Errors
    /// When the statement is not true or the prover has no key.
    fn prove(
        &self,
        crypto: &dyn Crypto,
        domain: &Digest,
        prover: NodeId,
        statement: &Statement,
        previous: &State,
        blocks: &[Arc<Block>],
    ) -> Result<Vec<u8>, ProofError>;

    /// Whether `bytes` show that `statement` is true.
    fn verify(
        &self,
        crypto: &dyn Crypto,
        domain: &Digest,
        prover: NodeId,
        statement: &Statement,
        bytes: &[u8],
    ) -> bool;
}

/// The prover re-executes the epoch and signs the statement. This is no validity proof: whoever
/// trusts it trusts the prover's key.
#[derive(Debug, Clone, Copy, Default)]
pub struct SignedReexecution;

impl ProofSystem for SignedReexecution {
    fn name(&self) -> &'static str {
        "signed re-execution"
    }

    fn prove(
        &self,
        crypto: &dyn Crypto,
        domain: &Digest,
        prover: NodeId,
        statement: &Statement,
        previous: &State,
        blocks: &[Arc<Block>],
    ) -> Result<Vec<u8>, ProofError> {
        let mut state: Option<Arc<State>> = None;
        for block in blocks {
            let parent = state.as_deref().unwrap_or(previous);
            let height = block.header().height;
            let next = execute(parent, block)
                .map_err(|source| ProofError::Execution { height, source })?;
            state = Some(next);
        }
        let expected = Statement::over(statement.epoch, previous.root(), blocks);
        if expected.as_ref() != Some(statement) {
            return Err(ProofError::Statement);
        }
        let signature = crypto
            .sign(KeyId::node(prover), &statement.root(domain, prover).0)
            .ok_or(ProofError::Key(prover))?;
        Ok(signature.0.to_vec())
    }

    fn verify(
        &self,
        crypto: &dyn Crypto,
        domain: &Digest,
        prover: NodeId,
        statement: &Statement,
        bytes: &[u8],
    ) -> bool {
        let Ok(signature) = <[u8; 64]>::try_from(bytes) else { return false };
        crypto.verify(&SignedMessage {
            key: KeyId::node(prover),
            message: &statement.root(domain, prover).0,
            signature: Signature(signature),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{ProofError, ProofSystem, SignedReexecution, Statement};
    use crate::{Block, Deposit, Header, NetworkSpec, NodeId, State, provider};
    use base::Digest;

    fn epoch() -> (State, Vec<Arc<Block>>) {
        let genesis = State::genesis();
        let deposits = vec![Deposit { number: 0, account: 1, amount: 9 }];
        let header = Header {
            height: 1,
            slot: 0,
            proposer: NodeId(2),
            parent: Digest::default(),
            state_root: genesis.after(&deposits, &[]).unwrap().root(),
            protocol_version: 1,
            rollup_version: 1,
        };
        (genesis, vec![Arc::new(Block::new(header, Vec::new(), deposits))])
    }

    #[test]
    fn a_proof_holds_for_its_own_statement_prover_and_network_only() {
        let spec = NetworkSpec::default();
        let (crypto, domain, prover) = (provider(&spec), spec.domain(), NodeId(50));
        let (genesis, blocks) = epoch();
        let statement = Statement::over(0, genesis.root(), &blocks).unwrap();
        let proof = SignedReexecution
            .prove(&*crypto, &domain, prover, &statement, &genesis, &blocks)
            .unwrap();
        let holds = |statement: &Statement, prover, domain: &Digest, bytes: &[u8]| {
            SignedReexecution.verify(&*crypto, domain, prover, statement, bytes)
        };
        assert!(holds(&statement, prover, &domain, &proof));
        let other = Statement { next_root: Digest::of(b"x"), ..statement.clone() };
        assert!(!holds(&other, prover, &domain, &proof));
        let later = Statement { epoch: 1, ..statement.clone() };
        assert!(!holds(&later, prover, &domain, &proof));
        assert!(!holds(&statement, NodeId(49), &domain, &proof));
        assert!(!holds(&statement, prover, &Digest::of(b"net"), &proof));
        assert!(!holds(&statement, prover, &domain, &proof[..63]));
    }

    #[test]
    fn a_false_statement_is_not_signed() {
        let spec = NetworkSpec::default();
        let (crypto, domain) = (provider(&spec), spec.domain());
        let (genesis, blocks) = epoch();
        let honest = Statement::over(0, genesis.root(), &blocks).unwrap();
        let lie = Statement { next_root: Digest::of(b"rich"), ..honest };
        let refused =
            SignedReexecution.prove(&*crypto, &domain, NodeId(50), &lie, &genesis, &blocks);
        assert_eq!(refused, Err(ProofError::Statement));
    }
}
