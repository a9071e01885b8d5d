//! Calendar days, years 0001 to 9999 (proleptic Gregorian), stored as days since 1970-01-01.
//!
//! Accepted texts: `YYYY-MM-DD`, and an RFC 3339 timestamp, whose date counts as written (no shift to UTC).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Days from 0001-01-01 to 1970-01-01, negated: the first day that a [`Date`] can hold.
const FIRST: i32 = -719_162;
/// 9999-12-31.
const LAST: i32 = 2_932_896;

/// A calendar day from 0001-01-01 to 9999-12-31.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Date(i32);

/// Why a text is no date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DateError {
    /// Neither `YYYY-MM-DD` nor an RFC 3339 timestamp.
    #[error("`{0}` is no date: write it as YYYY-MM-DD (or as an RFC 3339 timestamp)")]
    Form(String),
    /// Well formed, but there is no such day.
    #[error("`{0}` is no real calendar day (years 0001 to 9999)")]
    NoSuchDay(String),
    /// A day number outside the years 0001 to 9999.
    #[error("the day is outside the years 0001 to 9999")]
    OutOfRange,
}

impl Date {
    /// The day `days` after 1970-01-01 (negative: before).
    #[must_use]
    pub fn from_days(days: i32) -> Option<Self> {
        (FIRST..=LAST).contains(&days).then_some(Self(days))
    }
    /// Days since 1970-01-01.
    #[must_use]
    pub fn days(self) -> i32 {
        self.0
    }
    /// The day of that year, month and day of month, if there is one.
    #[must_use]
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Self> {
        let long = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if long => 29,
            2 => 28,
            _ => return None,
        };
        if !(1..=9999).contains(&year) || day == 0 || day > length {
            return None;
        }
        // Days from the civil date: years start in March, so that the leap day is the last of its year.
        let year = year - i32::from(month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month_index = (month as i32 + 9) % 12;
        let day_of_year = (153 * month_index + 2) / 5 + day as i32 - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Some(Self(era * 146_097 + day_of_era - 719_468))
    }
    /// Year, month and day of month.
    #[must_use]
    pub fn ymd(self) -> (i32, u32, u32) {
        let z = self.0 + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_index = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_index + 2) / 5 + 1;
        let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
        (year_of_era + era * 400 + i32::from(month <= 2), month as u32, day as u32)
    }
    /// The day `days` later (negative: earlier), if it is within the years 0001 to 9999.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Option<Self> {
        i64::from(self.0).checked_add(days).and_then(|d| i32::try_from(d).ok()).and_then(Self::from_days)
    }
    /// From when to when a day lasts in the time zone: its first millisecond, and the first of the next.
    #[must_use]
    pub fn span(self, zone: &jiff::tz::TimeZone) -> (super::Timestamp, super::Timestamp) {
        let begin = |date: Option<Self>, or: i64| {
            let civil = date.map(Self::ymd).and_then(|(year, month, day)| {
                let (year, month, day) =
                    (i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
                jiff::civil::Date::new(year, month, day).ok()
            });
            let zoned = civil.and_then(|date| date.to_zoned(zone.clone()).ok());
            super::Timestamp::from_millis(zoned.map_or(or, |zoned| zoned.timestamp().as_millisecond()))
        };
        (begin(Some(self), i64::MIN), begin(self.plus_days(1), i64::MAX))
    }
    /// The day that it is at `millis` (since 1970 UTC) in the time zone.
    #[must_use]
    pub fn at(now: super::Timestamp, zone: &jiff::tz::TimeZone) -> Self {
        let stamp = jiff::Timestamp::from_millisecond(now.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let day = zone.to_datetime(stamp).date();
        let (month, day_of_month) = (day.month().unsigned_abs(), day.day().unsigned_abs());
        Self::from_ymd(i32::from(day.year()), u32::from(month), u32::from(day_of_month)).unwrap_or(Self(0))
    }
}

/// `count` ASCII digits at `at` as a number.
fn digits(text: &[u8], at: usize, count: usize) -> Option<u32> {
    text.get(at..at + count)?.iter().try_fold(0_u32, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
}

/// Whether what follows the date is the rest of an RFC 3339 timestamp (section 5.6: `T`, time, fraction, offset).
fn is_rfc3339_tail(tail: &[u8]) -> bool {
    let colon = |at: usize| tail.get(at) == Some(&b':');
    let (Some(hour), Some(minute), Some(second)) = (digits(tail, 1, 2), digits(tail, 4, 2), digits(tail, 7, 2)) else {
        return false;
    };
    if !matches!(tail.first(), Some(b'T' | b't' | b' '))
        || !colon(3)
        || !colon(6)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return false;
    }
    let mut rest = tail.get(9..).unwrap_or_default();
    if let [b'.', fraction @ ..] = rest {
        let count = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        if count == 0 {
            return false;
        }
        rest = fraction.get(count..).unwrap_or_default();
    }
    match rest {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', _, _, b':', _, _] => {
            digits(rest, 1, 2).is_some_and(|h| h < 24) && digits(rest, 4, 2).is_some_and(|m| m < 60)
        }
        _ => false,
    }
}

