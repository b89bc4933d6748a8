//! How bad it is.

use crate::error::Error;
use std::{fmt, str::FromStr};

/// How bad it is when a rule's condition holds; ordered.
///
/// ```
/// use metrics_recall::Severity;
///
/// assert!(Severity::Critical > Severity::Warning);
/// assert_eq!("error".parse::<Severity>()?, Severity::Error);
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look at it when there is time. The default.
    #[default]
    Warning,
    /// Something does not work.
    Error,
    /// Somebody should be woken.
    Critical,
}

const NAMES: [(Severity, &str); 4] = [
    (Severity::Info, "info"),
    (Severity::Warning, "warning"),
    (Severity::Error, "error"),
    (Severity::Critical, "critical"),
];

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(severity, _)| severity == self);
        f.pad(name.map_or("", |(_, name)| name))
    }
}

impl FromStr for Severity {
    type Err = Error;

    /// In any case.
    fn from_str(text: &str) -> Result<Self, Error> {
        let known = NAMES
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(text));
        known.map(|(severity, _)| *severity).ok_or_else(|| {
            Error::invalid(format!(
                "severity `{text}`: allowed are info, warning, error, critical"
            ))
        })
    }
}
