//! What an encoder is given, and the formats that there are.

use crate::model::family::{Seen, Value};

/// A form in which metrics leave the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Prometheus text 0.0.4, which every scraper reads. Characters that it does not allow in names become `_`.
    Text,
    /// Prometheus text 1.0.0: names are what they are, quoted if need be. For Prometheus 3 and later.
    TextUtf8,
    /// `OpenMetrics` text 1.0, with units. Names are as in [`Format::Text`].
    OpenMetrics,
    /// One JSON document: `[{"name", "type", "help", "unit", "series": [{"labels", ..}]}]`, names as they are. What JSON
    /// has no number for is a string: `"NaN"`, `"+Inf"`, `"-Inf"`.
    Json,
    /// Length-delimited `io.prometheus.client.MetricFamily` messages, the only format with native histograms. Names are
    /// as in [`Format::Text`].
    #[cfg(feature = "protobuf")]
    Protobuf,
}

impl Format {
    /// The `Content-Type` under which a scraper knows the format.
    ///
    /// ```
    /// use metrics_recall::Format;
    ///
    /// assert_eq!(Format::Text.content_type(), "text/plain; version=0.0.4; charset=utf-8");
    /// ```
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::TextUtf8 => "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
            Format::OpenMetrics => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
            }
            Format::Json => "application/json",
            #[cfg(feature = "protobuf")]
            Format::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// Whether names may be any text.
    pub(crate) fn is_utf8(self) -> bool {
        matches!(self, Format::TextUtf8 | Format::Json)
    }

    /// Whether it can carry native histograms.
    pub(crate) fn has_native(self) -> bool {
        match self {
            #[cfg(feature = "protobuf")]
            Format::Protobuf => true,
            _ => false,
        }
    }
}

/// Labels of all series that have none of that name, by name.
pub(crate) type Globals = Box<[(Box<str>, Box<str>)]>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FamilyKind {
    Counter,
    Gauge,
    Histogram,
    Summary,
}

impl FamilyKind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }

    /// The label that its samples have of themselves.
    pub(crate) fn own_label(self) -> Option<&'static str> {
        match self {
            Self::Counter | Self::Gauge => None,
            Self::Histogram => Some("le"),
            Self::Summary => Some("quantile"),
        }
    }
}

/// Series that share a name, a kind and a description.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Family {
    /// Without the suffix of any sample; of counters without `_total`.
    pub(crate) name: String,
    /// Behind the name, in the name of a counter's samples: `_total`, or nothing.
    pub(crate) suffix: &'static str,
    pub(crate) kind: FamilyKind,
    pub(crate) help: Option<Box<str>>,
    pub(crate) unit: Option<&'static str>,
    /// Place of the metric among those that were given.
    pub(crate) metric: usize,
}

/// A form. Families and their series come one after the other; `out` only ever grows, and whoever calls may empty it
/// between two calls.
pub(crate) trait Encode {
    fn begin(&mut self, out: &mut Vec<u8>);
    fn family(&mut self, family: &Family, out: &mut Vec<u8>);
    fn series(&mut self, family: &Family, seen: Seen<'_>, value: Value<'_>, out: &mut Vec<u8>);
    fn family_end(&mut self, family: &Family, out: &mut Vec<u8>);
    fn end(&mut self, out: &mut Vec<u8>);
}
