//! Data goes to standard output, everything else to standard error.
//!
//! Architecture invariant: this is the only module that writes to either, and whatever others wrote is
//! escaped here, because a title, a name or a log line may hold what a terminal obeys.

use std::io::{IsTerminal, Write};

use diagnostics::render::{escape, escape_json, escape_line};
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs: one JSON value.
    Json,
}

/// Text in which nothing is left that a terminal obeys, except for colours that we put there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Painted(String);

impl Painted {
    /// Escaped text, without colour.
    pub fn plain(text: &str) -> Self {
        Self(escape(text))
    }

    /// What a renderer wrote that escapes by itself whatever it quotes.
    pub fn by_renderer(text: String) -> Self {
        Self(text)
    }

    /// A word of ours in a colour, such as `32` for green.
    pub fn coloured(word: &str, colour: &str) -> Self {
        Self(format!("\u{1b}[{colour}m{}\u{1b}[0m", escape(word)))
    }

    /// This text without line feeds at its end.
    pub fn trim_end(&self) -> Self {
        Self(self.0.trim_end().to_owned())
    }

    /// This text, then `other`.
    pub fn then(self, other: &Self) -> Self {
        Self(self.0 + &other.0)
    }
}

/// Prints text to standard output, escaped. A reader that went away is no failure.
pub fn print(text: &str) -> Outcome {
    print_painted(&Painted::plain(text))
}

/// Prints text with our own colours to standard output.
pub fn print_painted(text: &Painted) -> Outcome {
    let text = &text.0;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(Exit::Done),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(Failure::new(Exit::File, format!("cannot write the output: {error}"))),
    }
}

/// Prints `value` as JSON, indented, with a final line feed.
pub fn print_json<T: Serialize>(value: &T) -> Outcome {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot write JSON: {error}")))?;
    print(&escape_json(&format!("{text}\n")))
}

/// Says a full sentence on standard error, escaped.
pub fn say(text: impl std::fmt::Display) {
    say_painted(&Painted::plain(&as_called(&text.to_string())));
}

/// How our texts write a call of this program.
const CALL_IN_TEXTS: &str = "cargo xtask ";

/// `text` with our calls written so that they work here: as `cargo xtask`, which says so in
/// `PHASEGATE_CALLED_AS`, or as the program itself, which is all that other repositories have.
pub fn as_called(text: &str) -> String {
    match std::env::var_os("PHASEGATE_CALLED_AS") {
        Some(name) if name == CALL_IN_TEXTS.trim_end() => text.to_owned(),
        _ => text.replace(CALL_IN_TEXTS, "phasegate "),
    }
}

/// Says text with our own colours on standard error.
pub fn say_painted(text: &Painted) {
    let text = &text.0;
    // Nobody can be told that standard error is gone.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Whether standard error may be coloured.
pub fn stderr_has_colour() -> bool {
    std::io::stderr().is_terminal() && colour_is_wanted()
}

/// Whether standard output may be coloured.
pub fn stdout_has_colour() -> bool {
    std::io::stdout().is_terminal() && colour_is_wanted()
}

fn colour_is_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A table for people: no frame, columns apart, nothing cut.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    table.set_header(header.iter().map(|title| title.to_uppercase()));
    for row in rows {
        // A cell that could end its line could fake a row.
        table.add_row(row.iter().map(|cell| escape_line(cell)));
    }
    let mut text: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    if text.starts_with(' ') {
        text =
            text.lines().map(|line| format!("{}\n", line.get(1..).unwrap_or_default())).collect();
    }
    text
}

/// A number with its noun.
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A number for people: whole ones as they are, others with six digits that mean something.
pub fn figure(value: f64) -> String {
    if !value.is_finite() {
        return crate::queries::json::number(value);
    }
    let size = value.abs();
    if value.fract() == 0.0 && size < 1e15 {
        return format!("{value:.0}");
    }
    if !(1e-6..1e15).contains(&size) {
        return format!("{value:.5e}");
    }
    let before_point = size.log10().floor() as i32 + 1;
    let decimals = usize::try_from(6 - before_point).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A line of blocks that draws `values`; gaps are spaces.
pub fn sparkline(values: &[Option<f64>], width: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let known = values.iter().copied().flatten();
    let (low, high) = known.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let per_block = values.len().div_ceil(width.max(1)).max(1);
    let mut sorted: Vec<f64> = values.iter().copied().flatten().collect();
    sorted.sort_by(f64::total_cmp);
    let usual = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    values
        .chunks(per_block)
        .map(|chunk| {
            // The least usual value of a block is drawn: a short breach must not vanish.
            let far = |a: &f64, b: &f64| (a - usual).abs().total_cmp(&(b - usual).abs());
            match chunk.iter().copied().flatten().max_by(far) {
                None => ' ',
                Some(_) if high <= low => BLOCKS[3],
                Some(value) => BLOCKS[(((value - low) / (high - low)) * 7.0).round() as usize],
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Painted, figure, sparkline, table};

    #[test]
    fn calls_are_written_as_they_work_here() {
        // No test runs through `cargo xtask`.
        assert_eq!(super::as_called("`cargo xtask phase approve`"), "`phasegate phase approve`");
    }

    #[test]
    fn only_our_own_colours_survive() {
        let text = Painted::coloured("a\u{1b}[2J", "32").then(&Painted::plain("\u{9b}31m\u{202e}"));
        assert_eq!(text.0, "\u{1b}[32ma\\u{1b}[2J\u{1b}[0m\\u{9b}31m\\u{202e}");
    }

    #[test]
    fn a_cell_cannot_fake_a_row() {
        let text = table(&["a"], [vec!["one\ntwo\u{1b}[1A".to_owned()]]);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("one two\\u{1b}[1A"), "{text}");
    }

    #[test]
    fn figures_have_the_digits_that_people_read() {
        let cases = [
            (0.0, "0"),
            (600.0, "600"),
            (1_435_781_451.0, "1435781451"),
            (1.0 / 6.0, "0.166667"),
            (94.5, "94.5"),
            (120.983_333_3, "120.983"),
            (1_234_567.25, "1234567"),
            (0.000_012_345_678, "0.0000123457"),
            (1e-9, "1.00000e-9"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (value, text) in cases {
            assert_eq!(figure(value), text);
        }
    }

    #[test]
    fn a_short_breach_stays_visible_in_a_sparkline() {
        let mut values = vec![Some(1.0); 100];
        values[50] = Some(0.0);
        let line = sparkline(&values, 10);
        assert_eq!(line.chars().count(), 10);
        assert!(line.contains('▁') && line.contains('█'), "{line}");
        // Upwards as well as downwards.
        values[50] = Some(9.0);
        assert_eq!(sparkline(&values, 10), "▁▁▁▁▁█▁▁▁▁");
    }

    #[test]
    fn gaps_are_blank() {
        assert_eq!(sparkline(&[None, Some(1.0), None], 3), " ▄ ");
    }

    #[test]
    fn tables_have_no_frame_and_no_trailing_blanks() {
        let text = table(&["a", "b"], [vec!["one".to_owned(), "two".to_owned()]]);
        assert!(text.lines().all(|line| !line.ends_with(' ')), "{text:?}");
        assert!(text.contains("one"));
    }
}
