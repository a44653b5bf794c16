//! Calendar properties of a time, in UTC.

/// A day and time of the proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    days: i64,
    year: i64,
    month: i64,
    day: i64,
    second_of_day: i64,
}

const SECONDS_PER_DAY: i64 = 86_400;

impl Civil {
    /// The time `seconds` after the Unix epoch; `None` when it is no time of the calendar.
    pub(crate) fn at(seconds: f64) -> Option<Self> {
        if !(-1e14..1e14).contains(&seconds) {
            return None;
        }
        let seconds = seconds.floor() as i64;
        let days = seconds.div_euclid(SECONDS_PER_DAY);
        let (year, month, day) = date(days);
        Some(Self { days, year, month, day, second_of_day: seconds.rem_euclid(SECONDS_PER_DAY) })
    }
}

/// Year, month and day of a day number, counted from 1970-01-01. Eras of 400 years begin in March,
/// so that leap days come last.
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The calendar function called `name`.
pub(crate) fn named(name: &str) -> Option<fn(&Civil) -> f64> {
    Some(match name {
        "days_in_month" => |c| days_in_month(c.year, c.month) as f64,
        "day_of_month" => |c| c.day as f64,
        "day_of_week" => |c| (c.days + 4).rem_euclid(7) as f64,
        "day_of_year" => |c| {
            let before: i64 = (1..c.month).map(|month| days_in_month(c.year, month)).sum();
            (before + c.day) as f64
        },
        "hour" => |c| (c.second_of_day / 3_600) as f64,
        "minute" => |c| (c.second_of_day / 60 % 60) as f64,
        "month" => |c| c.month as f64,
        "year" => |c| c.year as f64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Civil, named};

    fn property(name: &str, seconds: f64) -> f64 {
        named(name).unwrap()(&Civil::at(seconds).unwrap())
    }

    #[test]
    fn a_leap_day_has_its_properties() {
        // 2024-02-29T13:45:10Z, a Thursday.
        let cases = [
            ("year", 2024.0),
            ("month", 2.0),
            ("day_of_month", 29.0),
            ("day_of_week", 4.0),
            ("day_of_year", 60.0),
            ("days_in_month", 29.0),
            ("hour", 13.0),
            ("minute", 45.0),
        ];
        for (name, expected) in cases {
            assert_eq!(property(name, 1_709_214_310.0), expected, "{name}");
        }
        assert_eq!(property("year", -1.0), 1969.0);
        assert_eq!(property("hour", -1.0), 23.0);
        assert_eq!(Civil::at(f64::NAN), None);
        assert_eq!(Civil::at(f64::INFINITY), None);
    }
}
