//! The events of a week, as people say them and as the calendar's file has them.

use std::fmt;
use std::str::FromStr;

use super::templates;

const DAYS: [(&str, &str); 7] = [
    ("MO", "Monday"),
    ("TU", "Tuesday"),
    ("WE", "Wednesday"),
    ("TH", "Thursday"),
    ("FR", "Friday"),
    ("SA", "Saturday"),
    ("SU", "Sunday"),
];

/// A day of the week and a time of day, local to the calendar's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeekTime {
    /// From Monday, 0, to Sunday, 6.
    day: usize,
    /// 0 to 23.
    hour: u8,
    /// 0 to 59.
    minute: u8,
}

impl WeekTime {
    const fn new(day: usize, hour: u8, minute: u8) -> Self {
        Self { day, hour, minute }
    }

    fn rule(self) -> String {
        let (day, _) = DAYS.get(self.day).copied().unwrap_or(DAYS[0]);
        let Self { hour, minute, .. } = self;
        format!("FREQ=WEEKLY;BYDAY={day};BYHOUR={hour};BYMINUTE={minute};BYSECOND=0")
    }
}

impl fmt::Display for WeekTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, day) = DAYS.get(self.day).copied().unwrap_or(DAYS[0]);
        write!(f, "{day} {:02}:{:02}", self.hour, self.minute)
    }
}

impl FromStr for WeekTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{}` is no time of a week; write it as `Thursday 15:00`", report::clean(text))
        };
        let mut words = text.split_whitespace();
        let (Some(day), Some(time), None) = (words.next(), words.next(), words.next()) else {
            return Err(wrong());
        };
        let day = day.to_lowercase();
        let is_day = |(_, name): &(&str, &str)| {
            day.chars().count() >= 2 && name.to_lowercase().starts_with(&day)
        };
        let day = DAYS.iter().position(is_day).ok_or_else(wrong)?;
        let (hour, minute) = time.split_once(':').ok_or_else(wrong)?;
        let number = |text: &str, below: u8| {
            let digits = matches!(text.len(), 1 | 2) && text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|number| digits && *number < below)
        };
        match (number(hour, 24), number(minute, 60)) {
            (Some(hour), Some(minute)) => Ok(Self { day, hour, minute }),
            _ => Err(wrong()),
        }
    }
}

/// When the events of a week are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Week {
    /// An IANA time zone.
    pub zone: String,
    /// Internal deployments.
    pub deploy: WeekTime,
    /// Evaluations.
    pub evaluate: WeekTime,
    /// Announcements.
    pub announce: WeekTime,
    /// Public deployments.
    pub release: WeekTime,
}

impl Default for Week {
    /// The week of the shipped programme.
    fn default() -> Self {
        Self {
            zone: "UTC".to_owned(),
            deploy: WeekTime::new(3, 15, 0),
            evaluate: WeekTime::new(0, 14, 30),
            announce: WeekTime::new(0, 18, 0),
            release: WeekTime::new(1, 15, 0),
        }
    }
}

impl Week {
    /// The file `pipeline/calendar.toml`: the shipped one with this week's times.
    pub fn to_toml(&self) -> String {
        let usual = Self::default();
        let (text, freezes) = templates::calendar();
        let zone = |week: &Self| format!("zone = {}", templates::toml_text(&week.zone));
        let own = |line: &str| {
            let rules = self.times().into_iter().zip(usual.times());
            let mut pairs = rules.map(|(own, usual)| (rule_line(usual), rule_line(own)));
            let rule = pairs.find(|(usual, _)| usual == line).map(|(_, own)| own);
            rule.unwrap_or_else(|| line.replace(&zone(&usual), &zone(self)))
        };
        let mut text: String = text.lines().map(|line| own(line) + "\n").collect();
        text.push_str("# Times at which nothing is deployed, advanced or released. Remove the `# ` and write your own.\n");
        for line in freezes.trim_end().lines() {
            text.push_str(&format!("# {line}\n"));
        }
        text
    }

    fn times(&self) -> [WeekTime; 4] {
        [self.deploy, self.evaluate, self.announce, self.release]
    }

    /// One line for people.
    pub fn describe(&self) -> String {
        let Self { zone, deploy, evaluate, announce, release } = self;
        format!(
            "deploy {deploy}, evaluate {evaluate}, announce {announce}, release {release} ({zone})"
        )
    }
}

fn rule_line(time: WeekTime) -> String {
    format!("rule = \"{}\"", time.rule())
}

#[cfg(test)]
mod tests {
    use super::{Week, WeekTime, rule_line};
    use crate::wizard::templates;

    #[test]
    fn times_are_read_as_people_write_them() {
        for text in ["Thursday 15:00", "THU 15:00", " th   15:00 ", "thurs 15:0"] {
            let time: WeekTime = text.parse().unwrap();
            assert_eq!(time.to_string(), "Thursday 15:00", "{text}");
        }
        for bad in [
            "",
            "Thursday",
            "15:00",
            "t 15:00",
            "Thu 24:00",
            "Thu 15:60",
            "Thu 15",
            "Thu +1:00",
            "Thu 15:00 x",
            "Noday 15:00",
        ] {
            let problem = bad.parse::<WeekTime>().unwrap_err();
            assert!(problem.contains("Thursday 15:00"), "{problem}");
        }
    }

    #[test]
    fn the_usual_week_is_that_of_the_shipped_calendar() {
        let (shipped, freezes) = templates::calendar();
        for time in Week::default().times() {
            assert_eq!(shipped.matches(&rule_line(time)).count(), 1, "{time}");
        }
        assert_eq!(shipped.matches("zone = \"UTC\"").count(), 1);
        assert!(freezes.starts_with("[[calendars.weekly-train.freeze]]"));
        assert!(Week::default().to_toml().starts_with(shipped));
    }

    #[test]
    fn times_can_change_places() {
        // Each rule is replaced once, also by one that another had.
        let usual = Week::default();
        let week = Week {
            zone: "Europe/Berlin".to_owned(),
            deploy: usual.evaluate,
            evaluate: usual.deploy,
            ..usual.clone()
        };
        let text = week.to_toml();
        let at = |time| text.find(&rule_line(time)).unwrap();
        assert!(at(week.deploy) < at(week.evaluate), "{text}");
        assert!(text.contains("zone = \"Europe/Berlin\""));
    }
}
