use std::fmt::Write as _;

use devnet::{MetricKind, NodeInfo, metrics_of};

/// One number about the host itself.
pub(crate) struct HostMetric {
    pub(crate) name: &'static str,
    pub(crate) kind: MetricKind,
    pub(crate) help: &'static str,
    pub(crate) value: f64,
}

/// The labels that all series of a node have, as they stand between the braces.
fn labels_of(node: &NodeInfo) -> String {
    let mut labels = format!("instance=\"{}\",role=\"{}\"", node.name, node.role.as_str());
    if let Some(operator) = node.operator {
        let _ = write!(labels, ",operator=\"{}\"", operator.as_str());
    }
    labels
}

/// The exposition of a node in the text format of Prometheus: `values` in the order of
/// [`metrics_of`], then the host's own.
pub(crate) fn exposition(node: &NodeInfo, values: &[f64], host: &[HostMetric]) -> String {
    let mut page = String::new();
    let labels = labels_of(node);
    let mut described = "";
    for (metric, value) in metrics_of(node.role).zip(values) {
        if metric.name != described {
            describe(&mut page, metric.name, metric.kind, metric.help);
            described = metric.name;
        }
        let own = metric.label.map(|(name, value)| format!(",{name}=\"{value}\""));
        let _ = writeln!(page, "{}{{{labels}{}}} {value}", metric.name, own.unwrap_or_default());
    }
    for metric in host {
        describe(&mut page, metric.name, metric.kind, metric.help);
        let _ = writeln!(page, "{}{{{labels}}} {}", metric.name, metric.value);
    }
    page
}

fn describe(page: &mut String, name: &str, kind: MetricKind, help: &str) {
    let kind = match kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
    };
    let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::{HostMetric, exposition};
    use devnet::{MetricKind, NetworkSpec, Role, metrics_of};

    #[test]
    fn every_series_has_its_labels_and_every_metric_one_description() {
        let spec = NetworkSpec { validators: 4, committee: 4, ..NetworkSpec::default() };
        let nodes = spec.nodes();
        let values = vec![1.5; metrics_of(Role::L1).count()];
        let host = HostMetric {
            name: "devnet_host_connections",
            kind: MetricKind::Gauge,
            help: "Open connections.",
            value: 3.0,
        };
        let page = exposition(&nodes[0], &values, &[host]);
        let proven: Vec<_> =
            page.lines().filter(|line| line.starts_with("devnet_epochs_proven_total")).collect();
        assert_eq!(
            proven,
            [
                "devnet_epochs_proven_total{instance=\"l1\",role=\"l1\",operator=\"internal\"} 1.5",
                "devnet_epochs_proven_total{instance=\"l1\",role=\"l1\",operator=\"external\"} 1.5",
            ]
        );
        let described = page.matches("# TYPE devnet_epochs_proven_total counter").count();
        assert_eq!(described, 1);
        assert!(page.ends_with("devnet_host_connections{instance=\"l1\",role=\"l1\"} 3\n"));
        let prover = exposition(&nodes[6], &[1.0], &[]);
        assert!(prover.contains("{instance=\"prover-0\",role=\"prover\",operator=\"internal\"} 1"));
    }
}
