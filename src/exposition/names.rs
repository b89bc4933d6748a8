//! From the names of metrics to the names of families: legal ones, with the usual suffixes, each for one metric only.
//!
//! A metric whose name is taken by another gets a name that tells it apart: nothing is merged and nothing is lost, and
//! [`Renamed`] says what happened.

use super::family::{Family, FamilyKind};
use crate::model::{MetricKind, family::Metric, shape::Shape};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    fmt::Write,
};

/// How names are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Any text may be a name.
    pub(crate) is_utf8: bool,
    /// No suffixes but those that a format demands.
    pub(crate) is_plain: bool,
    /// Counters' samples must end in `_total`.
    pub(crate) needs_total: bool,
}

/// A metric that could not have the name that its own would have given it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Renamed {
    /// Place of the metric.
    pub(crate) metric: usize,
    /// Place of the metric that has the name.
    pub(crate) holder: usize,
    pub(crate) wanted: String,
    pub(crate) given: String,
}

/// Families in the order of their names, and those that did not get the name that they wanted.
pub(crate) fn families(metrics: &[Metric], style: Style) -> (Vec<Family>, Vec<Renamed>) {
    let mut order: Vec<usize> = (0..metrics.len()).collect();
    // Whoever is called so already comes first.
    order.sort_by_key(|at| metrics.get(*at).is_some_and(|m| !is_metric_name(&m.name)));
    let mut taken: HashMap<String, usize> = HashMap::new();
    let mut families = Vec::with_capacity(metrics.len());
    let mut renamed = Vec::new();
    for at in order {
        let Some(metric) = metrics.get(at) else {
            continue;
        };
        let mut family = family(metric, at, style);
        let mut holder = holder(&taken, &family);
        let wanted = family.name.clone();
        let mut others = others(&family, metric, style);
        while let (Some(by), Some(other)) = (holder, others.next()) {
            family.name = other;
            holder = self::holder(&taken, &family);
            if holder.is_none() {
                renamed.push(Renamed {
                    metric: at,
                    holder: by,
                    wanted: format!("{wanted}{}", family.suffix),
                    given: format!("{}{}", family.name, family.suffix),
                });
            }
        }
        for name in samples(&family) {
            taken.insert(name, at);
        }
        families.push(family);
    }
    families.sort_by(|a, b| (&a.name, a.kind).cmp(&(&b.name, b.kind)));
    (families, renamed)
}

/// Names to try when one is taken, without end.
fn others(family: &Family, metric: &Metric, style: Style) -> impl Iterator<Item = String> + use<> {
    let by_kind = format!("{}_{}", family.name, family.kind.word());
    let by_value = (!style.is_utf8).then(|| escaped(&metric.name));
    let base = family.name.clone();
    let numbered = (2u64..).map(move |n| format!("{base}_{n}"));
    let exact = by_value.filter(|_| !is_metric_name(&metric.name));
    exact.into_iter().chain([by_kind]).chain(numbered)
}

fn holder(taken: &HashMap<String, usize>, family: &Family) -> Option<usize> {
    samples(family).find_map(|name| taken.get(&name).copied())
}

/// Every name that a scraper may see of a family.
fn samples(family: &Family) -> impl Iterator<Item = String> {
    let ends: &[&str] = match family.kind {
        FamilyKind::Counter => &["", "_total", "_created"],
        FamilyKind::Gauge => &[""],
        FamilyKind::Histogram => &["", "_bucket", "_sum", "_count", "_created"],
        FamilyKind::Summary => &["", "_sum", "_count", "_created"],
    };
    ends.iter().map(|end| format!("{}{end}", family.name))
}

