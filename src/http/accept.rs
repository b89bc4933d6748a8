//! What a client wants: `Accept` and `Accept-Encoding`, with their weights.

use crate::exposition::Format;

/// How a body goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
}

/// Elements that are looked at, of each header; clients send ten.
const MOST: usize = 64;

/// A weight in thousandths.
type Weight = u16;

/// An element of a list: the value, and its parameters.
struct Element<'a> {
    value: &'a str,
    parameters: &'a str,
    weight: Weight,
}

impl<'a> Element<'a> {
    /// `None`: the weight is none, and so the element says nothing.
    fn read(text: &'a str) -> Option<Self> {
        let (value, parameters) = text.split_once(';').unwrap_or((text, ""));
        let mut element = Self {
            value: value.trim(),
            parameters,
            weight: 1000,
        };
        if let Some(q) = element.parameter("q") {
            element.weight = weight(q)?;
        }
        (!element.value.is_empty()).then_some(element)
    }

    fn is(&self, value: &str) -> bool {
        self.value.eq_ignore_ascii_case(value)
    }

    /// The value of a parameter, without its quotes.
    fn parameter(&self, name: &str) -> Option<&'a str> {
        let mut pairs = self
            .parameters
            .split(';')
            .filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(known, _)| known.trim().eq_ignore_ascii_case(name))?;
        Some(value.trim().trim_matches('"'))
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.parameter(name)
            .is_some_and(|given| given.eq_ignore_ascii_case(value))
    }

    /// The format that a media range asks for, and how precisely it does.
    fn format(&self) -> Option<(Format, Precision)> {
        let version = self.parameter("version");
        if self.is("text/plain") {
            return match version {
                None => Some((Format::Text, Precision::Type)),
                Some("0.0.4") => Some((Format::Text, Precision::Version)),
                Some("1.0.0") if self.has("escaping", "allow-utf-8") => {
                    Some((Format::TextUtf8, Precision::Version))
                }
                Some(_) => None,
            };
        }
        if self.is("application/openmetrics-text") {
            let is_known = matches!(version, None | Some("1.0.0"));
            return is_known.then_some((Format::OpenMetrics, Precision::Version));
        }
        #[cfg(feature = "protobuf")]
        if self.is("application/vnd.google.protobuf") {
            let is_known = self.has("proto", "io.prometheus.client.MetricFamily")
                && self.has("encoding", "delimited");
            return is_known.then_some((Format::Protobuf, Precision::Version));
        }
        if self.is("application/json") {
            return Some((Format::Json, Precision::Type));
        }
        if self.is("text/*") {
            return Some((Format::Text, Precision::Group));
        }
        self.is("*/*").then_some((Format::Text, Precision::Any))
    }
}

/// How much of a format a media range names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Precision {
    Any,
    Group,
    Type,
    Version,
}

/// `0`, `0.5`, `1.000`: at most three digits behind the point, at most 1.
fn weight(text: &str) -> Option<Weight> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
    if !is_number || !matches!(whole, "0" | "1") {
        return None;
    }
    let digits = part.bytes().chain(std::iter::repeat(b'0')).take(3);
    let part = digits.fold(0, |n, digit| n * 10 + Weight::from(digit - b'0'));
    let weight = if whole == "1" { 1000 + part } else { part };
    (weight <= 1000).then_some(weight)
}

fn elements(header: &str) -> impl Iterator<Item = Element<'_>> {
    header.split(',').take(MOST).filter_map(Element::read)
}

/// The format of the exposition: of those that are wanted, the one with the greatest weight; of equal ones the most precisely
/// wanted, then the first. Text 0.0.4 if nothing fits: to be read wrongly by somebody who said nothing sensible is better
/// than to be refused by a monitoring system in the middle of an incident.
pub(crate) fn format(accept: &str) -> Format {
    let mut best = (0, Precision::Any, Format::Text);
    for element in elements(accept) {
        if let Some((format, precision)) = element.format()
            && element.weight > 0
            && (element.weight, precision) > (best.0, best.1)
        {
            best = (element.weight, precision, format);
        }
    }
    best.2
}

/// Whether a page is wanted rather than text: the mark of a browser.
pub(super) fn wants_html(accept: &str) -> bool {
    let of = |value: &str| {
        elements(accept)
            .find(|element| element.is(value))
            .map(|element| element.weight)
    };
    let html = of("text/html").unwrap_or(0);
    html > 0 && html >= of("text/plain").unwrap_or(0)
}

