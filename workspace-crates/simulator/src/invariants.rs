use std::collections::BTreeMap;

use base::Digest;
use devnet::{Attestation, Facts, NodeId, Observation, names};

/// A broken law and what exactly happened.
pub(crate) type Violation = (&'static str, String);

/// Laws that hold whatever happens to the network.
pub(crate) struct Invariants {
    /// Digest of each finalized block that any node named.
    finalized: BTreeMap<u64, Digest>,
    /// Each node's newest attestation.
    votes: Vec<Option<(u64, Digest)>>,
    /// Highest finalized height that the L1 stated.
    final_height: u64,
    deposited: Option<u64>,
}

impl Invariants {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            finalized: BTreeMap::new(),
            votes: vec![None; nodes],
            final_height: 0,
            deposited: None,
        }
    }

    /// Looks at a node after its view of the chain may have changed.
    pub(crate) fn check(&mut self, node: NodeId, facts: &Facts) -> Result<(), Violation> {
        let tips = &facts.tips;
        let heights = [tips.finalized.height, tips.proven.height, tips.pending.height];
        if !heights.is_sorted() {
            let detail = format!("node {}: final, proven, pending are {heights:?}", node.0);
            return Err(("final <= proven <= pending", detail));
        }
        if tips.finalized.height > 0 {
            let digest = tips.finalized.digest;
            let known = *self.finalized.entry(tips.finalized.height).or_insert(digest);
            if known != digest {
                let height = tips.finalized.height;
                let detail = format!("height {height}: {known} and {digest} (node {})", node.0);
                return Err(("one finalized block per height", detail));
            }
        }
        if node == NodeId::L1 { self.check_l1(facts) } else { Ok(()) }
    }

    fn check_l1(&mut self, facts: &Facts) -> Result<(), Violation> {
        let height = facts.tips.finalized.height;
        if height < self.final_height {
            let detail = format!("from {} to {height}", self.final_height);
            return Err(("the finalized tip never falls", detail));
        }
        self.final_height = height;
        let sum = facts.stake + facts.slashed;
        let deposited = *self.deposited.get_or_insert(sum);
        if sum != deposited {
            let detail = format!(
                "stake {} and slashed {} do not make the {deposited} deposited",
                facts.stake, facts.slashed
            );
            return Err(("stake plus penalties is what was deposited", detail));
        }
        Ok(())
    }

    /// Looks at an attestation that is being sent.
    pub(crate) fn vote(&mut self, vote: &Attestation) -> Result<(), Violation> {
        let Some(last) = self.votes.get_mut(vote.validator.index()) else { return Ok(()) };
        let before = last.replace((vote.slot, vote.block));
        match before {
            Some((slot, block))
                if slot > vote.slot || (slot == vote.slot && block != vote.block) =>
            {
                let detail =
                    format!("node {}: slot {slot}, then slot {}", vote.validator.0, vote.slot);
                Err(("one vote per slot", detail))
            }
            _ => Ok(()),
        }
    }

    /// Looks at what a node observed.
    pub(crate) fn observe(&mut self, seen: &Observation) -> Result<(), Violation> {
        if seen.name != names::VALIDATOR_SLASHED {
            return Ok(());
        }
        let number = |key: &str| seen.attributes.get(key).and_then(|text| text.parse::<u64>().ok());
        let exact = match (number("before"), number("after"), number("penalty")) {
            (Some(before), Some(after), Some(penalty)) => {
                after.checked_add(penalty) == Some(before)
            }
            _ => false,
        };
        if exact {
            Ok(())
        } else {
            Err(("a slashed stake shrinks by the penalty", format!("{:?}", seen.attributes)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Invariants;
    use base::Digest;
    use devnet::{Attestation, BlockRef, Facts, NodeId, Observation, Signature, Tips, names};

    fn facts(heights: [u64; 3], fork: &[u8]) -> Facts {
        let [finalized, proven, pending] = heights.map(|height| BlockRef {
            height,
            digest: Digest::of(fork),
            ..BlockRef::default()
        });
        Facts { tips: Tips { pending, proven, finalized }, stake: 10, ..Facts::default() }
    }

    #[test]
    fn each_broken_law_is_noticed() {
        let mut laws = Invariants::new(4);
        laws.check(NodeId(2), &facts([1, 2, 3], b"a")).unwrap();
        let name = |result: Result<(), super::Violation>| result.unwrap_err().0;
        assert_eq!(
            name(laws.check(NodeId(3), &facts([1, 2, 3], b"b"))),
            "one finalized block per height"
        );
        assert_eq!(
            name(laws.check(NodeId(3), &facts([2, 1, 3], b"a"))),
            "final <= proven <= pending"
        );
        laws.check(NodeId::L1, &facts([2, 2, 3], b"a")).unwrap();
        assert_eq!(
            name(laws.check(NodeId::L1, &facts([1, 2, 3], b"a"))),
            "the finalized tip never falls"
        );
        let burnt = Facts { slashed: 1, ..facts([2, 2, 3], b"a") };
        assert_eq!(
            name(laws.check(NodeId::L1, &burnt)),
            "stake plus penalties is what was deposited"
        );
    }

    #[test]
    fn a_second_vote_and_a_wrong_penalty_are_noticed() {
        let mut laws = Invariants::new(4);
        let vote = |slot, block: &[u8]| Attestation {
            slot,
            block: Digest::of(block),
            validator: NodeId(3),
            signature: Signature([0; 64]),
        };
        laws.vote(&vote(7, b"a")).unwrap();
        laws.vote(&vote(7, b"a")).unwrap();
        laws.vote(&vote(8, b"b")).unwrap();
        assert!(laws.vote(&vote(8, b"c")).is_err());
        let slashed = |after: &str| {
            Observation::new(
                names::VALIDATOR_SLASHED,
                [("before", "9".into()), ("after", after.into()), ("penalty", "2".into())],
            )
        };
        laws.observe(&slashed("7")).unwrap();
        assert!(laws.observe(&slashed("6")).is_err());
    }
}
