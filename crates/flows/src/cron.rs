//! Cron schedules, as far as needed to say when a CronJob runs: five fields, lists, ranges, steps, names, `@` macros; UTC.
//! Source: Kubernetes CronJob `spec.schedule` (robfig/cron standard parser).

use std::collections::BTreeSet;

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    minutes: BTreeSet<u8>,
    hours: BTreeSet<u8>,
    days: BTreeSet<u8>,
    months: BTreeSet<u8>,
    weekdays: BTreeSet<u8>,
    /// Day of month, day of week were `*`: a restricted one alone decides, two restricted ones are ORed.
    any_day: bool,
    any_weekday: bool,
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    /// Reads a schedule; `None` if it is not one. A `TZ=` or `CRON_TZ=` prefix is not understood, and so `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else { return None };
        let mut weekdays = field(weekday, 0, 7, &WEEKDAYS, 0)?;
        if weekdays.remove(&7) {
            weekdays.insert(0);
        }
        Some(Self {
            minutes: field(minute, 0, 59, &[], 0)?,
            hours: field(hour, 0, 23, &[], 0)?,
            days: field(day, 1, 31, &[], 0)?,
            months: field(month, 1, 12, &MONTHS, 1)?,
            weekdays,
            any_day: day.starts_with('*') || *day == "?",
            any_weekday: weekday.starts_with('*') || *weekday == "?",
        })
    }

    /// The first run after a time (seconds since the Unix epoch); `None` if there is none within five years.
    pub fn next_after(&self, time: i64) -> Option<i64> {
        let today = time.div_euclid(86_400);
        let next_minute = time.rem_euclid(86_400) / 60 + 1;
        (today..=today + 5 * 366).filter(|day| self.runs_on(*day)).find_map(|day| {
            let from = if day == today { next_minute } else { 0 };
            let of_hour = |h: &u8| i64::from(*h) * 60;
            let minutes = self.hours.iter().flat_map(|h| self.minutes.iter().map(move |m| of_hour(h) + i64::from(*m)));
            minutes.filter(|m| *m >= from).min().map(|minute| day * 86_400 + minute * 60)
        })
    }

    /// How often it runs after `from` and not after `until`, at most `most`.
    pub fn runs(&self, from: i64, until: i64, most: usize) -> usize {
        let mut at = from;
        let mut count = 0;
        while count < most {
            match self.next_after(at) {
                Some(next) if next <= until => {
                    at = next;
                    count += 1;
                }
                _ => break,
            }
        }
        count
    }

    fn runs_on(&self, day: i64) -> bool {
        let (month, of_month) = civil(day);
        // 1 January 1970 was a Thursday.
        let weekday = u8::try_from((day + 4).rem_euclid(7)).unwrap_or(0);
        let (by_day, by_weekday) = (self.days.contains(&of_month), self.weekdays.contains(&weekday));
        let fits = match (self.any_day, self.any_weekday) {
            (true, _) => by_weekday && by_day,
            (false, true) => by_day && by_weekday,
            (false, false) => by_day || by_weekday,
        };
        self.months.contains(&month) && fits
    }
}

/// Month and day of month of a day since the epoch (Howard Hinnant's `civil_from_days`).
fn civil(day: i64) -> (u8, u8) {
    let z = day + 719_468;
    let of_era = z.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (u8::try_from(month).unwrap_or(1), u8::try_from(day).unwrap_or(1))
}

fn field(text: &str, low: u8, high: u8, names: &[&str], first_name: u8) -> Option<BTreeSet<u8>> {
    let mut out = BTreeSet::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<u8>().ok().filter(|s| *s > 0)?)),
            None => (part, None),
        };
        let value = |t: &str| -> Option<u8> {
            let named = names.iter().position(|n| t.eq_ignore_ascii_case(n)).and_then(|i| u8::try_from(i).ok());
            named.map(|i| i + first_name).or_else(|| t.parse().ok()).filter(|v| (low..=high).contains(v))
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (low, high),
            Some((a, b)) => (value(a)?, value(b)?),
            // `5/10` counts from 5 to the end.
            None if step.is_some() => (value(range)?, high),
            None => (value(range)?, value(range)?),
        };
        if from > to {
            return None;
        }
        out.extend((from..=to).step_by(usize::from(step.unwrap_or(1))));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_second()
    }

    fn next(schedule: &str, after: &str) -> Option<String> {
        let next = Schedule::parse(schedule)?.next_after(at(after))?;
        jiff::Timestamp::from_second(next).ok().map(|t| t.to_string())
    }

    #[test]
    fn next_runs() {
        let from = "2026-11-22T06:00:00Z";
        for (schedule, expected) in [
            ("0 0 1 * *", "2026-12-01T00:00:00Z"),
            ("@monthly", "2026-12-01T00:00:00Z"),
            ("0 6 * * *", "2026-11-23T06:00:00Z"),
            ("*/15 * * * *", "2026-11-22T06:15:00Z"),
            ("30 2 * * mon-fri", "2026-11-23T02:30:00Z"),
            ("0 12 * * 7", "2026-11-22T12:00:00Z"),
            ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
            ("0 0 13 * 5", "2026-11-27T00:00:00Z"),
            ("5/20 7 * JAN,dec *", "2026-12-01T07:05:00Z"),
        ] {
            assert_eq!(next(schedule, from).as_deref(), Some(expected), "{schedule}");
        }
    }

    #[test]
    fn what_is_no_schedule() {
        for bad in
            ["", "* * * *", "60 * * * *", "* * 0 * *", "5-1 * * * *", "*/0 * * * *", "TZ=UTC 0 0 * * *", "a b c d e"]
        {
            assert_eq!(Schedule::parse(bad), None, "{bad}");
        }
        assert_eq!(next("0 0 30 2 *", "2026-11-22T06:00:00Z"), None);
    }

    #[test]
    fn runs_in_a_window() {
        let daily = Schedule::parse("0 3 * * *").unwrap();
        assert_eq!(daily.runs(at("2026-11-20T06:00:00Z"), at("2026-11-22T06:00:00Z"), 9), 2);
        let monthly = Schedule::parse("0 0 1 * *").unwrap();
        assert_eq!(monthly.runs(at("2026-11-20T06:00:00Z"), at("2026-11-22T06:00:00Z"), 9), 0);
    }
}
