use base::Duration;
use devnet::{NetworkSpec, NodeId};

/// A link's fault while it lasts.
pub(crate) struct Disturbance {
    /// The scheduled action that it belongs to.
    pub(crate) action: usize,
    /// For each node whether it is concerned.
    pub(crate) concerned: Vec<bool>,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    /// The concerned and the others cannot reach each other.
    Partition,
    /// Links of the concerned are slow or lossy.
    Latency { extra: Duration, jitter: Duration, loss: f64 },
}

/// The network model: chance comes from a counter for each link, so it does not depend on what
/// other links do.
pub(crate) struct Network {
    seed: u64,
    nodes: usize,
    latency_micros: i64,
    jitter_micros: u64,
    sent: Vec<u32>,
    pub(crate) disturbances: Vec<Disturbance>,
}

impl Network {
    pub(crate) fn new(spec: &NetworkSpec) -> Self {
        let nodes = spec.node_count() as usize;
        Self {
            seed: mix(spec.seed ^ 0x6e65_7477_6f72_6b00),
            nodes,
            latency_micros: spec.link_latency.micros(),
            jitter_micros: spec.link_jitter.micros().unsigned_abs() + 1,
            sent: vec![0; nodes * nodes],
            disturbances: Vec::new(),
        }
    }

    /// How long the next message takes on this link, in microseconds; `None` when it gets lost.
    pub(crate) fn fate(&mut self, from: NodeId, to: NodeId) -> Option<i64> {
        let link = from.index() * self.nodes + to.index();
        let count = &mut self.sent[link];
        *count = count.wrapping_add(1);
        let draw = mix(self.seed ^ ((link as u64) << 32 | u64::from(*count)));
        let delay = self.latency_micros + ((draw >> 16) % self.jitter_micros) as i64;
        if self.disturbances.is_empty() {
            Some(delay)
        } else {
            self.disturbed(from, to, draw, delay)
        }
    }

    fn disturbed(&self, from: NodeId, to: NodeId, draw: u64, mut delay: i64) -> Option<i64> {
        for (number, each) in self.disturbances.iter().enumerate() {
            let ends = (each.concerned[from.index()], each.concerned[to.index()]);
            match each.kind {
                Kind::Partition if ends.0 != ends.1 => return None,
                Kind::Latency { extra, jitter, loss } if ends.0 || ends.1 => {
                    let draw = mix(draw ^ (number as u64 + 1));
                    // 53 bits make a number from 0 to 1.
                    if ((draw >> 11) as f64) / ((1_u64 << 53) as f64) < loss {
                        return None;
                    }
                    let span = jitter.micros().unsigned_abs() + 1;
                    delay += extra.micros() + (mix(draw) % span) as i64;
                }
                _ => {}
            }
        }
        Some(delay)
    }
}

/// splitmix64.
pub(crate) const fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Disturbance, Kind, Network};
    use base::Duration;
    use devnet::{NetworkSpec, NodeId};

    #[test]
    fn a_link_does_not_feel_the_others_and_a_partition_cuts_both_ways() {
        let spec = NetworkSpec::default();
        let (mut one, mut two) = (Network::new(&spec), Network::new(&spec));
        let (a, b, c) = (NodeId(2), NodeId(3), NodeId(4));
        for _ in 0..10 {
            two.fate(b, c);
        }
        let draw = |net: &mut Network| (0..20).map(|_| net.fate(a, b)).collect::<Vec<_>>();
        let delays = draw(&mut one);
        assert_eq!(delays, draw(&mut two));
        assert!(delays.iter().flatten().all(|delay| (20_000..=150_000).contains(delay)));

        let mut concerned = vec![false; spec.node_count() as usize];
        concerned[a.index()] = true;
        one.disturbances.push(Disturbance { action: 0, concerned, kind: Kind::Partition });
        assert_eq!((one.fate(a, b), one.fate(b, a)), (None, None));
        assert!(one.fate(b, c).is_some());
    }

    #[test]
    fn loss_is_as_frequent_as_stated() {
        let spec = NetworkSpec::default();
        let mut network = Network::new(&spec);
        let concerned = vec![true; spec.node_count() as usize];
        let kind = Kind::Latency { extra: Duration::ZERO, jitter: Duration::ZERO, loss: 0.25 };
        network.disturbances.push(Disturbance { action: 0, concerned, kind });
        let lost = (0..10_000).filter(|_| network.fate(NodeId(2), NodeId(3)).is_none()).count();
        assert!((2_300..2_700).contains(&lost), "{lost}");
    }
}