fn family(metric: &Metric, at: usize, style: Style) -> Family {
    let mut name = if style.is_utf8 && is_quotable(&metric.name) {
        metric.name.to_string()
    } else {
        metric_name(&metric.name).into_owned()
    };
    let kind = match (metric.kind, &metric.shape) {
        (MetricKind::Counter, _) => FamilyKind::Counter,
        (MetricKind::Gauge, _) => FamilyKind::Gauge,
        (MetricKind::Histogram, Shape::Summary(_)) => FamilyKind::Summary,
        (MetricKind::Histogram, _) => FamilyKind::Histogram,
    };
    let mut suffix = "";
    if kind == FamilyKind::Counter {
        let base = name.strip_suffix("_total").filter(|base| !base.is_empty());
        if let Some(base) = base.map(str::to_owned) {
            name = base;
            suffix = "_total";
        } else if style.needs_total || !style.is_plain {
            suffix = "_total";
        }
    }
    let unit = metric.unit.and_then(unit_suffix);
    if let (Some(unit), false) = (unit, style.is_plain)
        && !ends_in(&name, unit)
    {
        name.push('_');
        name.push_str(unit);
    }
    Family {
        unit: unit.filter(|unit| ends_in(&name, unit)),
        name,
        suffix,
        kind,
        help: metric.help.clone(),
        metric: at,
    }
}

fn ends_in(name: &str, unit: &str) -> bool {
    let rest = name.strip_suffix(unit);
    rest.is_some_and(|rest| rest.ends_with('_'))
}

/// What a unit of the facade is called at the end of a name.
fn unit_suffix(unit: &'static str) -> Option<&'static str> {
    match unit {
        "count" => None,
        "count_per_second" => Some("per_second"),
        other => Some(other),
    }
}

/// Whether Prometheus has always allowed this as the name of a metric.
pub(super) fn is_metric_name(name: &str) -> bool {
    is_name(name, |c| c == b':')
}

/// Whether Prometheus has always allowed this as the name of a label.
pub(super) fn is_label_name(name: &str) -> bool {
    is_name(name, |_| false)
}

/// Whether this is a name where names may be any text. Prometheus 3.5 fails a scrape with a NUL in a name.
fn is_quotable(name: &str) -> bool {
    !name.is_empty() && !name.contains('\0')
}

fn is_name(name: &str, also: impl Fn(u8) -> bool) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next();
    first.is_some_and(|c| c.is_ascii_alphabetic() || c == b'_' || also(c))
        && bytes.all(|c| c.is_ascii_alphanumeric() || c == b'_' || also(c))
}

/// The legal name that is most like `name`.
pub(crate) fn metric_name(name: &str) -> Cow<'_, str> {
    legal(name, |c| c == ':')
}

/// The legal name of a label that is most like `name`.
pub(crate) fn label_name(name: &str) -> Cow<'_, str> {
    legal(name, |_| false)
}

fn legal(name: &str, also: impl Fn(char) -> bool + Copy) -> Cow<'_, str> {
    if is_name(name, |c| also(char::from(c))) {
        return Cow::Borrowed(name);
    }
    let mut text = String::with_capacity(name.len() + 1);
    if name.chars().next().is_none_or(|c| c.is_ascii_digit()) {
        text.push('_');
    }
    let keep = |c: char| c.is_ascii_alphanumeric() || c == '_' || also(c);
    text.extend(name.chars().map(|c| if keep(c) { c } else { '_' }));
    Cow::Owned(text)
}

/// Prometheus' escaping of values, which no two names share: `a.b` is `U__a_2e_b`.
pub(super) fn escaped(name: &str) -> String {
    let mut text = String::from("U__");
    for c in name.chars() {
        match c {
            '_' => text.push_str("__"),
            c if c.is_ascii_alphanumeric() => text.push(c),
            c => {
                // A string is a writer that never fails.
                let _ = write!(text, "_{:x}_", u32::from(c));
            }
        }
    }
    text
}

