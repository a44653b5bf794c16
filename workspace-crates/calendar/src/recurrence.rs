use chrono::TimeZone as _;
use jiff::civil::{DateTime, date};
use rrule::{Frequency, RRule, Tz, Unvalidated};

/// Where counting starts for rules with an interval: Monday, first of the month, first of the year.
const ANCHOR: DateTime = date(2001, 1, 1).at(0, 0, 0, 0);

/// Bounds one expansion; a rule of this crate has at most one occurrence a minute.
const OCCURRENCES_MAX: u16 = u16::MAX;

/// A RFC 5545 recurrence rule over wall-clock time, without a zone.
///
/// The rule is expanded as if the wall clock were UTC, so that no zone can shift it; the caller
/// places the results in its zone.
#[derive(Debug, Clone)]
pub(crate) struct Recurrence {
    rule: RRule<Unvalidated>,
}

impl Recurrence {
    /// Reads a rule such as `FREQ=WEEKLY;BYDAY=TH;BYHOUR=15`.
    /// The error says what is wrong, as a sentence without a full stop.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        // rrule 0.14 cuts the names of days by bytes, and panics within a character.
        if !text.is_ascii() {
            return Err("the rule cannot be read: it has characters beyond ASCII".to_owned());
        }
        let rule: RRule<Unvalidated> =
            text.parse().map_err(|error| reason("cannot be read", &error))?;
        if matches!(rule.get_freq(), Frequency::Minutely | Frequency::Secondly) {
            return Err("the rule repeats more often than hourly".to_owned());
        }
        if rule.get_count().is_some() || rule.get_until().is_some() {
            return Err(
                "the rule has an end, but a calendar has no first week to count from".into()
            );
        }
        if rule.get_interval() == 0 {
            return Err("the rule repeats at an interval of zero".to_owned());
        }
        let recurrence = Self { rule };
        recurrence.validate()?;
        // Nearly every rule comes true within a year; only rare ones need the long look.
        let comes_true = [2002, 2041]
            .into_iter()
            .any(|year| !recurrence.expand(ANCHOR, date(year, 1, 1).at(0, 0, 0, 0)).is_empty());
        if !comes_true {
            return Err("the rule never comes true".to_owned());
        }
        Ok(recurrence)
    }

    fn validate(&self) -> Result<(), String> {
        let start = utc(ANCHOR).ok_or("the rule cannot be placed in time")?;
        let checked = self.rule.clone().validate(start);
        checked.map(|_| ()).map_err(|error| reason("is not valid", &error))
    }

    /// Wall-clock times of the rule with `from <= time < until`, in order.
    pub(crate) fn expand(&self, from: DateTime, until: DateTime) -> Vec<DateTime> {
        self.try_expand(from, until).unwrap_or_default()
    }

    fn try_expand(&self, from: DateTime, until: DateTime) -> Option<Vec<DateTime>> {
        let start = utc(self.start_before(from))?;
        let set = self.rule.clone().build(start).ok()?;
        let set = set.after(utc(from)?).before(utc(until)?);
        let times = set.all(OCCURRENCES_MAX).dates.into_iter();
        let times = times.filter_map(|time| civil(time.timestamp()));
        Some(times.filter(|time| from <= *time && *time < until).collect())
    }

    /// The anchor moved on by whole intervals to shortly before `from`, so that an expansion costs
    /// as much as its window is long and not as much as the time since the anchor.
    fn start_before(&self, from: DateTime) -> DateTime {
        let unit_seconds = match self.rule.get_freq() {
            Frequency::Weekly => 7 * 86_400,
            Frequency::Daily => 86_400,
            Frequency::Hourly => 3_600,
            _ => return ANCHOR,
        };
        let step = i64::from(self.rule.get_interval()) * unit_seconds;
        let (Some(anchor), Some(from)) = (seconds(ANCHOR), seconds(from)) else { return ANCHOR };
        let steps = ((from - anchor).div_euclid(step) - 1).max(0);
        civil(anchor + steps * step).unwrap_or(ANCHOR)
    }
}

