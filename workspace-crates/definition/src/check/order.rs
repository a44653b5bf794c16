//! The order of phases.

use std::collections::BTreeMap;

use base::PhaseId;

/// What waits for what: each node with the nodes that come before it.
pub(crate) type Graph<'a> = [(&'a PhaseId, Vec<&'a PhaseId>)];

/// The positions of the nodes such that each comes after those it waits for, otherwise in their
/// order; or the ids of a cycle, the first repeated at the end.
pub(crate) fn topological(graph: &Graph<'_>) -> Result<Vec<usize>, Vec<PhaseId>> {
    let positions: BTreeMap<&PhaseId, usize> =
        graph.iter().enumerate().map(|(position, (id, _))| (*id, position)).collect();
    let before: Vec<Vec<usize>> = graph
        .iter()
        .map(|(_, ids)| ids.iter().filter_map(|id| positions.get(id).copied()).collect())
        .collect();
    let mut placed = vec![false; graph.len()];
    let mut order = Vec::with_capacity(graph.len());
    while order.len() < graph.len() {
        let ready = |index: &usize| !placed[*index] && before[*index].iter().all(|it| placed[*it]);
        match (0..graph.len()).find(ready) {
            Some(next) => {
                placed[next] = true;
                order.push(next);
            }
            None => {
                let cycle = find_cycle(&before, &placed);
                return Err(cycle.iter().map(|index| graph[*index].0.clone()).collect());
            }
        }
    }
    Ok(order)
}

/// Walks back from the first node that could not be placed: each such node waits for another, so
/// the walk comes back to where it was.
fn find_cycle(before: &[Vec<usize>], placed: &[bool]) -> Vec<usize> {
    let open = |index: &usize| !placed[*index];
    let mut path: Vec<usize> = (0..before.len()).find(open).into_iter().collect();
    while let Some(next) = path.last().and_then(|last| before[*last].iter().copied().find(open)) {
        if let Some(start) = path.iter().position(|index| *index == next) {
            let mut cycle = path.split_off(start);
            cycle.push(next);
            // The walk went backwards; people read along the arrows.
            cycle.reverse();
            return cycle;
        }
        path.push(next);
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::topological;
    use base::PhaseId;

    fn order(edges: &[(&str, &[&str])]) -> Result<Vec<String>, String> {
        let id = |text: &str| PhaseId::new(text).unwrap();
        let nodes: Vec<(PhaseId, Vec<PhaseId>)> = edges
            .iter()
            .map(|(node, before)| (id(node), before.iter().map(|b| id(b)).collect()))
            .collect();
        let graph: Vec<_> = nodes.iter().map(|(n, b)| (n, b.iter().collect())).collect();
        match topological(&graph) {
            Ok(order) => Ok(order.iter().map(|i| nodes[*i].0.to_string()).collect()),
            Err(cycle) => {
                Err(cycle.iter().map(ToString::to_string).collect::<Vec<_>>().join(" → "))
            }
        }
    }

    #[test]
    fn file_order_is_kept_where_nothing_forbids_it() {
        assert_eq!(
            order(&[("z", &[]), ("ship", &["a", "z"]), ("b", &[]), ("a", &["b"])]).unwrap(),
            ["z", "b", "a", "ship"]
        );
    }

    #[test]
    fn a_cycle_is_named_along_its_arrows() {
        let cycle = order(&[("start", &[]), ("a", &["c", "start"]), ("b", &["a"]), ("c", &["b"])]);
        assert_eq!(cycle.unwrap_err(), "a → b → c → a");
        assert_eq!(order(&[("a", &["a"])]).unwrap_err(), "a → a");
    }
}
