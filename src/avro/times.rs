//! ServiceNow's texts of dates and times, and the numbers that Avro writes for them.
//!
//! This runs for several columns of every row, so it is reduced to the one form that an instance uses
//! and the arithmetic for it. Days and dates are computed as in H. Hinnant, "chrono-Compatible Low-Level Date
//! Algorithms"; tests compare the results with a library's.

use std::fmt::Write as _;

/// Seconds of a day.
pub(super) const SECONDS_PER_DAY: i64 = 86_400;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_BEFORE_1970: i64 = 719_468;
/// Days of 400 years.
const DAYS_PER_400_YEARS: i64 = 146_097;

/// `YYYY-MM-DD HH:MM:SS` as seconds since 1970 UTC.
pub(super) fn seconds(text: &[u8]) -> Option<i64> {
    let (date, time) = text.split_at_checked(10)?;
    let time = time.strip_prefix(b" ")?;
    let [h1, h2, b':', m1, m2, b':', s1, s2] = time else {
        return None;
    };
    let (hour, minute, second) = (two(*h1, *h2)?, two(*m1, *m2)?, two(*s1, *s2)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(days(date)? * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second)
}

/// `YYYY-MM-DD` as days since 1970.
pub(super) fn days(text: &[u8]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else {
        return None;
    };
    let year = two(*y1, *y2)? * 100 + two(*y3, *y4)?;
    let (month, day) = (two(*m1, *m2)?, two(*d1, *d2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if day < 1 || day > length {
        return None;
    }
    // The year is taken to begin in March, so that the leap day is its last day.
    let year = if month > 2 { year } else { year - 1 };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(
        era * DAYS_PER_400_YEARS + year * 365 + year / 4 - year / 100 + day_of_year
            - DAYS_BEFORE_1970,
    )
}

fn two(ten: u8, one: u8) -> Option<i64> {
    let digits = ten.is_ascii_digit() && one.is_ascii_digit();
    digits.then(|| i64::from(ten - b'0') * 10 + i64::from(one - b'0'))
}

/// Appends seconds since 1970 UTC as `YYYY-MM-DD HH:MM:SS`; `None` outside of the years 0 to 9999.
pub(super) fn put_seconds(seconds: i64, out: &mut String) -> Option<()> {
    put_days(seconds.div_euclid(SECONDS_PER_DAY), out)?;
    out.push(' ');
    put_time(seconds.rem_euclid(SECONDS_PER_DAY), out);
    Some(())
}

/// Appends days since 1970 as `YYYY-MM-DD`; `None` outside of the years 0 to 9999.
pub(super) fn put_days(days: i64, out: &mut String) -> Option<()> {
    let days = days.checked_add(DAYS_BEFORE_1970)?;
    let (era, day) = (
        days.div_euclid(DAYS_PER_400_YEARS),
        days.rem_euclid(DAYS_PER_400_YEARS),
    );
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era.checked_mul(400)? + year + i64::from(month <= 2);
    if !(0..=9_999).contains(&year) {
        return None;
    }
    write!(out, "{year:04}-{month:02}-{day:02}").ok()
}

/// Appends seconds of a day as `HH:MM:SS`.
pub(super) fn put_time(seconds: i64, out: &mut String) {
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    // Writing to memory does not fail.
    write!(out, "{hour:02}:{minute:02}:{second:02}").ok();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::servicenow::query::parse_time;

    #[test]
    fn other_texts_are_no_times() {
        for wrong in [
            "",
            "2024-01-24",
            "2024-01-24T13:20:00",
            "2023-02-29 00:00:00",
            "2024-04-31 00:00:00",
            "2024-00-10 00:00:00",
            "2024-01-00 00:00:00",
            "2024-01-24 24:00:00",
            "2024-01-24 13:20:60",
            "2024-01-24 13:20:0x",
            "2024-01-24 13:20:00.0",
        ] {
            assert_eq!(seconds(wrong.as_bytes()), None, "{wrong}");
            assert_eq!(parse_time(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(days(b"2024-02-29"), Some(19_782));
        for far in [i64::MIN, i64::MAX, 253_402_300_800, -62_167_219_201] {
            assert_eq!(put_seconds(far, &mut String::new()), None);
        }
    }

    proptest! {
        #[test]
        fn times_agree_with_the_library(seconds_in in -62_167_219_200_i64..253_402_300_800) {
            let mut text = String::new();
            put_seconds(seconds_in, &mut text).unwrap();
            prop_assert_eq!(parse_time(text.as_bytes()), Some(seconds_in));
            prop_assert_eq!(seconds(text.as_bytes()), Some(seconds_in));
        }

        #[test]
        fn it_reads_the_same_texts_as_the_library(text in "[0-2][09][0-9]{2}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-6][0-9]:[0-6][0-9]") {
            prop_assert_eq!(seconds(text.as_bytes()), parse_time(text.as_bytes()));
        }
    }
}
