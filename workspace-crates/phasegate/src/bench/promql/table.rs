//! What was measured, as a table with ratios and as JSON.

use serde::Serialize;

use super::ours::Measured;
use super::peer::Peer;
use super::rows::ROWS;
use crate::bench::machine::median;
use crate::output::table;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    pub nodes: usize,
    pub samples: u64,
    pub runs: usize,
    pub ours: Figures,
    pub peers: Vec<Figures>,
}

/// The figures of one product.
#[derive(Debug, Serialize)]
pub struct Figures {
    pub name: String,
    pub version: String,
    pub bytes_per_sample: f64,
    /// Samples that were taken in per second: ours from arrays, the servers' from remote write.
    pub samples_per_second: f64,
    /// The same, with everything in a log or in blocks on the disk.
    pub durable_samples_per_second: f64,
    /// Samples that were taken in per second from the text format, where that was measured.
    pub text_samples_per_second: Option<f64>,
    /// For each row the median run; `None` where the product gave no answer.
    pub rows: Vec<Option<Measured>>,
    /// For each row why its answer is not the same as ours, if so.
    pub objections: Vec<Option<String>>,
}

/// What has to be reached, besides the queries.
const GOAL_BYTES: f64 = 0.60;
const GOAL_ARRAYS: f64 = 50e6;
const GOAL_TEXT: f64 = 5e6;
const GOAL_PEAK_MB: f64 = 200.0;
/// How many times faster than Prometheus queries have to be. All else has to be ahead.
const GOAL_PROMETHEUS: f64 = 10.0;

impl Figures {
    fn peak_mb(&self) -> f64 {
        let peaks = self.rows.iter().flatten().map(|row| row.peak_bytes);
        peaks.max().unwrap_or_default() as f64 / 1e6
    }
}

/// A figure of every product, ours first.
struct Line {
    name: String,
    figures: Vec<Option<f64>>,
    goal: f64,
    /// Whether more is better.
    more: bool,
    digits: usize,
    /// How many times better than Prometheus ours has to be.
    prometheus: f64,
    notes: Vec<String>,
}

impl Line {
    /// How many times better ours is than the peer with this number.
    fn ratio(&self, peer: usize) -> Option<f64> {
        let (ours, theirs) =
            (self.figures.first().copied()??, self.figures.get(peer + 1).copied()??);
        Some(if self.more { ours / theirs } else { theirs / ours })
    }

    /// What is not reached.
    fn behind(&self, peers: &[Figures]) -> Vec<String> {
        let mut behind = Vec::new();
        if let Some(Some(ours)) = self.figures.first() {
            let factor = if self.more { self.goal / ours } else { ours / self.goal };
            if factor > 1.0 {
                behind.push(format!("{factor:.2} x off the goal"));
            }
        }
        for (place, peer) in peers.iter().enumerate() {
            let is_prometheus = peer.name == Peer::Prometheus.name();
            let wanted = if is_prometheus { self.prometheus } else { 1.0 };
            match self.ratio(place) {
                Some(ratio) if ratio < wanted => {
                    behind.push(format!("{ratio:.2} x {}, wanted {wanted} x", peer.name));
                }
                _ => {}
            }
        }
        behind
    }
}

impl Report {
    fn all(&self) -> impl Iterator<Item = &Figures> {
        std::iter::once(&self.ours).chain(&self.peers)
    }

    fn line(&self, name: &str, goal: f64, of: impl Fn(&Figures) -> Option<f64>) -> Line {
        Line {
            name: name.to_owned(),
            figures: self.all().map(of).collect(),
            goal,
            more: false,
            digits: 0,
            prometheus: 1.0,
            notes: Vec::new(),
        }
    }

