//! Which series something is about: conditions on a key, its kind, and what the facade says of the call.

use super::{glob::Glob, kind::MetricKind, labels};
use metrics::{Level, Metadata};

/// Conditions that a series fulfils together; what is `None` or empty is fulfilled by all.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Matcher {
    pub(crate) name: Option<Glob>,
    pub(crate) kind: Option<MetricKind>,
    /// Names, and patterns of values. An absent label fits the empty pattern only.
    pub(crate) labels: Vec<(Box<str>, Glob)>,
    /// No more verbose than this.
    pub(crate) at_most: Option<Level>,
    /// At least as verbose as this.
    pub(crate) at_least: Option<Level>,
    /// With a `*` a pattern, else a module with all that is in it.
    pub(crate) target: Option<Glob>,
}

/// What series are like, and the retention class that they get.
pub(crate) type Rule = (Matcher, usize);

/// A series that is about to be registered.
pub(crate) struct Subject<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: MetricKind,
    /// Canonical bytes.
    pub(crate) labels: &'a [u8],
    /// Of the call; `None`: the series is no single caller's, and no condition on level or target holds.
    pub(crate) origin: Option<&'a Metadata<'a>>,
}

impl Matcher {
    pub(crate) fn matches(&self, subject: &Subject<'_>) -> bool {
        self.kind.is_none_or(|kind| kind == subject.kind)
            && self
                .name
                .as_ref()
                .is_none_or(|name| name.matches(subject.name))
            && self.fits_origin(subject.origin)
            && self.labels.iter().all(|(name, pattern)| {
                match labels::value_of(subject.labels, name) {
                    Some(value) => pattern.matches(value),
                    None => pattern.as_str().is_empty(),
                }
            })
    }

    fn fits_origin(&self, origin: Option<&Metadata<'_>>) -> bool {
        let Self {
            at_most,
            at_least,
            target,
            ..
        } = self;
        match origin {
            // The facade's levels grow as they get less verbose.
            Some(origin) => {
                at_most.is_none_or(|level| *origin.level() >= level)
                    && at_least.is_none_or(|level| *origin.level() <= level)
                    && target
                        .as_ref()
                        .is_none_or(|target| is_in(origin.target(), target))
            }
            None => at_most.is_none() && at_least.is_none() && target.is_none(),
        }
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        let texts = [&self.name, &self.target].into_iter().flatten();
        let labels = self.labels.iter();
        texts.map(|text| text.as_str().len()).sum::<usize>()
            + labels
                .map(|(name, value)| name.len() + value.as_str().len())
                .sum::<usize>()
            + self.labels.capacity() * size_of::<(Box<str>, Glob)>()
    }
}

/// Whether `target` fits the pattern or, if that is plain, is this module or one inside it.
fn is_in(target: &str, pattern: &Glob) -> bool {
    let module = || target.strip_prefix(pattern.as_str());
    pattern.matches(target) || module().is_some_and(|inner| inner.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Metadata<'static> = Metadata::new("shop::cart", Level::INFO, None);

    fn matches(matcher: &Matcher) -> bool {
        matcher.matches(&Subject {
            name: "jobs_total",
            kind: MetricKind::Counter,
            labels: b"\x05\x00queue\x04\x00mail",
            origin: Some(&CALL),
        })
    }

    fn glob(pattern: &str) -> Glob {
        Glob::new(pattern)
    }

    #[test]
    fn without_conditions_all_match() {
        assert!(matches(&Matcher::default()));
    }

    #[test]
    fn all_conditions_must_hold() {
        let good = Matcher {
            name: Some(glob("jobs_*")),
            kind: Some(MetricKind::Counter),
            labels: vec![("queue".into(), Glob::new("m*"))],
            at_most: Some(Level::INFO),
            at_least: Some(Level::INFO),
            target: Some(glob("shop")),
        };
        assert!(matches(&good));
        let spoil: [fn(&mut Matcher); 6] = [
            |m| m.name = Some(glob("jobs")),
            |m| m.kind = Some(MetricKind::Gauge),
            |m| m.labels.push(("queue".into(), Glob::new("sms"))),
            |m| m.at_most = Some(Level::WARN),
            |m| m.at_least = Some(Level::DEBUG),
            |m| m.target = Some(glob("sho")),
        ];
        for spoil in spoil {
            let mut bad = good.clone();
            spoil(&mut bad);
            assert!(!matches(&bad), "{bad:?}");
        }
    }

    #[test]
    fn an_absent_label_fits_the_empty_pattern_only() {
        for (pattern, expected) in [("", true), ("*", false)] {
            let labels = vec![("region".into(), Glob::new(pattern))];
            assert_eq!(
                matches(&Matcher {
                    labels,
                    ..Matcher::default()
                }),
                expected
            );
        }
    }

    #[test]
    fn a_plain_target_is_a_module_with_all_that_is_in_it() {
        for (pattern, expected) in [
            ("shop", true),
            ("shop::cart", true),
            ("shop::car", false),
            ("shop::", false),
            ("*::cart", true),
            ("sh*", true),
        ] {
            let target = Some(glob(pattern));
            let matcher = Matcher {
                target,
                ..Matcher::default()
            };
            assert_eq!(matches(&matcher), expected, "{pattern}");
        }
    }

    #[test]
    fn what_is_nobodys_has_neither_level_nor_target() {
        let subject = Subject {
            name: "jobs_total",
            kind: MetricKind::Counter,
            labels: b"",
            origin: None,
        };
        assert!(Matcher::default().matches(&subject));
        for matcher in [
            Matcher {
                at_least: Some(Level::ERROR),
                ..Matcher::default()
            },
            Matcher {
                at_most: Some(Level::TRACE),
                ..Matcher::default()
            },
            Matcher {
                target: Some(glob("*")),
                ..Matcher::default()
            },
        ] {
            assert!(!matcher.matches(&subject));
        }
    }
}
