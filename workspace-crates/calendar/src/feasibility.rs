use base::{Duration, Instant};

use crate::Calendar;

/// Whether a soak that starts now can be complete at a deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feasibility {
    /// When warm-up and soak are over at the earliest.
    pub finishes_at: Instant,
    /// Time left at the deadline; negative when the soak cannot finish.
    pub slack: Duration,
    /// The last start that can still pass.
    pub latest_start: Instant,
    /// The arithmetic in words, to be shown with a refusal.
    pub arithmetic: String,
}

impl Feasibility {
    /// Whether the soak can be complete at the deadline; exactly at the deadline is in time.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.slack >= Duration::ZERO
    }
}

impl Calendar {
    /// Whether a deployment that starts at `start` can have warmed up and soaked by `deadline`.
    #[must_use]
    pub fn feasible(
        &self,
        start: Instant,
        warm_up: Duration,
        soak: Duration,
        deadline: Instant,
    ) -> Feasibility {
        let finishes_at = start + warm_up + soak;
        let slack = deadline - finishes_at;
        let latest_start = deadline - soak - warm_up;
        let window = format!(
            "{} → {} ({}) is {}",
            self.moment(start),
            self.moment(deadline),
            self.zone_name(),
            deadline - start
        );
        let after =
            if warm_up.is_positive() { format!(" after {warm_up} warm-up") } else { String::new() };
        let left = if slack < Duration::ZERO {
            format!("is {} too long", -slack)
        } else {
            format!("leaves {slack}")
        };
        let latest = self.moment(latest_start);
        let arithmetic =
            format!("{window}; a {soak} soak{after} {left}; the latest start is {latest}");
        Feasibility { finishes_at, slack, latest_start, arithmetic }
    }
}