/// Gzip if it is wanted no less than none.
pub(crate) fn encoding(accept_encoding: &str) -> Encoding {
    let of = |value: &str| {
        elements(accept_encoding)
            .find(|element| element.is(value))
            .map(|element| element.weight)
    };
    let any = of("*");
    let gzip = of("gzip").or(of("x-gzip")).or(any).unwrap_or(0);
    let identity = of("identity")
        .or(any.filter(|weight| *weight == 0))
        .unwrap_or(1);
    if gzip > 0 && gzip >= identity {
        Encoding::Gzip
    } else {
        Encoding::Identity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write;

    #[cfg(feature = "protobuf")]
    const NATIVE: Format = Format::Protobuf;
    #[cfg(not(feature = "protobuf"))]
    const NATIVE: Format = Format::OpenMetrics;

    const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    const PROMETHEUS_3_NATIVE: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    const PROMETHEUS_2: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    const PROMETHEUS_2_NATIVE: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    const FIREFOX: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    #[test]
    fn each_scraper_gets_the_best_that_it_reads() {
        for (accept, wanted) in [
            (PROMETHEUS_3, Format::OpenMetrics),
            (PROMETHEUS_3_NATIVE, NATIVE),
            (PROMETHEUS_2, Format::OpenMetrics),
            (PROMETHEUS_2_NATIVE, NATIVE),
            (FIREFOX, Format::Text),
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/plain", Format::Text),
            ("application/json", Format::Json),
            (
                "text/plain;version=0.0.4;q=0.5,text/plain; version=\"1.0.0\" ; escaping = allow-utf-8;q=0.7",
                Format::TextUtf8,
            ),
            (
                "text/plain;version=1.0.0;escaping=underscores,*/*;q=0.1",
                Format::Text,
            ),
            (
                "TEXT/PLAIN;Version=0.0.4;Q=0.9, Application/JSON;q=0.8",
                Format::Text,
            ),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("application/openmetrics-text;version=0.0.1", Format::Text),
            (
                "application/openmetrics-text;version=2.0.0,text/plain;q=0.1",
                Format::Text,
            ),
            (
                "application/vnd.google.protobuf;proto=other.Message;encoding=delimited",
                Format::Text,
            ),
            ("application/openmetrics-text;q=0", Format::Text),
            (
                "application/json;q=2,application/openmetrics-text;q=0.001",
                Format::OpenMetrics,
            ),
            ("*/*,application/json", Format::Json),
            ("image/png", Format::Text),
            (";;;,,,=;q=,q=1", Format::Text),
        ] {
            assert_eq!(format(accept), wanted, "{accept}");
        }
    }

    #[test]
    fn browsers_get_a_page_and_everything_else_text() {
        for (accept, html) in [
            (FIREFOX, true),
            ("text/html", true),
            ("*/*", false),
            ("", false),
            (PROMETHEUS_3, false),
            ("text/html;q=0", false),
            ("text/plain, text/html;q=0.5", false),
            ("text/html;q=0.5, text/plain;q=0.5", true),
        ] {
            assert_eq!(wants_html(accept), html, "{accept}");
        }
    }

    #[test]
    fn gzip_is_for_those_who_want_it() {
        for (accept, gzip) in [
            ("gzip", true),
            ("x-gzip", true),
            ("GZIP;q=0.1", true),
            ("gzip, deflate, br, zstd", true),
            ("*", true),
            ("gzip;q=1.0, identity; q=0.5, *;q=0", true),
            ("gzip;q=0.5, identity", false),
            ("gzip;q=0", false),
            ("*;q=0", false),
            ("gzip;q=0, *", false),
            ("identity", false),
            ("br", false),
            ("", false),
            ("gzipped", false),
        ] {
            let wanted = if gzip {
                Encoding::Gzip
            } else {
                Encoding::Identity
            };
            assert_eq!(encoding(accept), wanted, "{accept}");
        }
    }

    #[test]
    fn weights_are_those_of_the_rfc() {
        for (text, weighs) in [
            ("0", Some(0)),
            ("1", Some(1000)),
            ("0.5", Some(500)),
            ("0.05", Some(50)),
            ("0.001", Some(1)),
            ("1.000", Some(1000)),
            ("0.", Some(0)),
            ("1.001", None),
            ("2", None),
            ("-1", None),
            ("0.0001", None),
            ("", None),
            (".5", None),
            ("1e0", None),
            ("nan", None),
            ("0,5", None),
        ] {
            assert_eq!(weight(text), weighs, "{text}");
        }
    }

    /// What may be asked for, precisely or not, and the format of it.
    const RANGES: [(&str, Format, u8); 7] = [
        ("*/*", Format::Text, 0),
        ("text/*", Format::Text, 1),
        ("text/plain", Format::Text, 2),
        ("application/json", Format::Json, 2),
        ("text/plain;version=0.0.4", Format::Text, 3),
        (
            "text/plain;version=1.0.0;escaping=allow-utf-8",
            Format::TextUtf8,
            3,
        ),
        (
            "application/openmetrics-text;version=1.0.0",
            Format::OpenMetrics,
            3,
        ),
    ];

    proptest! {
        /// Against a sorted list: whatever the order, the spaces and what is unknown between them.
        #[test]
        fn the_greatest_weight_wins(
            wanted in prop::collection::vec((0..RANGES.len(), 0u16..=1000, any::<bool>()), 0..12),
        ) {
            let mut header = String::new();
            for (at, weight, is_spaced) in &wanted {
                let gap = if *is_spaced { " " } else { "" };
                let q = f64::from(*weight) / 1000.0;
                let _ = write!(header, "{}{gap};{gap}q={q:.3}{gap},{gap}image/*;q=1,", RANGES[*at].0);
            }
            let mut sorted: Vec<_> = wanted.iter().filter(|wanted| wanted.1 > 0).collect();
            sorted.sort_by_key(|(at, weight, _)| std::cmp::Reverse((*weight, RANGES[*at].2)));
            let first = sorted.first().map_or(Format::Text, |(at, ..)| RANGES[*at].1);
            prop_assert_eq!(format(&header), first, "{}", header);
        }

        #[test]
        fn any_text_is_an_answer(text in "\\PC*") {
            let _ = (format(&text), encoding(&text), wants_html(&text));
        }
    }
}
