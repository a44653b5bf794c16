//! What was measured, as a table with ratios and as JSON.

use serde::Serialize;

use super::Verified;
use super::append::Latency;
use crate::output::table;

/// How many times faster than git's log ours has to verify.
const GOAL_RATIO: f64 = 20.0;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    pub runs: usize,
    pub verified: Verified,
    pub repository_bytes: u64,
    pub git_version: String,
    pub git_ms: f64,
    pub git_processor_ms: f64,
    pub git_repository_bytes: u64,
    pub ssh_keygen_ms: f64,
    /// How long the disk takes for one small file.
    pub flush_ms: f64,
    pub flushed: Latency,
    pub buffered: Latency,
    /// How long a fresh process takes to judge 94.5 hours of 48 validators again.
    pub recompute_ms: f64,
}

/// One figure of ours, and what it is compared with.
struct Row {
    name: String,
    ours: String,
    beside: String,
    ratio: Option<f64>,
    /// The least ratio; 0 where there is no goal.
    goal: f64,
}

impl Row {
    fn new(name: impl Into<String>, ours: String) -> Self {
        Self { name: name.into(), ours, beside: String::new(), ratio: None, goal: 0.0 }
    }

    fn beside(mut self, what: String) -> Self {
        self.beside = what;
        self
    }

    fn ratio(mut self, ratio: f64, goal: f64) -> Self {
        (self.ratio, self.goal) = (Some(ratio), goal);
        self
    }

    fn cells(&self) -> Vec<String> {
        let ratio = self.ratio.map_or_else(String::new, |ratio| format!("{ratio:.1} x"));
        let goal = if self.goal > 0.0 { format!("≥ {} x", self.goal) } else { String::new() };
        vec![self.name.clone(), self.ours.clone(), self.beside.clone(), ratio, goal]
    }
}

impl Report {
    /// One row for each figure; a further figure is a further row.
    fn rows(&self) -> Vec<Row> {
        let Verified { entries, signatures, first_ms, second_ms, processor_ms, peak_bytes, .. } =
            self.verified;
        let ms = |ms: f64| format!("{ms:.1} ms");
        let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
        let latency =
            |one: Latency| format!("{:.1} ms, worst {:.1} ms", one.median_ms, one.worst_ms);
        let each = signatures as f64 * self.ssh_keygen_ms;
        vec![
            Row::new(format!("verify {entries} entries, fresh process"), ms(first_ms))
                .beside(format!("git log --show-signature: {}", ms(self.git_ms)))
                .ratio(self.git_ms / first_ms, GOAL_RATIO),
            Row::new("the same again in that process", ms(second_ms))
                .beside(format!("{signatures} x ssh-keygen -Y verify: {}", ms(each)))
                .ratio(each / second_ms, 0.0),
            Row::new("the same, processor time", ms(processor_ms))
                .beside(format!("git log --show-signature: {}", ms(self.git_processor_ms)))
                .ratio(self.git_processor_ms / processor_ms, 0.0),
            Row::new(
                "processor time per signature",
                format!("{:.1} us", processor_ms * 1e3 / signatures as f64),
            )
            .beside(format!("ssh-keygen -Y verify: {}", ms(self.ssh_keygen_ms))),
            Row::new("peak memory", megabytes(peak_bytes)),
            Row::new("repository", megabytes(self.repository_bytes))
                .beside(format!("commits: {}", megabytes(self.git_repository_bytes))),
            Row::new("append, on the disk", latency(self.flushed))
                .beside(format!("one small file: {}", ms(self.flush_ms))),
            Row::new("append, left to the system", latency(self.buffered)),
            Row::new("recompute 94.5 h of 48 validators", ms(self.recompute_ms)),
        ]
    }

    /// The table for people, and what is behind its goal.
    pub fn text(&self) -> String {
        let Verified { entries, signatures, files_forgotten, .. } = self.verified;
        let mut text = format!(
            "{entries} entries with {signatures} signatures, beside {entries} signed commits ({}); files {} before the first time; medians of {} runs, git's log once\n",
            self.git_version,
            if files_forgotten {
                "forgotten"
            } else {
                "in memory, as this system does not forget them,"
            },
            self.runs,
        );
        let rows = self.rows();
        let header = ["", "phasegate", "beside", "ratio", "goal"];
        text.push_str(&table(&header, rows.iter().map(Row::cells)));
        for row in rows.iter().filter(|row| row.ratio.is_some_and(|ratio| ratio < row.goal)) {
            text.push_str(&format!("behind: {}\n", row.name));
        }
        text
    }
}