    fn lines(&self) -> Vec<Line> {
        let millions = |figure: f64| figure / 1e6;
        let mut lines = vec![
            Line {
                digits: 3,
                ..self.line("bytes per sample", GOAL_BYTES, |f| Some(f.bytes_per_sample))
            },
            Line {
                more: true,
                digits: 2,
                ..self.line("million samples in per second", millions(GOAL_ARRAYS), |f| {
                    Some(millions(f.samples_per_second))
                })
            },
            Line {
                more: true,
                digits: 2,
                ..self.line("the same, onto the disk", 0.0, |f| {
                    Some(millions(f.durable_samples_per_second))
                })
            },
            Line {
                more: true,
                digits: 2,
                ..self.line("the same, parsed from text", millions(GOAL_TEXT), |f| {
                    f.text_samples_per_second.map(millions)
                })
            },
        ];
        for (place, row) in ROWS.iter().enumerate() {
            let figure = |f: &Figures| f.rows.get(place)?.as_ref().map(|row| row.cold_ms);
            let mut line = self.line(&format!("{}, ms", row.name), row.goal_ms, figure);
            line.prometheus = GOAL_PROMETHEUS;
            for figures in &self.peers {
                if let Some(Some(objection)) = figures.objections.get(place) {
                    line.notes.push(format!("{}: {objection}", figures.name));
                }
            }
            lines.push(line);
        }
        let opened = self.ours.rows.iter().flatten().map(|row| row.open_ms);
        let opened = median(opened.collect());
        lines.push(Line {
            figures: vec![Some(opened)],
            digits: 1,
            ..self.line("opening the archive, ms", f64::INFINITY, |_| None)
        });
        lines.push(self.line("peak memory of a query, MB", GOAL_PEAK_MB, |f| Some(f.peak_mb())));
        lines
    }

    /// The table for people: goals beside what was measured, and what is behind.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} samples of {} nodes; each query is the first of a fresh process, {}; the median of {} runs\n",
            self.samples,
            self.nodes,
            if self.all().flat_map(|f| f.rows.iter().flatten()).all(|row| row.files_forgotten) {
                "its files not in memory"
            } else {
                "but its files in memory: this system does not forget them"
            },
            self.runs,
        );
        let mut header = vec!["".to_owned(), self.ours.name.clone(), "goal".to_owned()];
        for peer in &self.peers {
            header.push(format!("{} {}", peer.name, peer.version));
            header.push("ratio".to_owned());
        }
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        let lines = self.lines();
        text.push_str(&table(&header, lines.iter().map(|line| self.cells(line))));
        text.push_str("\nThe second answer of the same process, ms\n");
        text.push_str(&self.warm());
        text.push_str("\nAnswers\n");
        text.push_str(&self.answers());
        text.push_str("\nBehind\n");
        let mut is_behind = false;
        for line in &lines {
            for reason in line.behind(&self.peers).iter().chain(&line.notes) {
                is_behind = true;
                text.push_str(&format!("{}: {reason}\n", line.name));
            }
        }
        if !is_behind {
            text.push_str("nothing\n");
        }
        text
    }

    fn cells(&self, line: &Line) -> Vec<String> {
        let digits = line.digits;
        let show = |figure: &Option<f64>| {
            figure.map_or_else(|| "–".to_owned(), |figure| format!("{figure:.digits$}"))
        };
        let goal = match (line.more, line.goal) {
            (_, goal) if goal == 0.0 || goal.is_infinite() => String::new(),
            (true, goal) => format!("≥ {goal}"),
            (false, goal) => format!("≤ {goal}"),
        };
        let mut cells = vec![line.name.clone(), show(&line.figures[0]), goal];
        for place in 0..self.peers.len() {
            cells.push(show(&line.figures.get(place + 1).copied().flatten()));
            let ratio = line.ratio(place);
            cells.push(ratio.map_or_else(String::new, |ratio| format!("{ratio:.1} x")));
        }
        cells
    }

    fn warm(&self) -> String {
        self.for_rows(|row| format!("{:.0}", row.warm_ms))
    }

    fn answers(&self) -> String {
        self.for_rows(|row| format!("{:.6}", row.value))
    }

    fn for_rows(&self, show: impl Fn(&Measured) -> String) -> String {
        let mut header = vec![""];
        header.extend(self.all().map(|figures| figures.name.as_str()));
        let rows = ROWS.iter().enumerate().map(|(place, row)| {
            let cell = |figures: &Figures| {
                let measured = figures.rows.get(place).and_then(Option::as_ref);
                measured.map_or_else(|| "–".to_owned(), &show)
            };
            std::iter::once(row.name.to_owned()).chain(self.all().map(cell)).collect()
        });
        table(&header, rows)
    }
}
