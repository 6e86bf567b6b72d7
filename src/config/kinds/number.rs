//! Numbers and times, with their bounds.

use std::time::Duration;

use super::value::{NumberReading, ValueKind};
use crate::config::duration;
use crate::config::reader::{Section, in_bounds, parse_integer, parse_number};
use crate::config::yaml::Value;

/// A whole number between two bounds. Where 0 is below the least, it asks for the default.
pub(in crate::config) fn integer<T>(min: u64, max: u64) -> ValueKind<T>
where
    T: TryFrom<u64> + Into<Value> + Copy + 'static,
{
    let parse = move |text: &str| {
        let number = i128::from(parse_integer(text)?);
        if number == 0 && min > 0 {
            return Ok(NumberReading::zero_for_default());
        }
        let bounds = (i128::from(min), i128::from(max));
        let number = in_bounds(number, bounds, |number| number.to_string())?;
        let number = u64::try_from(number).ok().and_then(|it| it.try_into().ok());
        Ok(number.map_or(NumberReading::LeftOut, NumberReading::Value))
    };
    let values = format!("whole number, {min} to {max}");
    ValueKind::number(values, parse, |value: &T| (*value).into())
}

/// A whole number up to a bound; 0 and negative numbers mean the same as leaving it out.
pub(in crate::config) fn up_to<T>(max: u32) -> ValueKind<T>
where
    T: TryFrom<u32> + Into<Value> + Copy + 'static,
{
    let parse = move |text: &str| match parse_integer(text)? {
        -1 | 0 => Ok(NumberReading::LeftOut),
        number @ ..=0 => {
            let words = format!("{number} is taken for -1; write that, or remove the key");
            Ok(NumberReading::TakenAs(words))
        }
        number if number > i64::from(max) => {
            Err(format!("{number} is out of range: at most {max}"))
        }
        number => {
            let number = u32::try_from(number).ok().and_then(|it| it.try_into().ok());
            Ok(number.map_or(NumberReading::LeftOut, NumberReading::Value))
        }
    };
    let values = format!("whole number, at most {max}");
    ValueKind::number(values, parse, |value: &T| (*value).into())
}

/// A number per second; 0 and negative numbers mean the same as leaving it out.
pub(in crate::config) fn rate(max: f64) -> ValueKind<f64> {
    const MIN: f64 = 0.001;
    let parse = move |text: &str| {
        let rate = parse_number(text)?;
        if rate < 0.0 {
            let words = format!("{rate} is taken for 0, no limit; write that, or remove the key");
            return Ok(NumberReading::TakenAs(words));
        }
        if rate == 0.0 {
            return Ok(NumberReading::LeftOut);
        }
        if rate < MIN || rate > max {
            return Err(format!(
                "{rate} is out of range: {MIN} to {max}, or 0 for no limit"
            ));
        }
        Ok(NumberReading::Value(rate))
    };
    let values = format!("number, {MIN} to {max}");
    ValueKind::number(values, parse, |value| Value::from(*value))
}

/// A time with its unit, between two bounds. Where 0 is below the least, it asks for the default.
pub(in crate::config) fn time(min: Duration, max: Duration) -> ValueKind<Duration> {
    let parse = move |text: &str| {
        let time = duration::parse(text)?;
        time_within(time, min, max, duration::format)
    };
    ValueKind::number(time_values(min, max), parse, time_value)
}

/// A time between two bounds, or `unlimited`, which is shown without one.
pub(in crate::config) fn time_or_unlimited(
    min: Duration,
    max: Duration,
) -> ValueKind<Option<Duration>> {
    const UNLIMITED: &str = "unlimited";
    let parse = move |text: &str| {
        if text == UNLIMITED {
            return Ok(None);
        }
        let time = duration::parse(text)?;
        if time < min || time > max {
            let [min, max] = [min, max].map(duration::format);
            return Err(format!(
                "{text} is out of range: `{UNLIMITED}`, or from {min} to {max}"
            ));
        }
        Ok(Some(time))
    };
    ValueKind::scalar(time_values(min, max), parse, time_value).or_shown(UNLIMITED)
}

/// A number of seconds, fractions allowed, between two bounds. Where 0 is below the least, it asks
/// for the default.
pub(in crate::config) fn seconds(min: Duration, max: Duration) -> ValueKind<Duration> {
    let write = |time: Duration| time.as_secs_f64().to_string();
    let parse = move |text: &str| {
        let time = Duration::try_from_secs_f64(parse_number(text)?);
        let time = time.map_err(|_| "a time cannot be negative or endless".to_owned())?;
        time_within(time, min, max, write)
    };
    let values = format!("seconds, {} to {}", write(min), write(max));
    ValueKind::number(values, parse, seconds_value)
}

/// A whole number of seconds from 0 to a bound.
pub(in crate::config) fn whole_seconds(max: u64) -> ValueKind<Duration> {
    let ValueKind { read, .. } = integer::<u64>(0, max);
    let read = move |section: &Section<'_>, key| read(section, key).map(Duration::from_secs);
    ValueKind::new(format!("whole seconds, 0 to {max}"), read, seconds_value)
}

fn time_within(
    time: Duration,
    min: Duration,
    max: Duration,
    write: impl Fn(Duration) -> String,
) -> Result<NumberReading<Duration>, String> {
    if time.is_zero() && !min.is_zero() {
        return Ok(NumberReading::zero_for_default());
    }
    in_bounds(time, (min, max), write).map(NumberReading::Value)
}

fn time_values(min: Duration, max: Duration) -> String {
    let [min, max] = [min, max].map(duration::format);
    format!("duration, {min} to {max}")
}

fn time_value(time: &Duration) -> Value {
    Value::from(duration::format(*time))
}

/// Whole seconds without a point, as they are usually written.
fn seconds_value(time: &Duration) -> Value {
    match time.subsec_nanos() {
        0 => Value::from(time.as_secs()),
        _ => Value::from(time.as_secs_f64()),
    }
}
