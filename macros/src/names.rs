//! Which names a metric and a label may have: what every exposition takes as it is.

/// What is wrong with the name of a metric, if something is.
pub fn metric(name: &str) -> Result<(), String> {
    if name.starts_with("recall_") {
        return Err(format!(
            "`{name}` is no name for a metric: those that begin with `recall_` are the store's own"
        ));
    }
    if is_name(name, |c| matches!(c, '_' | ':' | '.')) {
        return Ok(());
    }
    Err(format!(
        "`{name}` is no name for a metric: letters, digits, `_`, `:` and `.` make one, and no digit comes first"
    ))
}

/// What is wrong with the name of a metric that durations go to, which are in seconds.
pub fn duration(name: &str) -> Result<(), String> {
    metric(name)?;
    let last = name.rsplit(['_', '.']).next().unwrap_or_default();
    if last == "total" {
        return Err(format!(
            "`{name}` looks like a counter, and durations are a histogram: end it with `_seconds`"
        ));
    }
    if UNITS.contains(&last) {
        return Err(format!(
            "`{name}` ends with `{last}`, and durations are recorded in seconds: end it with `_seconds`"
        ));
    }
    Ok(())
}

/// Units of time that are not seconds, as names end with them.
const UNITS: [&str; 13] = [
    "ms",
    "millis",
    "milliseconds",
    "us",
    "micros",
    "microseconds",
    "ns",
    "nanos",
    "nanoseconds",
    "minutes",
    "mins",
    "hours",
    "days",
];

/// What is wrong with the name of a label, if something is.
pub fn label(name: &str) -> Result<(), String> {
    if matches!(name, "le" | "quantile" | "overflow") || name.starts_with("__") {
        return Err(format!(
            "`{name}` is no name for a label: `le`, `quantile`, `overflow` and what begins with `__` are taken"
        ));
    }
    if is_name(name, |c| matches!(c, '_' | '.')) {
        return Ok(());
    }
    Err(format!(
        "`{name}` is no name for a label: letters, digits, `_` and `.` make one, and no digit comes first"
    ))
}

fn is_name(name: &str, also: impl Fn(char) -> bool) -> bool {
    let digit_first = name.starts_with(|c: char| c.is_ascii_digit());
    !name.is_empty() && !digit_first && name.chars().all(|c| c.is_ascii_alphanumeric() || also(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_every_exposition_takes() {
        for good in [
            "a",
            "checkout_seconds",
            "http.server.duration",
            "job:rate5m",
            "_x9",
        ] {
            assert_eq!(metric(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "9lives",
            "with space",
            "münze",
            "a-b",
            "a{b}",
            "line\nbreak",
            "recall_x",
        ] {
            assert!(metric(bad).is_err(), "{bad}");
            assert!(metric(bad).unwrap_err().contains(bad), "{bad}");
        }
    }

    #[test]
    fn a_name_with_another_unit_is_refused() {
        for good in ["pay_seconds", "pay", "http.duration", "bananas"] {
            assert_eq!(duration(good), Ok(()), "{good}");
        }
        for bad in [
            "pay_ms",
            "pay.millis",
            "pay_total",
            "pay_seconds_total",
            "a b",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn labels_that_mean_something_already_are_taken() {
        for good in ["route", "status_code", "net.peer"] {
            assert_eq!(label(good), Ok(()), "{good}");
        }
        for bad in ["", "le", "quantile", "overflow", "__name__", "a:b", "1st"] {
            assert!(label(bad).is_err(), "{bad}");
        }
    }
}
