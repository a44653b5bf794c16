use std::collections::BTreeSet;

use base::{Duration, Instant};
use devnet::{Command, NodeId};
use serde::{Deserialize, Serialize};

/// What can be done to a live node from outside, over its RPC method `devnet_inject`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Injection {
    /// Tells the node's program something.
    Command {
        /// What.
        command: Command,
    },
    /// Nothing goes to or comes from these peers.
    Cut {
        /// The peers.
        peers: BTreeSet<NodeId>,
        /// Until when, in the network's time.
        until: Instant,
    },
    /// Messages from peers come later, or not at all.
    Delay {
        /// The peers; all when left out.
        #[serde(default)]
        peers: Option<BTreeSet<NodeId>>,
        /// Added to every message.
        extra: Duration,
        /// Most that chance adds on top.
        jitter: Duration,
        /// Share of the messages that get lost, 0 to 1.
        loss: f64,
        /// Until when, in the network's time.
        until: Instant,
    },
    /// The node's clock is wrong.
    Skew {
        /// Added to its clock.
        skew: Duration,
        /// Until when, in the network's time.
        until: Instant,
    },
    /// The node exports no metrics.
    Silence {
        /// Until when, in the network's time.
        until: Instant,
    },
}

/// What happens to one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Arrives,
    Late(Duration),
    Lost,
}

/// The faults that a node is under.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    links: Vec<Injection>,
    skew: Option<(Duration, Instant)>,
    silent_until: Option<Instant>,
    drawn: u64,
}

impl Faults {
    /// Takes a fault in; a command is not one and is given back.
    pub(crate) fn add(&mut self, injection: Injection) -> Option<Command> {
        match injection {
            Injection::Command { command } => return Some(command),
            Injection::Skew { skew, until } => self.skew = Some((skew, until)),
            Injection::Silence { until } => self.silent_until = Some(until),
            Injection::Cut { .. } | Injection::Delay { .. } => self.links.push(injection),
        }
        None
    }

    /// What is added to the node's clock at `now`.
    pub(crate) fn skew(&self, now: Instant) -> Duration {
        self.skew.filter(|(_, until)| now < *until).map_or(Duration::ZERO, |(skew, _)| skew)
    }

    /// When the present skew ends.
    pub(crate) fn skew_end(&self, now: Instant) -> Option<Instant> {
        self.skew.map(|(_, until)| until).filter(|until| now < *until)
    }

    pub(crate) fn is_silent(&self, now: Instant) -> bool {
        self.silent_until.is_some_and(|until| now < until)
    }

    /// Whether a message to `peer` may leave.
    pub(crate) fn lets_out(&self, peer: NodeId, now: Instant) -> bool {
        !self.links.iter().any(
            |link| matches!(link, Injection::Cut { peers, until } if now < *until && peers.contains(&peer)),
        )
    }

    /// What happens to a message that arrives from `peer`.
    pub(crate) fn fate(&mut self, peer: NodeId, now: Instant) -> Fate {
        if self.links.is_empty() {
            return Fate::Arrives;
        }
        self.links.retain(|link| {
            let (Injection::Cut { until, .. } | Injection::Delay { until, .. }) = link else {
                return false;
            };
            now < *until
        });
        if !self.lets_out(peer, now) {
            return Fate::Lost;
        }
        let mut late = Duration::ZERO;
        for index in 0..self.links.len() {
            let (lost, delay) = (self.chance(), self.chance());
            let Injection::Delay { peers, extra, jitter, loss, .. } = &self.links[index] else {
                continue;
            };
            if peers.as_ref().is_some_and(|peers| !peers.contains(&peer)) {
                continue;
            }
            if lost < *loss {
                return Fate::Lost;
            }
            late += *extra + jitter.scaled(delay);
        }
        if late.is_positive() { Fate::Late(late) } else { Fate::Arrives }
    }

    /// A number from 0 to 1 that depends only on how many were drawn before.
    fn chance(&mut self) -> f64 {
        self.drawn = self.drawn.wrapping_add(1);
        let mut mixed = self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::{Fate, Faults, Injection};
    use base::{Duration, Instant};
    use devnet::NodeId;
    use std::collections::BTreeSet;

    fn at(seconds: i64) -> Instant {
        Instant::from_unix_millis(seconds * 1_000)
    }

    #[test]
    fn a_cut_holds_in_both_directions_until_its_end() {
        let mut faults = Faults::default();
        faults.add(Injection::Cut { peers: BTreeSet::from([NodeId(3)]), until: at(10) });
        assert!(!faults.lets_out(NodeId(3), at(9)) && faults.lets_out(NodeId(4), at(9)));
        assert_eq!(faults.fate(NodeId(3), at(9)), Fate::Lost);
        assert_eq!(faults.fate(NodeId(4), at(9)), Fate::Arrives);
        assert!(faults.lets_out(NodeId(3), at(10)));
        assert_eq!(faults.fate(NodeId(3), at(10)), Fate::Arrives);
    }

    #[test]
    fn delays_add_up_and_loss_takes_its_share() {
        let mut faults = Faults::default();
        let delay = |peers, loss| Injection::Delay {
            peers,
            extra: Duration::from_millis(100),
            jitter: Duration::from_millis(50),
            loss,
            until: at(10),
        };
        faults.add(delay(None, 0.0));
        faults.add(delay(Some(BTreeSet::from([NodeId(3)])), 0.25));
        let Fate::Late(late) = faults.fate(NodeId(4), at(0)) else { panic!("not late") };
        assert!((100..=150).contains(&late.millis()), "{late}");
        let fates: Vec<_> = (0..1_000).map(|_| faults.fate(NodeId(3), at(0))).collect();
        let lost = fates.iter().filter(|fate| **fate == Fate::Lost).count();
        assert!((200..300).contains(&lost), "{lost}");
        let least = Fate::Late(Duration::from_millis(200));
        assert!(fates.iter().all(|fate| matches!((fate, least), (Fate::Lost, _))
            || matches!((fate, least), (Fate::Late(a), Fate::Late(b)) if *a >= b)));
    }

    #[test]
    fn skew_and_silence_end() {
        let mut faults = Faults::default();
        faults.add(Injection::Skew { skew: Duration::from_seconds(-5), until: at(10) });
        faults.add(Injection::Silence { until: at(10) });
        assert_eq!(faults.skew(at(9)), Duration::from_seconds(-5));
        assert_eq!((faults.skew_end(at(9)), faults.skew_end(at(10))), (Some(at(10)), None));
        assert_eq!(faults.skew(at(10)), Duration::ZERO);
        assert!(faults.is_silent(at(9)) && !faults.is_silent(at(10)));
    }
}
