use base::{Duration, Instant, Outcome, PhaseId, Track, VerdictKind};

/// `Tuesday 13 January 2026 at 15:00 UTC`.
pub(crate) fn long_date(at: Instant) -> String {
    at.to_jiff().strftime("%A %-d %B %Y at %H:%M UTC").to_string()
}

/// `Tue 13 Jan 2026, 15:00`; the page says once that all times are UTC.
pub(crate) fn short_date(at: Instant) -> String {
    at.to_jiff().strftime("%a %-d %b %Y, %H:%M").to_string()
}

/// `Tue 13 Jan, 15:00`, where the year stands nearby.
pub(crate) fn day(at: Instant) -> String {
    at.to_jiff().strftime("%a %-d %b, %H:%M").to_string()
}

/// `2026-01-13 15:00:07`.
pub(crate) fn exact_date(at: Instant) -> String {
    at.to_jiff().strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `90 h`, `95 h 30 min`, `36 s`: the two largest units that are not zero.
pub(crate) fn length(duration: Duration) -> String {
    let mut rest = duration.micros().unsigned_abs();
    let mut parts = Vec::new();
    for (unit, micros) in
        [("h", 3_600_000_000_u64), ("min", 60_000_000), ("s", 1_000_000), ("ms", 1_000)]
    {
        let count = rest / micros;
        rest %= micros;
        if count > 0 && parts.len() < 2 {
            parts.push(format!("{count} {unit}"));
        }
    }
    let sign = if duration < Duration::ZERO { "−" } else { "" };
    if parts.is_empty() { "0 s".to_owned() } else { format!("{sign}{}", parts.join(" ")) }
}

/// A number for people: four digits after the point at most, thousands parted, no trailing zeros.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "not a number".to_owned();
    }
    if value != 0.0 && value.abs() < 0.000_1 || value.abs() >= 1e15 {
        return format!("{value:e}").replace('-', "−");
    }
    let text = format!("{:.4}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = fraction.trim_end_matches('0');
    let sign = if value < 0.0 { "−" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}", thousands(whole))
}

/// `9,000`; digits from 10,000 and below alike, so that columns read the same.
fn thousands(digits: &str) -> String {
    let mut parted = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            parted.push(',');
        }
        parted.push(digit);
    }
    parted
}

/// A count with its thousands parted.
pub(crate) fn count(value: u64) -> String {
    thousands(&value.to_string())
}

/// A number with its unit, when it has one.
pub(crate) fn quantity(value: f64, unit: &str) -> String {
    if unit.is_empty() { number(value) } else { format!("{} {unit}", number(value)) }
}

/// A share as `99.86 %`; never rounded up to 100 %.
pub(crate) fn percent(share: f64) -> String {
    let hundredths = (share * 10_000.0).floor() / 100.0;
    format!("{} %", number(hundredths))
}

/// `phase-1` as `Phase 1`.
pub(crate) fn phase_name(id: &PhaseId) -> String {
    let words = id.as_str().replace(['-', '_'], " ");
    let mut characters = words.chars();
    characters
        .next()
        .map_or(String::new(), |first| first.to_uppercase().chain(characters).collect())
}

/// An outcome in words.
pub(crate) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NotApplicable => "Does not apply",
        Outcome::Pass => "Pass",
        Outcome::Inconclusive => "Inconclusive",
        Outcome::Error => "Error",
        Outcome::Fail => "Fail",
    }
}

/// A verdict in words.
pub(crate) fn verdict(verdict: VerdictKind) -> &'static str {
    match verdict {
        VerdictKind::Advance => "Advance",
        VerdictKind::Hold => "Hold",
        VerdictKind::Reset => "Reset",
    }
}

/// A track in words.
pub(crate) fn track(track: Track) -> &'static str {
    match track {
        Track::Internal => "Internal",
        Track::Public => "Public",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_told_as_people_say_them() {
        let at = "2026-01-13T15:00:00Z".parse().unwrap();
        assert_eq!(long_date(at), "Tuesday 13 January 2026 at 15:00 UTC");
        assert_eq!(short_date(at), "Tue 13 Jan 2026, 15:00");
        assert_eq!(day(at), "Tue 13 Jan, 15:00");
        assert_eq!(exact_date(at), "2026-01-13 15:00:00");
    }

    #[test]
    fn lengths_have_two_units_at_most() {
        let told = |text: &str| length(text.parse().unwrap());
        assert_eq!(told("90h"), "90 h");
        assert_eq!(told("95h30m12s"), "95 h 30 min");
        assert_eq!(told("-1m30s"), "−1 min 30 s");
        assert_eq!(told("0s"), "0 s");
    }

    #[test]
    fn numbers_are_short_and_exact_enough() {
        assert_eq!(number(0.02), "0.02");
        assert_eq!(number(9_000.0), "9,000");
        assert_eq!(number(-1234567.5), "−1,234,567.5");
        assert_eq!(number(0.000_012), "1.2e−5");
        assert_eq!(number(0.0), "0");
        assert_eq!(number(f64::NAN), "not a number");
    }

    #[test]
    fn a_share_is_never_rounded_up_to_all() {
        assert_eq!(percent(0.99999), "99.99 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.72), "72 %");
    }

    #[test]
    fn phases_are_named_by_their_id() {
        assert_eq!(phase_name(&PhaseId::new("phase-1").unwrap()), "Phase 1");
        assert_eq!(phase_name(&PhaseId::new("threat-model").unwrap()), "Threat model");
    }
}
