//! What runs on a server, as it says itself.

use definition::Product;
use serde::Deserialize;

/// A product with its version, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Identity {
    pub(super) product: Option<Product>,
    pub(super) version: Option<String>,
}

#[derive(Deserialize)]
struct BuildInfo {
    data: BuildData,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct BuildData {
    version: String,
    application: String,
}

/// The metric in which each product states its version, with the label.
const VERSION_METRICS: [(&str, &str, Product); 5] = [
    ("vm_app_version", "short_version", Product::VictoriaMetrics),
    ("prometheus_build_info", "version", Product::Prometheus),
    ("thanos_build_info", "version", Product::Thanos),
    ("cortex_build_info", "version", Product::Mimir),
    ("mimir_build_info", "version", Product::Mimir),
];

/// Puts together what `/api/v1/status/buildinfo` and `/metrics` say; either may be missing.
///
/// The metrics count first: VictoriaMetrics says the version of another product in its build
/// information, so that dashboards take it for that.
pub(super) fn identify(build_info: Option<&[u8]>, metrics: Option<&[u8]>) -> Identity {
    let build = build_info.and_then(|bytes| serde_json::from_slice::<BuildInfo>(bytes).ok());
    let metrics = metrics.map(String::from_utf8_lossy);
    if let Some(found) = metrics.as_deref().and_then(from_metrics) {
        return found;
    }
    let Some(BuildInfo { data }) = build else { return Identity::default() };
    let application = data.application.to_lowercase();
    let is = |word: &str| application.contains(word);
    let product = if is("mimir") || is("cortex") {
        Some(Product::Mimir)
    } else if is("thanos") {
        Some(Product::Thanos)
    } else {
        None
    };
    Identity { product, version: known(&data.version) }
}

fn from_metrics(text: &str) -> Option<Identity> {
    for line in text.lines() {
        for (metric, label, product) in VERSION_METRICS {
            let Some(rest) = line.strip_prefix(metric) else { continue };
            let Some(labels) = rest.strip_prefix('{') else { continue };
            let version = label_value(labels, label).and_then(known);
            return Some(Identity { product: Some(product), version });
        }
    }
    None
}

/// The value of a label in `a="x",b="y"} 1`. Versions hold no escapes.
fn label_value<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let quoted = |(at, _): (usize, &str)| {
        let before = labels[..at].chars().next_back();
        let value = labels[at + name.len()..].strip_prefix("=\"")?;
        matches!(before, None | Some(',' | ' ')).then(|| value.split('"').next())?
    };
    labels.match_indices(name).find_map(quoted)
}

/// A version that says something, and is no essay.
fn known(version: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-~".contains(c);
    let version = version.trim_start_matches('v');
    let is_one = !version.is_empty() && version.len() <= 64 && version.chars().all(plain);
    is_one.then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use definition::Product::{self, Mimir, Prometheus, Thanos, VictoriaMetrics};

    use super::identify;

    #[test]
    fn products_say_who_they_are_in_their_ways() {
        let build = |version: &str, rest: &str| {
            format!(r#"{{"status":"success","data":{{"version":"{version}"{rest}}}}}"#)
        };
        let prometheus = "# HELP x\nprometheus_build_info{branch=\"x\",goversion=\"go1\",version=\"2.42.0+ds\"} 1\n";
        let victoria =
            "vm_app_version{version=\"victoria-metrics-2022\", short_version=\"v1.79.5\"} 1\n";
        let mimir = r#","application":"Grafana Mimir""#;
        type Case<'a> = (Option<String>, Option<&'a str>, Option<Product>, Option<&'a str>);
        let cases: [Case<'_>; 9] = [
            (Some(build("2.42.0", "")), Some(prometheus), Some(Prometheus), Some("2.42.0+ds")),
            // Its build information claims to be Prometheus 2.24.
            (Some(build("2.24.0", "")), Some(victoria), Some(VictoriaMetrics), Some("1.79.5")),
            (
                None,
                Some("vm_app_version{version=\"\", short_version=\"\"} 1"),
                Some(VictoriaMetrics),
                None,
            ),
            (Some(build("2.10.0", mimir)), None, Some(Mimir), Some("2.10.0")),
            (None, Some("thanos_build_info{version=\"0.34.1\"} 1"), Some(Thanos), Some("0.34.1")),
            // Without metrics a version is no product: several products claim one.
            (Some(build("2.24.0", "")), None, None, Some("2.24.0")),
            (Some(build("<script>", "")), None, None, None),
            (Some("<html>".to_owned()), Some("<html>"), None, None),
            (None, None, None, None),
        ];
        for (build, metrics, product, version) in cases {
            let found = identify(build.as_deref().map(str::as_bytes), metrics.map(str::as_bytes));
            assert_eq!(
                (found.product, found.version.as_deref()),
                (product, version),
                "{metrics:?}"
            );
        }
    }
}
