use base::Instant;
use jiff::civil::{DateTime, Weekday};

use crate::zone::Zone;

/// `Thu 8 Jan 15:00`: what a person needs to find the moment in a week plan.
pub(crate) fn moment(zone: &Zone, at: Instant) -> String {
    let civil = zone.civil(at);
    format!("{} {} {} {}", weekday(civil), civil.day(), month(civil), clock(civil))
}

fn clock(civil: DateTime) -> String {
    if civil.second() == 0 && civil.subsec_nanosecond() == 0 {
        return format!("{:02}:{:02}", civil.hour(), civil.minute());
    }
    format!("{:02}:{:02}:{:02}", civil.hour(), civil.minute(), civil.second())
}

fn weekday(civil: DateTime) -> &'static str {
    match civil.weekday() {
        Weekday::Monday => "Mon",
        Weekday::Tuesday => "Tue",
        Weekday::Wednesday => "Wed",
        Weekday::Thursday => "Thu",
        Weekday::Friday => "Fri",
        Weekday::Saturday => "Sat",
        Weekday::Sunday => "Sun",
    }
}

fn month(civil: DateTime) -> &'static str {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let index = usize::from(civil.month().unsigned_abs()).saturating_sub(1);
    MONTHS.get(index).copied().unwrap_or("")
}
