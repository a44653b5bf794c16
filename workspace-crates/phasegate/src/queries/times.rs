//! Instants, ranges and steps as people and Prometheus' clients write them.

use base::{Duration, Instant};

/// About so many points fill a line of a terminal or a chart.
const POINTS: i64 = 250;

/// Steps that people use, in seconds.
const STEPS_SECONDS: [i64; 18] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200,
    86_400,
];

/// An instant: RFC 3339, seconds since 1970, `now`, or a distance from `now` such as `-2h`.
pub fn instant(text: &str, now: Instant) -> Result<Instant, String> {
    let text = text.trim();
    let distance = text.strip_prefix("now").unwrap_or(text);
    if distance.is_empty() && text == "now" {
        return Ok(now);
    }
    let sign = distance.chars().next();
    if let (Some(sign @ ('-' | '+')), Some(length)) = (sign, distance.get(1..))
        && let Ok(length) = length.parse::<Duration>()
        && length >= Duration::ZERO
    {
        return Ok(if sign == '-' { now - length } else { now + length });
    }
    if let Some(at) = unix_seconds(text) {
        return Ok(at);
    }
    text.parse().map_err(|_| {
        format!(
            "`{}` is not an instant; write RFC 3339 such as `2026-01-08T15:00:00Z`, `now`, or a distance from now such as `-2h`",
            text.chars().take(80).collect::<String>()
        )
    })
}

/// Seconds since 1970, with a fraction.
fn unix_seconds(text: &str) -> Option<Instant> {
    let seconds: f64 = text.parse().ok()?;
    let in_range = seconds.is_finite() && seconds.abs() < 1e12;
    in_range.then(|| Instant::from_unix_millis((seconds * 1_000.0).round() as i64))
}

/// A length of time: `15s`, or a number of seconds, as Prometheus' clients write it.
pub fn length(text: &str) -> Result<Duration, String> {
    if let Some(at) = unix_seconds(text) {
        return Ok(at - Instant::default());
    }
    text.parse::<Duration>().map_err(|error| error.to_string())
}

/// A range `FROM..TO`; either side is an [`instant`], and without TO it reaches until now.
pub fn range(text: &str, now: Instant) -> Result<(Instant, Instant), String> {
    let Some((from, to)) = text.split_once("..") else {
        return Err(format!("`{text}` is not a range; write FROM..TO, such as `-6h..now`"));
    };
    let to = if to.trim().is_empty() { now } else { instant(to, now)? };
    let from = instant(from, now)?;
    if to < from {
        return Err(format!("the range ends at {to}, before it begins at {from}; turn it around"));
    }
    Ok((from, to))
}

/// The step of a range that states none: about 250 points, at a step that people would choose.
pub fn default_step(span: Duration) -> Duration {
    let seconds = (span.seconds() / POINTS as f64).ceil() as i64;
    let step = STEPS_SECONDS.into_iter().find(|step| *step >= seconds);
    // Beyond a day, whole days.
    Duration::from_seconds(step.unwrap_or_else(|| (seconds + 86_399) / 86_400 * 86_400))
}

#[cfg(test)]
mod tests {
    use super::{default_step, instant, length, range};
    use base::Instant;

    fn now() -> Instant {
        "2026-01-12T14:30:00Z".parse().unwrap()
    }

    #[test]
    fn instants_are_absolute_or_a_distance_from_now() {
        let cases = [
            ("now", "2026-01-12T14:30:00Z"),
            ("-2h", "2026-01-12T12:30:00Z"),
            ("now-1d", "2026-01-11T14:30:00Z"),
            ("+30m", "2026-01-12T15:00:00Z"),
            ("2026-01-08T15:00:00+01:00", "2026-01-08T14:00:00Z"),
            ("1768228200.5", "2026-01-12T14:30:00.5Z"),
        ];
        for (text, at) in cases {
            assert_eq!(instant(text, now()), Ok(at.parse().unwrap()), "{text}");
        }
        for bad in ["", "yesterday", "-", "--2h", "now-", "nowhere", "1e400", "NaN", "2026-01-08"] {
            assert!(instant(bad, now()).is_err(), "{bad}");
        }
    }

    #[test]
    fn ranges_run_forwards() {
        let (from, to) = range("-6h..-1h", now()).unwrap();
        assert_eq!((to - from).to_string(), "5h");
        assert_eq!(range("-6h..", now()).unwrap().1, now());
        let absolute = range("2026-01-08T15:00:00Z..2026-01-08T16:00:00Z", now()).unwrap();
        assert_eq!((absolute.1 - absolute.0).to_string(), "1h");
        for bad in ["-6h", "now..-6h", "..", "a..b"] {
            assert!(range(bad, now()).is_err(), "{bad}");
        }
    }

    #[test]
    fn steps_are_round_and_give_at_most_250_points() {
        for (span, step) in [
            ("0s", "1s"),
            ("4m", "1s"),
            ("1h", "15s"),
            ("6h", "2m"),
            ("90h", "30m"),
            ("168h", "1h"),
            ("365d", "48h"),
        ] {
            assert_eq!(default_step(span.parse().unwrap()).to_string(), step, "{span}");
        }
    }

    #[test]
    fn lengths_may_be_plain_seconds() {
        assert_eq!(length("15"), length("15s"));
        assert_eq!(length("0.5"), length("500ms"));
        assert!(length("soon").is_err());
    }
}
