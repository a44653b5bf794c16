use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};

/// Below the ports that systems hand out to outgoing connections, so that a node which is down for
/// a while finds its port free again.
const FIRST: u16 = 10_000;
const COUNT: u16 = 22_000;

/// `count` ports of 127.0.0.1 on which nobody listens, without those of `taken`. The search begins
/// at a place that `salt` chooses, so that deployments which start at once do not meet.
pub(crate) fn free_ports(count: usize, taken: &BTreeSet<u16>, salt: u64) -> Option<Vec<u16>> {
    let begin = (salt % u64::from(COUNT)) as u16;
    let all = (0..COUNT).map(|step| FIRST + (begin + step) % COUNT);
    let free: Vec<_> = all
        .filter(|port| !taken.contains(port))
        .filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .take(count)
        .collect();
    (free.len() == count).then_some(free)
}

#[cfg(test)]
mod tests {
    use super::{COUNT, free_ports};
    use std::collections::BTreeSet;
    use std::net::{Ipv4Addr, TcpListener};

    #[test]
    fn ports_in_use_and_taken_ones_are_left_out() {
        let first = free_ports(3, &BTreeSet::new(), 21_998).unwrap();
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, first[0])).unwrap();
        let taken = BTreeSet::from([first[1]]);
        let second = free_ports(3, &taken, 21_998).unwrap();
        assert!(!second.contains(&first[0]) && !second.contains(&first[1]));
        assert!(free_ports(usize::from(COUNT) + 1, &taken, 0).is_none());
    }
}
