//! Where products evaluate the same query differently.

use definition::Product;
use promql_parser::parser::Expr;

/// Functions for which VictoriaMetrics takes the last sample before the window into account.
const LOOKS_BEFORE_ITS_WINDOW: [&str; 5] = ["rate", "increase", "delta", "irate", "idelta"];

/// What `product` in `version` does differently in `query`, as full sentences: only what the query
/// uses. A query that is not PromQL gives none; the server refuses it.
#[must_use]
pub fn dialect_notes(product: Option<Product>, version: Option<&str>, query: &str) -> Vec<String> {
    let Ok(expr) = promql_parser::parser::parse(query) else { return Vec::new() };
    let mut uses = Uses::default();
    uses.walk(&expr);
    match product {
        Some(Product::VictoriaMetrics) => victoria_metrics(&uses),
        Some(Product::Prometheus) => prometheus(&uses, version),
        Some(Product::Mimir | Product::Thanos) => either_window(&uses),
        None => {
            let mut notes = either_window(&uses);
            notes.push(
                "It is not known which product answers, so what it does differently is not known either."
                    .to_owned(),
            );
            notes
        }
    }
}

/// What a query is made of.
#[derive(Default)]
struct Uses {
    functions: Vec<&'static str>,
    bare_selectors: bool,
    windows: bool,
    may_be_nan: bool,
}

impl Uses {
    fn calls(&self, names: &[&str]) -> Option<&'static str> {
        self.functions.iter().copied().find(|name| names.contains(name))
    }

    fn walk(&mut self, expr: &Expr) {
        match expr {
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
            Expr::VectorSelector(_) => self.bare_selectors = true,
            Expr::MatrixSelector(_) => self.windows = true,
            Expr::Paren(paren) => self.walk(&paren.expr),
            Expr::Unary(unary) => self.walk(&unary.expr),
            Expr::Subquery(subquery) => {
                self.windows = true;
                self.walk(&subquery.expr);
            }
            Expr::Aggregate(aggregate) => {
                aggregate.param.iter().for_each(|param| self.walk(param));
                self.walk(&aggregate.expr);
            }
            Expr::Binary(binary) => {
                self.may_be_nan |= matches!(binary.op.to_string().as_str(), "/" | "%" | "^");
                self.walk(&binary.lhs);
                self.walk(&binary.rhs);
            }
            Expr::Call(call) => {
                self.functions.push(call.func.name);
                self.may_be_nan |= matches!(
                    call.func.name,
                    "histogram_quantile" | "quantile_over_time" | "sqrt" | "ln" | "log2" | "log10"
                );
                call.args.args.iter().for_each(|argument| self.walk(argument));
            }
        }
    }
}

fn victoria_metrics(uses: &Uses) -> Vec<String> {
    let mut notes = Vec::new();
    if uses.calls(&["changes"]).is_some() {
        notes.push(
            "VictoriaMetrics counts the first sample of a series as a change, so `changes` can be higher there than on Prometheus."
                .to_owned(),
        );
    }
    if let Some(function) = uses.calls(&LOOKS_BEFORE_ITS_WINDOW) {
        notes.push(format!(
            "VictoriaMetrics does not extrapolate `{function}` to the edges of its window and starts from the last sample before it, so the value can differ from that of Prometheus by about one scrape interval in the window."
        ));
    }
    if uses.bare_selectors {
        notes.push(
            "VictoriaMetrics looks back for a selector without a window about as far as its samples are apart, and not 5 minutes, so it can lack values that Prometheus has."
                .to_owned(),
        );
    }
    if uses.may_be_nan {
        notes.push(
            "VictoriaMetrics leaves NaN out of aggregations and windows, where it would make the result of Prometheus NaN."
                .to_owned(),
        );
    }
    notes
}

fn prometheus(uses: &Uses, version: Option<&str>) -> Vec<String> {
    let major = version
        .and_then(|version| version.trim_start_matches('v').split('.').next()?.parse::<u32>().ok());
    match major {
        Some(3..) => Vec::new(),
        Some(_) if uses.windows => vec![
            "Prometheus 2 counts a sample at the very beginning of a window; Prometheus 3 and Phasegate do not, so the value can differ by one sample where scrapes fall on the step."
                .to_owned(),
        ],
        Some(_) => Vec::new(),
        None => either_window(uses),
    }
}

fn either_window(uses: &Uses) -> Vec<String> {
    if !uses.windows {
        return Vec::new();
    }
    vec![
        "Depending on its version, the server counts a sample at the very beginning of a window or not, so the value can differ by one sample where scrapes fall on the step."
            .to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use definition::Product::{Mimir, Prometheus, VictoriaMetrics};

    use super::dialect_notes;

    #[test]
    fn only_what_a_query_uses_is_noted() {
        let cases = [
            (VictoriaMetrics, "1.79", "sum(changes(a[1h]))", &["`changes`"][..]),
            (VictoriaMetrics, "1.79", "sum(rate(a_total[1h]))", &["`rate`"]),
            (VictoriaMetrics, "1.79", "max(a)", &["5 minutes"]),
            (VictoriaMetrics, "1.79", "max_over_time(a[1h])", &[]),
            (VictoriaMetrics, "1.79", "max(a / b)", &["5 minutes", "NaN"]),
            (Prometheus, "2.42.0+ds", "max_over_time(a[1h])", &["very beginning"]),
            (Prometheus, "2.42.0", "max_over_time(max(a)[1h:1m])", &["very beginning"]),
            (Prometheus, "2.42.0", "max(a / b)", &[]),
            (Prometheus, "3.1.0", "max_over_time(a[1h])", &[]),
            (Prometheus, "unversioned", "max_over_time(a[1h])", &["Depending on its version"]),
            (Mimir, "2.10", "max_over_time(a[1h])", &["Depending on its version"]),
        ];
        for (product, version, query, expected) in cases {
            let notes = dialect_notes(Some(product), Some(version), query);
            assert_eq!(notes.len(), expected.len(), "{query}: {notes:?}");
            for (note, part) in notes.iter().zip(expected) {
                assert!(note.contains(part) && note.ends_with('.'), "{query}: {note}");
            }
        }
    }

    #[test]
    fn an_unknown_product_is_said_to_be_unknown() {
        assert_eq!(dialect_notes(None, None, "max(a)").len(), 1);
        assert_eq!(dialect_notes(None, None, "max_over_time(a[5m])").len(), 2);
        assert!(dialect_notes(None, None, "max(").is_empty());
    }
}
