use base::Instant;
use devnet::{NodeInfo, metrics_of};
use samples::{AppendError, Labels, METRIC_NAME, STALE_NAN, Store, TargetId};

/// Writes every node's metrics into a store, as a scraper would.
pub(crate) struct Scraper {
    pub(crate) store: Store,
    targets: Vec<(TargetId, usize)>,
    values: Vec<f64>,
}

/// How a scrape of one node goes.
pub(crate) enum Answer<'a> {
    /// The node answers.
    Up(&'a dyn devnet::Machine),
    /// The node does not answer.
    Down,
    /// Nobody asks: the exporter vanished from the scraper's list without a trace.
    Vanished,
}

impl Scraper {
    pub(crate) fn new(nodes: &[NodeInfo]) -> Self {
        let mut store = Store::new();
        let add = |node: &NodeInfo| {
            let series = series_of(node);
            let count = series.len();
            (store.add_target(series), count)
        };
        let targets = nodes.iter().map(add).collect();
        Self { store, targets, values: Vec::new() }
    }

    pub(crate) fn scrape(
        &mut self,
        node: usize,
        now: Instant,
        answer: &Answer<'_>,
    ) -> Result<(), AppendError> {
        let (target, count) = self.targets[node];
        self.values.clear();
        match answer {
            Answer::Up(machine) => {
                self.values.push(1.0);
                machine.metrics(now, &mut self.values);
            }
            Answer::Down => {
                self.values.push(0.0);
                self.values.resize(count, STALE_NAN);
            }
            Answer::Vanished => return Ok(()),
        }
        self.store.append(target, now.unix_millis(), &self.values)?;
        Ok(())
    }
}

/// `up` and the metrics of the node's role, with the node's labels.
fn series_of(node: &NodeInfo) -> Vec<Labels> {
    let labels = |name: &str, own: Option<(&str, &str)>| {
        let operator = node.operator.map(|operator| ("operator", operator.as_str()));
        let pairs = [
            Some((METRIC_NAME, name)),
            Some(("instance", node.name.as_str())),
            Some(("role", node.role.as_str())),
            operator,
            own,
        ];
        Labels::from_pairs(pairs.into_iter().flatten())
    };
    let metrics = metrics_of(node.role).map(|metric| labels(metric.name, metric.label));
    std::iter::once(labels("up", None)).chain(metrics).collect()
}
