use std::sync::Arc;

use crate::{
    Block, Compute, KeyId, NodeId, ProofSystem as _, Signature, SignedReexecution, State,
    Statement, Transaction,
};

/// Costly pure work that a host may run anywhere; plain data, the same result everywhere.
#[derive(Debug, Clone)]
pub enum Job {
    /// Re-execute a block on its parent's state and sign its attestation.
    Attest {
        /// Who signs.
        validator: NodeId,
        /// The state of the block's parent.
        parent: Arc<State>,
        /// The block.
        block: Arc<Block>,
    },
    /// Verify attestations under one block.
    VerifyAttestations {
        /// The block.
        block: Arc<Block>,
        /// The attestations.
        attestations: Vec<(NodeId, Signature)>,
    },
    /// Sign transactions in place of their users.
    SignTransactions {
        /// The transactions; their signatures are replaced.
        unsigned: Vec<Transaction>,
    },
    /// Prove an epoch.
    Prove {
        /// Who proves.
        prover: NodeId,
        /// What.
        statement: Statement,
        /// The state before the epoch.
        previous: Arc<State>,
        /// The epoch's blocks.
        blocks: Vec<Arc<Block>>,
    },
}

/// What a job found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobOutput {
    /// The attestation's signature; the reason when the block must not be attested to.
    Attested(Result<Signature, String>),
    /// Those attestations that are valid, in their order.
    Verified(Vec<(NodeId, Signature)>),
    /// The signed transactions.
    Signed(Vec<Arc<Transaction>>),
    /// The proof; the reason when there is none.
    Proven(Result<Vec<u8>, String>),
}

impl Job {
    /// Does the work.
    #[must_use]
    pub fn run(&self, compute: &dyn Compute) -> JobOutput {
        match self {
            Self::Attest { validator, parent, block } => {
                JobOutput::Attested(attest(compute, *validator, parent, block))
            }
            Self::VerifyAttestations { block, attestations } => {
                let root = block.attestation_root(&compute.domain());
                let valid = compute.valid_attestations(&root, attestations);
                let kept = attestations.iter().zip(valid).filter(|(_, valid)| *valid);
                JobOutput::Verified(kept.map(|(attestation, _)| *attestation).collect())
            }
            Self::SignTransactions { unsigned } => JobOutput::Signed(sign(compute, unsigned)),
            Self::Prove { prover, statement, previous, blocks } => {
                let proof = SignedReexecution.prove(
                    compute.crypto(),
                    &compute.domain(),
                    *prover,
                    statement,
                    previous,
                    blocks,
                );
                JobOutput::Proven(proof.map_err(|error| error.to_string()))
            }
        }
    }
}

fn attest(
    compute: &dyn Compute,
    validator: NodeId,
    parent: &Arc<State>,
    block: &Arc<Block>,
) -> Result<Signature, String> {
    compute.execute(parent, block).map_err(|error| error.to_string())?;
    if !compute.transactions_are_valid(block) {
        return Err("a transaction's signature is not valid".into());
    }
    let root = block.attestation_root(&compute.domain());
    compute
        .crypto()
        .sign(KeyId::node(validator), &root.0)
        .ok_or_else(|| "this node has no key".into())
}

fn sign(compute: &dyn Compute, unsigned: &[Transaction]) -> Vec<Arc<Transaction>> {
    let domain = compute.domain();
    unsigned
        .iter()
        .filter_map(|transaction| {
            let key = KeyId::user(transaction.from);
            let signature = compute.crypto().sign(key, &transaction.signing_bytes(&domain))?;
            Some(Arc::new(Transaction { signature, ..transaction.clone() }))
        })
        .collect()
}
