//! What a metric is measured in: a unit of the facade, or one of the program's own.

use crate::error::Error;
use metrics::Unit;
use std::{fmt, str::FromStr};

/// What a metric is measured in.
///
/// As text it is one that the facade knows; one of your own is made by [`own`](Self::own), so that a typing error does not become a unit.
///
/// ```
/// use metrics_recall::MetricUnit;
/// use metrics::Unit;
///
/// assert_eq!("seconds".parse::<MetricUnit>()?, MetricUnit::Known(Unit::Seconds));
/// assert_eq!(MetricUnit::own("eur")?.as_str(), "eur");
/// let error = "secs".parse::<MetricUnit>().unwrap_err();
/// assert!(error.to_string().contains("`secs`"));
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricUnit {
    /// One that the facade knows, and that expositions write.
    Known(Unit),
    /// One of the program's own, which stands in the description.
    Own(String),
}

/// What the facade knows, as it writes them.
const KNOWN: [Unit; 17] = [
    Unit::Count,
    Unit::Percent,
    Unit::Seconds,
    Unit::Milliseconds,
    Unit::Microseconds,
    Unit::Nanoseconds,
    Unit::Tebibytes,
    Unit::Gibibytes,
    Unit::Mebibytes,
    Unit::Kibibytes,
    Unit::Bytes,
    Unit::TerabitsPerSecond,
    Unit::GigabitsPerSecond,
    Unit::MegabitsPerSecond,
    Unit::KilobitsPerSecond,
    Unit::BitsPerSecond,
    Unit::CountPerSecond,
];

impl MetricUnit {
    /// A unit of your own: `eur`, `pallets`, `kWh`.
    ///
    /// # Errors
    ///
    /// If it is empty, longer than 32 bytes, or has control characters.
    pub fn own(unit: impl Into<String>) -> Result<Self, Error> {
        let unit = unit.into();
        if unit.is_empty() || unit.len() > 32 || unit.chars().any(char::is_control) {
            return Err(Error::invalid(format!(
                "{unit:?} is no unit: 1 to 32 bytes without control characters"
            )));
        }
        Ok(Self::Own(unit))
    }

    /// As it is written: `seconds`, `eur`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(unit) => unit.as_str(),
            Self::Own(unit) => unit,
        }
    }

    pub(super) fn known(&self) -> Option<Unit> {
        match self {
            Self::Known(unit) => Some(*unit),
            Self::Own(_) => None,
        }
    }
}

impl FromStr for MetricUnit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let known = KNOWN.into_iter().find(|unit| unit.as_str() == text);
        known.map(Self::Known).ok_or_else(|| {
            let all: Vec<&str> = KNOWN.iter().map(Unit::as_str).collect();
            Error::invalid(format!(
                "`{}` is no unit: there are {}; `MetricUnit::own` makes another",
                text.escape_debug(),
                all.join(", ")
            ))
        })
    }
}

impl fmt::Display for MetricUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
