//! What a program measures, declared in one place: name, kind, unit and description. Works with any recorder.

mod declare;
mod unit;

pub use self::{
    declare::{declared, labelled},
    unit::MetricUnit,
};

use crate::error::Error;
use metrics::Unit;
use std::fmt;

/// Metrics with their kind, unit and description, to be told to the recorder at the start.
///
/// [`catalogue!`](crate::catalogue!) declares one when the names are known to the program; this is for those that come from elsewhere, such as
/// a configuration. Shown as a table.
///
/// ```
/// use metrics_recall::{Catalogue, MetricUnit};
/// use metrics::Unit;
///
/// let catalogue = Catalogue::new()
///     .counter("orders_total", Unit::Count, "orders that were paid")?
///     .histogram("order_value", MetricUnit::own("eur")?, "what an order was worth")?
///     .gauge("cpu_load", "percent".parse::<MetricUnit>()?, "how busy the machine is")?;
/// catalogue.register();
///
/// let error = Catalogue::new().counter("orders total", Unit::Count, "").unwrap_err();
/// assert!(error.to_string().contains("orders total"));
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalogue(Vec<Declared>);

/// A metric of a [`Catalogue`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// `"counter"`, `"gauge"` or `"histogram"`.
    pub kind: &'static str,
    /// What it is measured in.
    pub unit: MetricUnit,
    /// What it says.
    pub description: String,
}

impl Catalogue {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares a counter.
    ///
    /// # Errors
    ///
    /// If the name has other characters than letters, digits, `_`, `:` and `.`, begins with a digit or with `recall_`, or is declared
    /// already.
    pub fn counter(
        self,
        name: &str,
        unit: impl Into<MetricUnit>,
        description: &str,
    ) -> Result<Self, Error> {
        self.add("counter", name, unit.into(), description)
    }

    /// Declares a gauge.
    ///
    /// # Errors
    ///
    /// As [`counter`](Self::counter).
    pub fn gauge(
        self,
        name: &str,
        unit: impl Into<MetricUnit>,
        description: &str,
    ) -> Result<Self, Error> {
        self.add("gauge", name, unit.into(), description)
    }

    /// Declares a histogram.
    ///
    /// # Errors
    ///
    /// As [`counter`](Self::counter).
    pub fn histogram(
        self,
        name: &str,
        unit: impl Into<MetricUnit>,
        description: &str,
    ) -> Result<Self, Error> {
        self.add("histogram", name, unit.into(), description)
    }

    fn add(
        mut self,
        kind: &'static str,
        name: &str,
        unit: MetricUnit,
        description: &str,
    ) -> Result<Self, Error> {
        if !is_name(name) {
            return Err(Error::invalid(format!(
                "{name:?} is no name for a metric: letters, digits, `_`, `:` and `.` make one, and neither a digit nor `recall_` comes first"
            )));
        }
        if let Some(other) = self.0.iter().find(|other| other.name == name) {
            let earlier = other.kind;
            return Err(Error::invalid(format!(
                "`{name}` is declared twice: as a {earlier} and as a {kind}"
            )));
        }
        self.0.push(Declared {
            name: name.to_owned(),
            kind,
            unit,
            description: description.to_owned(),
        });
        Ok(self)
    }

    /// What is declared, in order.
    #[must_use]
    pub fn metrics(&self) -> &[Declared] {
        &self.0
    }

    /// Tells the recorder that is in place all units and descriptions: at the start, once it is installed. Twice does no harm.
    pub fn register(&self) {
        metrics::with_recorder(|recorder| {
            for metric in &self.0 {
                let (name, unit) = (metric.name.clone().into(), metric.unit.known());
                let description = metric.described().into();
                match metric.kind {
                    "counter" => recorder.describe_counter(name, unit, description),
                    "gauge" => recorder.describe_gauge(name, unit, description),
                    _ => recorder.describe_histogram(name, unit, description),
                }
            }
        });
    }
}

impl Declared {
    /// The description; with the unit, where the facade has none for it.
    fn described(&self) -> String {
        match &self.unit {
            MetricUnit::Known(_) => self.description.clone(),
            MetricUnit::Own(unit) => format!("{}, in {unit}", self.description),
        }
    }
}

/// Whether every exposition takes it as it is, and the store does not use it itself.
#[must_use]
pub const fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes[0].is_ascii_digit() {
        return false;
    }
    let mut i = 0;
    while i < bytes.len() {
        if !bytes[i].is_ascii_alphanumeric() && !matches!(bytes[i], b'_' | b':' | b'.') {
            return false;
        }
        i += 1;
    }
    !begins_with(bytes, b"recall_")
}

const fn begins_with(bytes: &[u8], prefix: &[u8]) -> bool {
    let mut i = 0;
    while i < prefix.len() {
        if i >= bytes.len() || bytes[i] != prefix[i] {
            return false;
        }
        i += 1;
    }
    true
}

impl From<Unit> for MetricUnit {
    fn from(unit: Unit) -> Self {
        Self::Known(unit)
    }
}

impl fmt::Display for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |of: fn(&Declared) -> usize| self.0.iter().map(of).max().unwrap_or(0);
        let name = width(|metric| metric.name.len());
        let unit = width(|metric| metric.unit.as_str().len());
        for metric in &self.0 {
            let (kind, text) = (metric.kind, &metric.description);
            let (named, measured) = (&metric.name, metric.unit.as_str());
            writeln!(f, "{named:name$}  {kind:9}  {measured:unit$}  {text}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
