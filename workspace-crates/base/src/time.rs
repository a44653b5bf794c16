use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const MICROS_PER_SECOND: i64 = 1_000_000;

/// A text that is not an instant or a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not a duration.
    #[error(
        "`{0}` is not a duration; write a whole number and a unit, such as `90h`, `36s`, `1h30m` or `1w` (units: us, ms, s, m, h, d, w)"
    )]
    Duration(String),
    /// Not an instant.
    #[error(
        "`{0}` is not an instant; write RFC 3339 with an offset, such as `2026-01-08T15:00:00Z`"
    )]
    Instant(String),
}

/// A point in time, in whole microseconds since 1970-01-01T00:00:00Z. Range: ±292,000 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(i64);

/// A signed length of time, in whole microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(i64);

impl Instant {
    /// The instant that is `micros` microseconds after the Unix epoch.
    #[must_use]
    pub const fn from_unix_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The instant that is `millis` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn unix_micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn unix_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Seconds since the Unix epoch, with their fraction.
    #[must_use]
    pub fn unix_seconds(self) -> f64 {
        self.0 as f64 / MICROS_PER_SECOND as f64
    }

    /// The same instant as jiff has it, for calendar arithmetic.
    #[must_use]
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }
}

impl From<jiff::Timestamp> for Instant {
    fn from(timestamp: jiff::Timestamp) -> Self {
        Self(timestamp.as_microsecond())
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_jiff().to_string())
    }
}

impl FromStr for Instant {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>()
            .map(Self::from)
            .map_err(|_| TimeError::Instant(text.chars().take(80).collect()))
    }
}

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// `micros` microseconds.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// `millis` milliseconds.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// `seconds` seconds.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    /// `minutes` minutes.
    #[must_use]
    pub const fn from_minutes(minutes: i64) -> Self {
        Self::from_seconds(minutes.saturating_mul(60))
    }

    /// `hours` hours.
    #[must_use]
    pub const fn from_hours(hours: i64) -> Self {
        Self::from_seconds(hours.saturating_mul(3_600))
    }

    /// Whole microseconds.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds, rounded towards zero.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0 / 1_000
    }

    /// Seconds with their fraction.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / MICROS_PER_SECOND as f64
    }

    /// Hours with their fraction.
    #[must_use]
    pub fn hours(self) -> f64 {
        self.seconds() / 3_600.0
    }

    /// Whether this is longer than no time.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// This length `factor` times.
    #[must_use]
    pub const fn times(self, factor: i64) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    /// This length scaled by `factor`, rounded to the microsecond.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self((self.0 as f64 * factor).round() as i64)
    }
}

impl fmt::Display for Duration {
    /// Writes the shortest exact form in hours, minutes, seconds and fractions: `95h30m`, `36s`, `0s`.
    /// Hours are never folded into days: programmes state soaks in hours.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        let mut rest = self.0.unsigned_abs();
        if self.0 < 0 {
            text.push('-');
        }
        for (unit, micros) in UNITS_FOR_DISPLAY {
            let count = rest / micros;
            rest %= micros;
            if count > 0 {
                text.push_str(&format!("{count}{unit}"));
            }
        }
        if self.0 == 0 {
            text.push_str("0s");
        }
        f.pad(&text)
    }
}

const UNITS_FOR_DISPLAY: [(&str, u64); 5] =
    [("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];

/// Longest unit names first, so that `ms` is not read as minutes.
const UNITS_FOR_PARSING: [(&str, i64); 7] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", MICROS_PER_SECOND),
    ("m", 60 * MICROS_PER_SECOND),
    ("h", 3_600 * MICROS_PER_SECOND),
    ("d", 86_400 * MICROS_PER_SECOND),
    ("w", 604_800 * MICROS_PER_SECOND),
];

impl FromStr for Duration {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_duration(text).ok_or_else(|| TimeError::Duration(text.chars().take(80).collect()))
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if rest.is_empty() {
        return None;
    }
    let mut total = 0_i64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (_, micros) = UNITS_FOR_PARSING.iter().find(|(unit, _)| *unit == &rest[..end])?;
        total = total.checked_add(count.checked_mul(*micros)?)?;
        rest = &rest[end..];
    }
    Some(Duration(if negative { -total } else { total }))
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, length: Duration) -> Self {
        Self(self.0.saturating_add(length.0))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, length: Duration) {
        *self = *self + length;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, length: Duration) -> Self {
        Self(self.0.saturating_sub(length.0))
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl Add for Duration {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Duration {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Duration {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Duration {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

macro_rules! serde_as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

serde_as_text!(Instant);
serde_as_text!(Duration);

#[cfg(test)]
mod tests {
    use super::{Duration, Instant};
    use proptest::prelude::*;

    #[test]
    fn the_weekend_is_ninety_five_and_a_half_hours() {
        let deploy: Instant = "2026-01-08T15:00:00Z".parse().unwrap();
        let evaluate: Instant = "2026-01-12T14:30:00Z".parse().unwrap();
        assert_eq!((evaluate - deploy).to_string(), "95h30m");
        assert_eq!((evaluate - deploy).hours(), 95.5);
    }

    #[test]
    fn ninety_hours_are_nine_thousand_slots() {
        let soak: Duration = "90h".parse().unwrap();
        let slot: Duration = "36s".parse().unwrap();
        assert_eq!(soak.micros() / slot.micros(), 9_000);
        assert_eq!(soak.seconds() / (slot.seconds() * 32.0), 281.25);
    }

    #[test]
    fn durations_without_unit_with_fraction_or_too_long_are_refused() {
        for bad in ["", "-", "90", "h", "1.5h", "90 h", "90x", "5mm", "99999999999999w"] {
            assert!(bad.parse::<Duration>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_instant_without_offset_is_refused() {
        assert!("2026-01-08T15:00:00".parse::<Instant>().is_err());
    }

    proptest! {
        #[test]
        fn every_duration_is_read_back_as_written(micros in -1_000_000_000_000_000_i64..1_000_000_000_000_000) {
            let written = Duration::from_micros(micros).to_string();
            prop_assert_eq!(written.parse::<Duration>().unwrap().micros(), micros);
        }

        #[test]
        fn every_instant_is_read_back_as_written(micros in -62_000_000_000_000_000_i64..253_000_000_000_000_000) {
            let written = Instant::from_unix_micros(micros).to_string();
            prop_assert_eq!(written.parse::<Instant>().unwrap().unix_micros(), micros);
        }
    }
}