/// Names of a series' labels that are legal, not `own`, and each there once. `None`: they are so already.
pub(super) fn label_names<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
    own: Option<&str>,
    is_utf8: bool,
) -> Option<Vec<Cow<'a, str>>> {
    let fits = |name: &str| {
        !is_reserved(name, own) && (is_utf8 && is_quotable(name) || is_label_name(name))
    };
    if names.clone().all(fits) {
        return None;
    }
    // Those that stay what they are have their names; the others make way.
    let mut taken: HashSet<String> = names
        .clone()
        .filter(|name| fits(name))
        .map(str::to_owned)
        .collect();
    let rename = |name: &'a str| {
        if fits(name) {
            return Cow::Borrowed(name);
        }
        let plain = if is_utf8 && is_quotable(name) {
            Cow::Borrowed(name)
        } else {
            label_name(name)
        };
        let first = if is_reserved(&plain, own) {
            format!("exported_{plain}")
        } else {
            plain.into_owned()
        };
        let base = first.clone();
        let numbered = (2u64..).map(|n| format!("{base}_{n}"));
        let mut tries = [first].into_iter().chain([escaped(name)]).chain(numbered);
        let new = tries.find(|new| taken.insert(new.clone()));
        Cow::Owned(new.unwrap_or_default())
    };
    Some(names.map(rename).collect())
}

/// Names with two underscores in front are Prometheus' own.
fn is_reserved(name: &str, own: Option<&str>) -> bool {
    name.starts_with("__") || own == Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const USUAL: Style = Style {
        is_utf8: false,
        is_plain: false,
        needs_total: false,
    };

    fn metric(name: &str, kind: MetricKind) -> Metric {
        Metric {
            name: name.into(),
            kind,
            unit: None,
            help: None,
            shape: Shape::default(),
            is_of_store: false,
        }
    }

    #[test]
    fn names_that_meet_are_told_apart() {
        let metrics = [
            metric("a.b", MetricKind::Gauge),
            metric("a_b", MetricKind::Gauge),
            metric("a b", MetricKind::Gauge),
            metric("a_b", MetricKind::Histogram),
        ];
        let (families, renamed) = families(&metrics, USUAL);
        let names: Vec<_> = families.iter().map(|f| (f.metric, &*f.name)).collect();
        assert_eq!(
            names,
            [
                (2, "U__a_20_b"),
                (0, "U__a_2e_b"),
                (1, "a_b"),
                (3, "a_b_histogram")
            ]
        );
        assert_eq!(renamed.len(), 3);
        assert!(renamed.iter().all(|r| r.wanted == "a_b" && r.holder == 1));
    }

    #[test]
    fn a_label_that_a_format_needs_for_itself_is_exported() {
        let names = ["le", "__name__", "ok"];
        let new = label_names(names.into_iter(), Some("le"), false).expect("other names");
        assert_eq!(new, ["exported_le", "exported___name__", "ok"]);
    }

    proptest! {
        #[test]
        fn no_two_families_share_a_sample(names in proptest::collection::vec(
            ("([a._ ]|total|count|sum|bucket|_){0,6}", 0..3usize), 0..12)
        ) {
            let kinds = [MetricKind::Counter, MetricKind::Gauge, MetricKind::Histogram];
            let mut names = names;
            names.sort();
            names.dedup();
            let metrics: Vec<_> = names.iter().map(|(n, k)| metric(n, kinds[*k])).collect();
            for is_utf8 in [false, true] {
                let (families, _) = families(&metrics, Style { is_utf8, ..USUAL });
                prop_assert_eq!(families.len(), metrics.len());
                let mut seen = HashSet::new();
                for family in &families {
                    prop_assert!(is_utf8 || is_metric_name(&family.name), "{}", family.name);
                    for sample in samples(family) {
                        prop_assert!(seen.insert(sample.clone()), "{sample} twice");
                    }
                }
            }
        }

        #[test]
        fn labels_are_legal_and_there_once(
            names in proptest::collection::btree_set("([ab._ \0]|le|__|é|1){0,5}", 0..8),
            is_utf8: bool,
        ) {
            let list = names.iter().map(String::as_str);
            let new = label_names(list.clone(), Some("le"), is_utf8)
                .unwrap_or_else(|| list.map(Cow::Borrowed).collect());
            let unique: HashSet<_> = new.iter().collect();
            prop_assert_eq!(unique.len(), names.len());
            for name in &new {
                prop_assert!(*name != "le" && !name.contains('\0') && !name.starts_with("__") && !name.is_empty());
                prop_assert!(is_utf8 || is_label_name(name));
            }
        }
    }
}