fn reason(what: &str, error: &rrule::RRuleError) -> String {
    format!("the rule {what}: {}", error.to_string().trim_end_matches('.'))
}

fn seconds(time: DateTime) -> Option<i64> {
    Some(jiff::tz::TimeZone::UTC.to_timestamp(time).ok()?.as_second())
}

fn civil(seconds: i64) -> Option<DateTime> {
    let timestamp = jiff::Timestamp::from_second(seconds).ok()?;
    Some(jiff::tz::TimeZone::UTC.to_datetime(timestamp))
}

fn utc(time: DateTime) -> Option<chrono::DateTime<Tz>> {
    Tz::UTC.timestamp_opt(seconds(time)?, 0).single()
}

#[cfg(test)]
mod tests {
    use super::Recurrence;

    fn expand(rule: &str, from: &str, until: &str) -> Vec<String> {
        let rule = Recurrence::parse(rule).unwrap();
        let times = rule.expand(from.parse().unwrap(), until.parse().unwrap());
        times.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_window_takes_its_start_and_leaves_its_end() {
        let rule = "FREQ=WEEKLY;BYDAY=TH;BYHOUR=15;BYMINUTE=0;BYSECOND=0";
        assert_eq!(
            expand(rule, "2026-01-08T15:00", "2026-01-22T15:00"),
            ["2026-01-08T15:00:00", "2026-01-15T15:00:00"]
        );
    }

    #[test]
    fn every_second_week_is_counted_from_one_anchor_whatever_the_window() {
        let rule = "FREQ=WEEKLY;INTERVAL=2;BYDAY=TH;BYHOUR=15";
        let all = expand(rule, "2026-01-01T00:00", "2026-03-01T00:00");
        assert_eq!(all, expand_day_by_day(rule));
        let days: Vec<_> = all.iter().map(|time| &time[5..10]).collect();
        assert_eq!(days, ["01-01", "01-15", "01-29", "02-12", "02-26"]);
    }

    fn expand_day_by_day(rule: &str) -> Vec<String> {
        let rule = Recurrence::parse(rule).unwrap();
        let mut day: jiff::civil::DateTime = "2026-01-01T00:00".parse().unwrap();
        let mut found = Vec::new();
        while day < "2026-03-01T00:00".parse().unwrap() {
            let next = day.checked_add(jiff::Span::new().days(1)).unwrap();
            found.extend(rule.expand(day, next).iter().map(ToString::to_string));
            day = next;
        }
        found
    }

    #[test]
    fn the_last_friday_of_a_month_is_found() {
        assert_eq!(
            expand("FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=12", "2026-01-01T00:00", "2026-03-01T00:00"),
            ["2026-01-30T12:00:00", "2026-02-27T12:00:00"]
        );
    }

    #[test]
    fn what_is_left_out_is_midnight() {
        assert_eq!(
            expand("FREQ=DAILY", "2026-01-01T00:00", "2026-01-02T00:01"),
            ["2026-01-01T00:00:00", "2026-01-02T00:00:00"]
        );
    }

    #[test]
    fn rules_that_cannot_work_are_refused_with_the_reason() {
        let cases = [
            ("", "cannot be read"),
            ("every thursday", "cannot be read"),
            ("FREQ=WEEKLY;BYDAY=XX", "cannot be read"),
            ("FREQ=WEEKLY;BYDAY=TH\u{fffd}", "cannot be read"),
            ("FREQ=WEEKLY;BYHOUR=25", "cannot be read"),
            ("FREQ=DAILY;BYWEEKNO=1", "not valid"),
            ("FREQ=SECONDLY", "more often than hourly"),
            ("FREQ=WEEKLY;COUNT=3", "has an end"),
            ("FREQ=WEEKLY;UNTIL=20260101T000000Z", "has an end"),
            ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never comes true"),
            ("FREQ=DAILY;INTERVAL=0", "interval"),
        ];
        for (rule, reason) in cases {
            let error = Recurrence::parse(rule).unwrap_err();
            assert!(error.contains(reason), "{rule}: {error}");
        }
    }
}
