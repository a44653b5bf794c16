use base::{Digest, Duration, GateId, Instant, Outcome, Track};
use serde::{Deserialize, Serialize};

/// The judgement of one gate: outcome, reasons, measured values against thresholds, evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The gate that was judged.
    pub gate: GateId,
    /// Its title, for people.
    pub title: String,
    /// Its kind.
    pub kind: String,
    /// The track that it belongs to.
    pub track: Track,
    /// Whether it is shown without blocking.
    pub advisory: bool,
    /// Who owns the gate.
    pub owner: Option<String>,
    /// Why the gate exists, for participants.
    pub why: String,
    /// What was found.
    pub outcome: Outcome,
    /// The rule in one plain sentence, with its threshold.
    pub rule: String,
    /// Full sentences that say why the outcome is what it is; never empty.
    pub reasons: Vec<String>,
    /// Measured values against their thresholds.
    pub measures: Vec<Measure>,
    /// How much of the expected evidence was there, where the kind reads samples.
    pub coverage: Option<Coverage>,
    /// Progress of a soak.
    pub soak: Option<SoakProgress>,
    /// Digests of the evidence that was used, sorted.
    pub evidence: Vec<Digest>,
    /// What `phase explain` prints beyond the above.
    pub explanation: Explanation,
}

/// How a measured value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// At least the threshold.
    AtLeast,
    /// Strictly above the threshold.
    Above,
    /// Strictly below the threshold.
    Below,
    /// At most the threshold.
    AtMost,
    /// Equal to the threshold.
    Equals,
}

impl Relation {
    /// The relation in words, for "must be …".
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::AtLeast => "at least",
            Self::Above => "above",
            Self::Below => "below",
            Self::AtMost => "at most",
            Self::Equals => "equal to",
        }
    }
}

/// One measured value against its threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// What was measured.
    pub name: String,
    /// The value; `None` when it could not be measured. Always finite.
    pub value: Option<f64>,
    /// Unit of value and threshold; empty for plain numbers.
    pub unit: String,
    /// How the value is compared.
    pub relation: Relation,
    /// The threshold.
    pub threshold: f64,
}

impl Measure {
    /// Distance to the threshold in the unit of the value; positive when the rule is met.
    #[must_use]
    pub fn distance(&self) -> Option<f64> {
        let value = self.value?;
        Some(match self.relation {
            Relation::AtLeast | Relation::Above => value - self.threshold,
            Relation::Below | Relation::AtMost => self.threshold - value,
            Relation::Equals => -(value - self.threshold).abs(),
        })
    }
}

/// How much of the expected evidence was there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coverage {
    /// First instant that was judged; warm-up lies before it.
    pub from: Instant,
    /// Last instant that was judged.
    pub until: Instant,
    /// Points of the grid that were expected.
    pub expected: u64,
    /// Points that had a finite value.
    pub present: u64,
    /// Longest run without a value.
    pub longest_gap: Duration,
    /// Warm-up that was left out before `from`.
    pub warm_up: Duration,
}

impl Coverage {
    /// Present points over expected ones, 0 to 1; 0 when nothing was expected.
    #[must_use]
    pub fn share(&self) -> f64 {
        if self.expected == 0 { 0.0 } else { self.present as f64 / self.expected as f64 }
    }
}

/// A moment at which a soak was broken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Break {
    /// When.
    pub at: Instant,
    /// The condition that did not hold; `gap`, `load` and `subject` are breaks of their own.
    pub condition: String,
    /// Value of the condition's expression there, when there was one.
    pub value: Option<f64>,
}

/// Where a soak stands. Status, evaluation and admission all read this one value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoakProgress {
    /// How long all conditions have to hold.
    pub required: Duration,
    /// How long they have held until the end of the judged window.
    pub accrued: Duration,
    /// What is still missing.
    pub remaining: Duration,
    /// Earliest instant at which the soak can be complete; `None` when it is complete or cannot be.
    pub eligible_at: Option<Instant>,
    /// When the current run began; `None` while conditions do not hold.
    pub since: Option<Instant>,
    /// Longest run seen.
    pub longest_run: Duration,
    /// Every break, oldest first, at most 50; `breaks_total` counts all.
    pub breaks: Vec<Break>,
    /// How many breaks there were.
    pub breaks_total: u64,
}

/// One point of a drawn series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When.
    pub at: Instant,
    /// The value; `None` is a gap.
    pub value: Option<f64>,
}

/// A series for a chart, thinned to a few hundred points that keep minima and maxima.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// What is drawn.
    pub title: String,
    /// Unit of the values.
    pub unit: String,
    /// Threshold line, where there is one.
    pub threshold: Option<f64>,
    /// Points in time order.
    pub points: Vec<Point>,
}

/// What explains a finding beyond its reasons.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// Queries as text, by name, to paste into another tool.
    pub queries: Vec<(String, String)>,
    /// How the values were computed, in steps.
    pub steps: Vec<String>,
    /// First and last instant at which the rule was breached.
    pub first_breach: Option<Instant>,
    /// Last instant at which the rule was breached.
    pub last_breach: Option<Instant>,
    /// The smallest change that would turn the outcome, in plain words.
    pub would_change: Option<String>,
    /// Series for charts.
    pub series: Vec<Series>,
}
