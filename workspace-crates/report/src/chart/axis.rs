use base::{Duration, Instant};

use super::svg::Svg;

/// Maps a span of time onto a span of the picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeAxis {
    pub(super) from: Instant,
    pub(super) until: Instant,
    pub(super) left: f64,
    pub(super) right: f64,
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const STEPS_SECONDS: [i64; 16] = [
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    28 * DAY,
    84 * DAY,
    168 * DAY,
    336 * DAY,
];
/// Monday 5 January 1970, so that weekly marks stand on Mondays.
const FIRST_MONDAY_SECONDS: i64 = 4 * DAY;

impl TimeAxis {
    /// Where `at` is, kept within the axis.
    pub(super) fn x(&self, at: Instant) -> f64 {
        let span = (self.until - self.from).seconds();
        if span <= 0.0 {
            return self.left;
        }
        let share = ((at - self.from).seconds() / span).clamp(0.0, 1.0);
        self.left + share * (self.right - self.left)
    }

    /// Draws marks and their times below `bottom`.
    pub(super) fn draw(&self, svg: &mut Svg, top: f64, bottom: f64, ticks_max: i64) {
        let span = ((self.until - self.from).micros() / 1_000_000).max(1);
        let step = STEPS_SECONDS.into_iter().find(|step| span / step < ticks_max);
        let step = step.unwrap_or(336 * DAY);
        let offset = if step >= 7 * DAY { FIRST_MONDAY_SECONDS } else { 0 };
        let format = if step >= 7 * DAY {
            "%-d %b"
        } else if step >= DAY {
            "%a %-d %b"
        } else if span > DAY {
            "%a %H:%M"
        } else {
            "%H:%M"
        };
        let start = self.from.unix_micros().div_euclid(1_000_000);
        let mut second = (start - offset).div_euclid(step) * step + offset;
        while Instant::from_unix_millis(second * 1_000) <= self.until {
            let at = Instant::from_unix_millis(second * 1_000);
            if at >= self.from {
                let x = self.x(at);
                svg.line("grid", (x, top), (x, bottom));
                // At the right edge a label would be cut or run into the one before.
                if x <= self.right - 18.0 {
                    let label = at.to_jiff().strftime(format).to_string();
                    svg.text("tick", (x, bottom + 15.0), "middle", &label);
                }
            }
            second += step;
        }
    }
}

/// The span of some instants, at least a minute long.
pub(super) fn span(instants: impl Iterator<Item = Instant>) -> Option<(Instant, Instant)> {
    let all: Vec<Instant> = instants.collect();
    let (from, until) = (all.iter().min()?, all.iter().max()?);
    Some((*from, (*until).max(*from + Duration::from_minutes(1))))
}

/// Three to six round values that enclose `low` and `high`.
pub(super) fn round_values(low: f64, high: f64) -> Vec<f64> {
    let span = if high > low { high - low } else { high.abs().max(1.0) };
    let rough = span / 4.0;
    let magnitude = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * magnitude >= rough);
    let step = factor.unwrap_or(10.0) * magnitude;
    let first = (low / step).floor();
    let last = (high / step).ceil().max(first + 1.0);
    // Multiples instead of sums, so that no error adds up.
    (0..=((last - first) as i64).min(12)).map(|index| (first + index as f64) * step).collect()
}

#[cfg(test)]
mod tests {
    use super::round_values;

    #[test]
    fn round_values_enclose_and_are_few() {
        for (low, high) in
            [(0.0, 1.0), (0.0, 0.0), (-3.0, 17.0), (1e-6, 2e-6), (35.9, 36.1), (5.0, 5.0)]
        {
            let values = round_values(low, high);
            assert!((2..=8).contains(&values.len()), "{low} {high}: {values:?}");
            assert!(
                values[0] <= low && values[values.len() - 1] >= high,
                "{low} {high}: {values:?}"
            );
        }
    }
}
