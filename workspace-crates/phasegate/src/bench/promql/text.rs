//! The data set as text.

use std::fmt::Write;

use samples::{METRIC_NAME, is_stale};

use super::data::{self, SERIES};

/// The names of a node's series as an exposition has them: without the labels of the target.
pub fn names() -> Vec<String> {
    let own = |label: &str| [METRIC_NAME, "le"].contains(&label);
    data::labels(0).iter().map(|labels| labels.filtered(own).to_string()).collect()
}

/// What a node answers to a scrape; nothing when it does not answer. `up` is not a part of it.
pub fn exposition(names: &[String], row: &[f64; SERIES], text: &mut String) {
    text.clear();
    for (name, value) in names.iter().zip(row).skip(1).filter(|(_, value)| !is_stale(**value)) {
        // Writing into a text cannot fail.
        let _ = writeln!(text, "{name} {value}");
    }
}

/// One scrape with the labels of the target and its time, as the servers import it.
pub fn import(names: &[String], t_ms: i64, row: &[f64; SERIES], seconds: bool, text: &mut String) {
    for (name, value) in names.iter().zip(row).filter(|(_, value)| !is_stale(**value)) {
        let _ = if seconds {
            writeln!(text, "{name} {value} {}.{:03}", t_ms / 1_000, t_ms % 1_000)
        } else {
            writeln!(text, "{name} {value} {t_ms}")
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::data::{Node, SERIES, labels, target};
    use super::{exposition, import, names};
    use samples::formats::Scraper;
    use samples::formats::exposition::Dialect;

    #[test]
    fn a_scraper_reads_the_values_that_were_written() {
        let (mut row, mut text) = ([0.0; SERIES], String::new());
        Node::new(3).scrape(&mut row).unwrap();
        exposition(&names(), &row, &mut text);
        let mut scraper = Scraper::new(target(3));
        let scrape = scraper.scrape(Some((text.as_bytes(), Dialect::Prometheus)));
        assert_eq!(scrape.series, labels(3));
        assert_eq!(scrape.values, row);
    }

    #[test]
    fn times_of_imports_are_milliseconds_or_seconds() {
        let (row, mut text) = ([1.5; SERIES], String::new());
        import(&["a".to_owned()], 12_034, &row, true, &mut text);
        import(&["a".to_owned()], 12_034, &row, false, &mut text);
        assert_eq!(text, "a 1.5 12.034\na 1.5 12034\n");
    }
}
