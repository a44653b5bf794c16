//! A small store, and the evaluation of a query on it within limits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use base::{Duration, Instant};
use promql::{Limits, Query};
use samples::{Labels, STALE_NAN, Series};

const SAMPLES_MAX: u64 = 100_000;
const STEPS_MAX: u64 = 500;
/// How often an evaluation may ask whether it is cancelled until it is.
const ASKED_MAX: u64 = 20_000;
const END_MS: i64 = 400_000;

/// Gauges, counters with resets, a histogram, gaps, ends, and values that are no numbers.
fn storage() -> &'static Vec<Series> {
    static STORAGE: OnceLock<Vec<Series>> = OnceLock::new();
    STORAGE.get_or_init(|| {
        let gauge = |n: i64| (n * 7 % 11) as f64 - 3.0;
        let counter = |n: i64| (n % 13 * 5) as f64;
        let odd = |n: i64| match n % 5 {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::NEG_INFINITY,
            3 => STALE_NAN,
            _ => f64::MAX,
        };
        let mut all = vec![
            series("a", &[("x", "1"), ("y", "p")], 15, gauge),
            series("a", &[("x", "2"), ("y", "q")], 15, counter),
            series("b", &[("x", "1")], 10, odd),
            series("b", &[("x", "é\"\\")], 35, gauge),
            series("c_total", &[("x", "2")], 10, counter),
        ];
        for (index, bound) in ["0.1", "1", "10", "+Inf"].into_iter().enumerate() {
            let factor = index as i64;
            all.extend(["1", "2"].map(|x| {
                series("h_bucket", &[("le", bound), ("x", x)], 15, move |n| (n * factor) as f64)
            }));
        }
        all.into_iter().flatten().collect()
    })
}

fn series(
    name: &str,
    labels: &[(&str, &str)],
    step_s: i64,
    value: impl Fn(i64) -> f64,
) -> Option<Series> {
    // Every eighth scrape is missing, and the last ten.
    let scrapes = (0..END_MS / 1_000 / step_s - 10).filter(|n| n % 8 != 7);
    let (times, values) = scrapes.map(|n| (n * step_s * 1_000, value(n))).unzip();
    Series::new(Labels::metric(name, labels), Arc::new(times), values).ok()
}

fn limits() -> Limits {
    let asked = AtomicU64::new(0);
    let cancelled = move || asked.fetch_add(1, Ordering::Relaxed) > ASKED_MAX;
    Limits {
        max_samples: SAMPLES_MAX,
        max_steps: STEPS_MAX,
        cancelled: Some(Arc::new(cancelled)),
        ..Limits::default()
    }
}

/// Evaluates a text as a query, at an instant and over a range; `true` when one gave a result.
pub(super) fn evaluate(text: &str, step_s: u8) -> bool {
    let Ok(query) = Query::parse(text) else { return false };
    assert_eq!(query.text(), text);
    let _ = (query.metric_names(), query.is_boolean(), query.is_comparison());
    let end = Instant::from_unix_millis(END_MS);
    let step = Duration::from_seconds(1 + i64::from(step_s));
    let at = promql::instant(&query, storage(), end, &limits());
    let over = promql::range(&query, storage(), Instant::default(), end, step, &limits());
    // What went wrong has words for people.
    for error in at.as_ref().err().into_iter().chain(over.as_ref().err()) {
        assert!(!error.to_string().is_empty());
    }
    at.is_ok() || over.is_ok()
}