impl FromStr for Date {
    type Err = DateError;
    fn from_str(text: &str) -> Result<Self, DateError> {
        let bytes = text.as_bytes();
        let form = || DateError::Form(text.chars().take(40).collect());
        let dash = |at: usize| bytes.get(at) == Some(&b'-');
        let (Some(year), Some(month), Some(day)) = (digits(bytes, 0, 4), digits(bytes, 5, 2), digits(bytes, 8, 2))
        else {
            return Err(form());
        };
        let tail = bytes.get(10..).unwrap_or_default();
        if !dash(4) || !dash(7) || !(tail.is_empty() || is_rfc3339_tail(tail)) {
            return Err(form());
        }
        Self::from_ymd(year as i32, month, day).ok_or_else(|| DateError::NoSuchDay(text.chars().take(10).collect()))
    }
}

impl TryFrom<i32> for Date {
    type Error = DateError;
    fn try_from(days: i32) -> Result<Self, DateError> {
        Self::from_days(days).ok_or(DateError::OutOfRange)
    }
}
impl From<Date> for i32 {
    fn from(date: Date) -> Self {
        date.0
    }
}
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.ymd();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bounds_are_the_years_1_and_9999() {
        assert_eq!(Date::from_days(FIRST).unwrap().to_string(), "0001-01-01");
        assert_eq!(Date::from_days(LAST).unwrap().to_string(), "9999-12-31");
        assert_eq!(Date::from_days(FIRST - 1), None);
        assert_eq!(Date::from_days(LAST + 1), None);
        assert_eq!("1970-01-01".parse::<Date>().unwrap().days(), 0);
    }

    #[test]
    fn only_real_days_in_the_right_form_are_dates() {
        for good in [
            "2024-02-29",
            "2000-02-29",
            "0001-01-01",
            "2024-05-06T07:08:09Z",
            "2024-05-06t07:08:09.123456+05:30",
            "2024-12-31T23:59:60-00:00",
            "2024-05-06 07:08:09z",
        ] {
            let date: Date = good.parse().unwrap();
            assert_eq!(date.to_string(), good[..10], "the date as written");
        }
        for bad in [
            "",
            "2024-2-9",
            "2024-02-30",
            "2023-02-29",
            "1900-02-29",
            "0000-01-01",
            "2024-13-01",
            "2024-00-10",
            "2024-01-00",
            "10000-01-01",
            "-001-01-01",
            "2024/01/01",
            "2024-01-01 ",
            " 2024-01-01",
            "20240101",
            "2024-01-01T",
            "2024-01-01T10:00",
            "2024-01-01T10:00:00",
            "2024-01-01T24:00:00Z",
            "2024-01-01T10:00:00.Z",
            "2024-01-01T10:00:00+0530",
            "２024-01-01",
        ] {
            assert!(bad.parse::<Date>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_calendar_library(days in FIRST..=LAST) {
            let date = Date::from_days(days).unwrap();
            let (year, month, day) = date.ymd();
            let civil = jiff::civil::date(year as i16, month as i8, day as i8);
            let epoch = jiff::civil::date(1970, 1, 1);
            prop_assert_eq!(epoch.until(civil).unwrap().get_days(), days);
            prop_assert_eq!(date.to_string().parse::<Date>().unwrap(), date);
        }
    }
}
