//! The order of phases.

use base::PhaseId;

/// What waits for what: each node with the nodes that come before it.
pub(crate) type Graph<'a> = [(&'a PhaseId, Vec<&'a PhaseId>)];

/// The positions of the nodes such that each comes after those it waits for, otherwise in their
/// order; or the ids of a cycle, the first repeated at the end.
pub(crate) fn topological(graph: &Graph<'_>) -> Result<Vec<usize>, Vec<PhaseId>> {
    let mut placed: Vec<usize> = Vec::new();
    while placed.len() < graph.len() {
        let ready = |index: &usize| {
            !placed.contains(index)
                && graph[*index].1.iter().all(|before| {
                    position(graph, before).is_none_or(|before| placed.contains(&before))
                })
        };
        match (0..graph.len()).find(ready) {
            Some(next) => placed.push(next),
            None => return Err(find_cycle(graph, &placed)),
        }
    }
    Ok(placed)
}

fn position(graph: &Graph<'_>, id: &PhaseId) -> Option<usize> {
    graph.iter().position(|(node, _)| *node == id)
}

/// Walks back from the first node that could not be placed: each such node waits for another, so
/// the walk comes back to where it was.
fn find_cycle(graph: &Graph<'_>, placed: &[usize]) -> Vec<PhaseId> {
    let open = |index: &usize| !placed.contains(index);
    let mut path: Vec<usize> = (0..graph.len()).find(open).into_iter().collect();
    while let Some(last) = path.last() {
        let before = graph[*last].1.iter().filter_map(|id| position(graph, id)).find(open);
        let Some(before) = before else { break };
        if let Some(start) = path.iter().position(|index| *index == before) {
            let mut cycle: Vec<usize> = path[start..].to_vec();
            cycle.push(before);
            // The walk went backwards; people read along the arrows.
            return cycle.iter().rev().map(|index| graph[*index].0.clone()).collect();
        }
        path.push(before);
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
