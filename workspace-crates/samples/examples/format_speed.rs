//! Measures how fast samples are read: `cargo run --release -p samples --example format_speed`.

use std::fmt::Write as _;
use std::time::Instant;

use samples::Labels;
use samples::formats::exposition::{Dialect, parse};
use samples::formats::{Scraper, remote_write};

const SERIES: usize = 30;
const PAGES: usize = 20_000;

fn page(n: usize) -> String {
    let mut page = String::new();
    for family in 0..10 {
        let _ = writeln!(page, "# HELP node_metric_{family}_seconds What this family means.");
        let _ = writeln!(page, "# TYPE node_metric_{family}_seconds gauge");
        for series in 0..SERIES / 10 {
            let value = match series {
                0 => (n * 17 + family).to_string(),
                1 => format!("{}.{:03}", n * 3, n % 1_000),
                _ => format!("{:?}", (n as f64 + 0.1) / 7.0),
            };
            let _ = writeln!(
                page,
                "node_metric_{family}_seconds{{instance=\"validator-{series}\",role=\"validator\"}} {value}"
            );
        }
    }
    page
}

fn report(what: &str, samples: usize, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    let rate = samples as f64 / seconds / 1e6;
    // The example's one output.
    #[expect(clippy::print_stdout, reason = "an example prints its result")]
    {
        println!("{what}: {rate:.2} M samples/s");
    }
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn field(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    varint(bytes.len() as u64, out);
    out.extend(bytes);
}

/// One message of 2,000 series with a sample each, as Prometheus sends them.
fn message() -> Vec<u8> {
    let mut message = Vec::new();
    for n in 0..2_000_u64 {
        let mut series = Vec::new();
        let name = format!("node_metric_{}_seconds", n % 30);
        let instance = format!("validator-{}", n / 30);
        for (name, value) in [
            ("__name__", name.as_str()),
            ("instance", &instance),
            ("job", "node"),
            ("role", "validator"),
        ] {
            let mut label = Vec::new();
            field(1, name.as_bytes(), &mut label);
            field(2, value.as_bytes(), &mut label);
            field(1, &label, &mut series);
        }
        let mut sample = vec![9];
        sample.extend((n as f64 / 7.0).to_le_bytes());
        sample.push(16);
        varint(1_700_000_000_000 + n, &mut sample);
        field(2, &sample, &mut series);
        field(1, &series, &mut message);
    }
    snap::raw::Encoder::new().compress_vec(&message).unwrap_or_default()
}

fn main() {
    let pages: Vec<String> = (0..PAGES).map(page).collect();
    let mut scraper = Scraper::new(Labels::from_pairs([("job", "node")]));
    let start = Instant::now();
    let mut sum = 0.0;
    for page in &pages {
        let scrape = scraper.scrape(Some((page.as_bytes(), Dialect::Prometheus)));
        sum += scrape.values[7];
    }
    report("text, same target again and again", PAGES * SERIES, start);

    let timed: Vec<String> =
        pages.iter().map(|page| page.replace("\n#", " 1700000000123\n#")).collect();
    let start = Instant::now();
    for page in &timed {
        sum += scraper.scrape(Some((page.as_bytes(), Dialect::Prometheus))).values[7];
    }
    report("text, one time in three lines", PAGES * SERIES, start);

    let start = Instant::now();
    for page in &pages[..PAGES / 10] {
        if let Ok(read) = parse(page.as_bytes(), Dialect::Prometheus) {
            sum += read.samples.len() as f64;
        }
    }
    report("text, each time anew", PAGES / 10 * SERIES, start);

    let mut history = String::new();
    for series in 0..100 {
        for n in 0..5_000_i64 {
            let t_ms = 1_700_000_000_000 + n * 15_000;
            let _ = writeln!(
                history,
                "node_metric_seconds{{instance=\"validator-{series}\"}} {} {}.{:03}",
                n * series,
                t_ms / 1_000,
                t_ms % 1_000
            );
        }
    }
    history.push_str("# EOF\n");
    let start = Instant::now();
    if let Ok(read) = parse(history.as_bytes(), Dialect::OpenMetrics) {
        report("OpenMetrics, history by series", read.samples.len(), start);
    }

    let message = message();
    let start = Instant::now();
    for _ in 0..200 {
        sum += remote_write::decode(&message).map_or(0.0, |read| read.series.len() as f64);
    }
    report("remote write, one sample per series", 200 * 2_000, start);
    assert!(sum.is_finite());
}
