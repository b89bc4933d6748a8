//! Numbers as text, as Go and Prometheus write them.

/// As Go's `%v`: the shortest digits, with an exponent below 1e-4 and from 1e21 on.
pub(crate) fn go(value: f64) -> String {
    match special(value) {
        Some(text) => text.to_owned(),
        None => with_exponent(&format!("{value:e}"), 21),
    }
}

fn special(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value == f64::INFINITY {
        Some("+Inf")
    } else if value == f64::NEG_INFINITY {
        Some("-Inf")
    } else {
        None
    }
}

/// As Go's `%.{digits}g`.
pub(crate) fn short(value: f64, digits: usize) -> String {
    if let Some(text) = special(value) {
        return text.to_owned();
    }
    let digits = digits.max(1);
    let text = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = if mantissa.contains('.') {
        mantissa.trim_end_matches('0').trim_end_matches('.')
    } else {
        mantissa
    };
    let most = i32::try_from(digits).unwrap_or(i32::MAX);
    with_exponent(&format!("{mantissa}e{exponent}"), most)
}

/// As Go's `%.{digits}e`.
pub(crate) fn exponent(value: f64, digits: usize) -> String {
    match special(value) {
        Some(text) => text.to_owned(),
        None => signed_exponent(&format!("{value:.digits$e}")),
    }
}

/// As Go's `%.{digits}f`.
pub(crate) fn fixed(value: f64, digits: usize) -> String {
    match special(value) {
        Some(text) => text.to_owned(),
        None => format!("{value:.digits$}"),
    }
}

/// Go's exponents have a sign and two digits.
fn signed_exponent(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// Writes `d.ddde±x` without an exponent, unless that is below -4 or at least `most`.
fn with_exponent(text: &str, most: i32) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= most {
        return signed_exponent(text);
    }
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let Ok(whole) = usize::try_from(exponent) else {
        let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
        return format!("{sign}0.{}{digits}", "0".repeat(zeros));
    };
    if digits.len() <= whole + 1 {
        let zeros = "0".repeat(whole + 1 - digits.len());
        return format!("{sign}{digits}{zeros}");
    }
    let (whole, fraction) = digits.split_at(whole + 1);
    format!("{sign}{whole}.{fraction}")
}

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];
const BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];

/// `value` divided by `by`, at most eight times, until it is below; and the prefix for that.
fn scaled(mut value: f64, by: f64, prefixes: &[&'static str]) -> (f64, &'static str) {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < by {
            break;
        }
        prefix = next;
        value /= by;
    }
    (value, prefix)
}

/// `value` times 1000, at most eight times, until it is 1 or more; and the prefix for that.
fn magnified(mut value: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    (value, prefix)
}

/// `1.235M`, `12m`.
pub(crate) fn humanize(value: f64) -> String {
    let (value, prefix) = if value == 0.0 || !value.is_finite() {
        (value, "")
    } else if value.abs() >= 1.0 {
        scaled(value, 1000.0, &LARGE)
    } else {
        magnified(value)
    };
    format!("{}{prefix}", short(value, 4))
}

/// `1.2Mi`.
pub(crate) fn humanize1024(value: f64) -> String {
    let (value, prefix) = if value.abs() <= 1.0 || !value.is_finite() {
        (value, "")
    } else {
        scaled(value, 1024.0, &BINARY)
    };
    format!("{}{prefix}", short(value, 4))
}

/// Of seconds: `1h 2m 3s`, `12ms`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "whole seconds, as Go does; floats saturate"
)]
pub(crate) fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return short(value, 4);
    }
    if value == 0.0 {
        return format!("{}s", short(value, 4));
    }
    if value.abs() < 1.0 {
        let (value, prefix) = magnified(value);
        return format!("{}{prefix}s", short(value, 4));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let value = value.abs();
    let whole = value as i64;
    let [seconds, minutes, hours] = [whole % 60, whole / 60 % 60, whole / 3600 % 24];
    match whole / 86_400 {
        0 if hours != 0 => format!("{sign}{hours}h {minutes}m {seconds}s"),
        0 if minutes != 0 => format!("{sign}{minutes}m {seconds}s"),
        0 => format!("{sign}{}s", short(value, 4)),
        days => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    }
}

/// Of a ratio: `12.35%`.
pub(crate) fn humanize_percentage(value: f64) -> String {
    format!("{}%", short(value * 100.0, 4))
}

/// Of seconds since the Unix epoch: `2026-01-01 00:00:00 +0000 UTC`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "milliseconds, as Prometheus does; out of range is text before"
)]
pub(crate) fn humanize_timestamp(value: f64) -> String {
    // What a Go duration of nanoseconds can hold.
    if !value.is_finite() || value.abs() > 9.2e9 {
        return short(value, 4);
    }
    let ms = ((value * 1e9) as i64) / 1_000_000;
    let (second, milli) = (ms.div_euclid(1000), ms.rem_euclid(1000));
    let (year, month, day) = date(second.div_euclid(86_400));
    let of_day = second.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let fraction = match milli {
        0 => String::new(),
        milli => format!(".{milli:03}").trim_end_matches('0').to_owned(),
    };
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction} +0000 UTC")
}

/// Year, month and day of a day since 1970-01-01, by counting the years from March on.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `promtool` 2.42 writes for these.
    #[test]
    fn values_are_written_as_go_writes_them() {
        for (value, expected) in [
            (0.0, "0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (123_456_789.0, "123456789"),
            (-1.25e-7, "-1.25e-07"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(go(value), expected);
        }
    }

    #[test]
    fn humanized_numbers_are_those_of_prometheus() {
        for (value, plain, binary, duration, percentage) in [
            (0.0, "0", "0", "0s", "0%"),
            (1.0, "1", "1", "1s", "100%"),
            (
                1_234_567.0,
                "1.235M",
                "1.177Mi",
                "14d 6h 56m 7s",
                "1.235e+08%",
            ),
            (0.12, "120m", "0.12", "120ms", "12%"),
            (-0.12, "-120m", "-0.12", "-120ms", "-12%"),
            (61.0, "61", "61", "1m 1s", "6100%"),
            (1024.0, "1.024k", "1ki", "17m 4s", "1.024e+05%"),
            (999_960.0, "1000k", "976.5ki", "11d 13h 46m 0s", "1e+08%"),
            (12.345_678, "12.35", "12.35", "12.35s", "1235%"),
            (f64::INFINITY, "+Inf", "+Inf", "+Inf", "+Inf%"),
        ] {
            assert_eq!(humanize(value), plain, "{value}");
            assert_eq!(humanize1024(value), binary, "{value}");
            assert_eq!(humanize_duration(value), duration, "{value}");
            assert_eq!(humanize_percentage(value), percentage, "{value}");
        }
    }

    #[test]
    fn timestamps_are_dates_in_utc() {
        for (value, expected) in [
            (0.0, "1970-01-01 00:00:00 +0000 UTC"),
            (1_767_225_600.0, "2026-01-01 00:00:00 +0000 UTC"),
            (1_709_210_096.5, "2024-02-29 12:34:56.5 +0000 UTC"),
            (-1.0, "1969-12-31 23:59:59 +0000 UTC"),
            (1e12, "1e+12"),
        ] {
            assert_eq!(humanize_timestamp(value), expected);
        }
    }
}
