use base::Instant;
use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// Whether calendars take `name` as a time zone: an IANA name, such as `Europe/Berlin`.
#[must_use]
pub fn is_zone(name: &str) -> bool {
    Zone::named(name).is_some()
}

/// A time zone from the compiled-in database, with the rules for gaps and folds of this crate.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    zone: TimeZone,
}

impl Zone {
    /// Coordinated universal time.
    pub(crate) fn utc() -> Self {
        Self { zone: TimeZone::UTC }
    }

    /// The zone with this IANA name, such as `Europe/Berlin`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        if name == "UTC" {
            return Some(Self::utc());
        }
        TimeZoneDatabase::bundled().get(name).ok().map(|zone| Self { zone })
    }

    /// The wall clock at `at`.
    pub(crate) fn civil(&self, at: Instant) -> DateTime {
        self.zone.to_datetime(at.to_jiff())
    }

    /// The instant of a wall-clock time: after a gap, and the first time in a fold.
    /// `None` when it lies beyond the years that can be represented.
    pub(crate) fn instant(&self, civil: DateTime) -> Option<Instant> {
        self.zone.to_ambiguous_timestamp(civil).compatible().ok().map(Instant::from)
    }
}

#[cfg(test)]
mod tests {
    use super::Zone;

    fn berlin(civil: &str) -> String {
        let zone = Zone::named("Europe/Berlin").unwrap();
        zone.instant(civil.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn a_skipped_time_happens_as_much_later_as_the_gap_is_long() {
        assert_eq!(berlin("2026-03-29T02:30:00"), "2026-03-29T01:30:00Z");
        assert_eq!(berlin("2026-03-29T03:30:00"), "2026-03-29T01:30:00Z");
    }

    #[test]
    fn a_repeated_time_happens_the_first_time() {
        assert_eq!(berlin("2026-10-25T02:30:00"), "2026-10-25T00:30:00Z");
        assert_eq!(berlin("2026-10-25T03:30:00"), "2026-10-25T02:30:00Z");
    }

    #[test]
    fn unknown_zones_and_paths_are_refused() {
        for bad in ["", "Mars/Olympus", "../../etc/passwd", "Europe/Berlin\0", "CEST"] {
            assert!(Zone::named(bad).is_none(), "{bad:?}");
        }
    }
}
