//! Rules that keep some series longer or shorter than others.

use crate::model::{MetricKind, glob::Glob, matcher::Matcher};
use metrics::Level;
use std::time::Duration;

/// How long series are kept that fulfil all of its conditions; without conditions, all series.
///
/// Of several rules the first that matches wins; what none matches is kept as the profile has it. A series is matched
/// once, when it is registered for the first time. All rules together may name four different retentions, the
/// profile's included.
///
/// A pattern is plain text in which `*` stands for any text, also for none.
///
/// ```
/// use metrics_recall::{MetricKind, Recall, RetentionRule, metrics::Level, mins, secs};
///
/// let checkout = RetentionRule::new()
///     .name("checkout_*")
///     .kind(MetricKind::Histogram)
///     .label("route", "/pay*")
///     .keep([mins(30), mins(6 * 60), mins(7 * 24 * 60)]);
/// // What `debug` and `trace` calls of one crate record: two minutes, then nothing.
/// let noise = RetentionRule::new().verbose(Level::DEBUG).target("sqlx").keep([mins(2)]);
///
/// let (_recorder, recall) = Recall::builder().retain(checkout).retain(noise).build()?;
/// # Ok::<(), metrics_recall::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a rule does nothing until a builder or a store gets it"]
pub struct RetentionRule {
    pub(super) matcher: Matcher,
    pub(super) keep: Vec<Duration>,
}

/// Bytes of one pattern or name; a key has no more.
const LONGEST_PATTERN: usize = 4096;

impl RetentionRule {
    /// A rule that matches every series, and does not say yet how long it is kept.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only metrics whose name fits the pattern: `"jobs_total"`, `"debug_*"`. Default: any.
    pub fn name(mut self, pattern: impl Into<String>) -> Self {
        self.matcher.name = Some(glob(pattern));
        self
    }

    /// Only metrics of this kind. Default: any.
    pub fn kind(mut self, kind: MetricKind) -> Self {
        self.matcher.kind = Some(kind);
        self
    }

    /// Only series whose label `name` has a value that fits the pattern. The empty pattern matches series without that
    /// label, and nothing else does. May be given several times.
    pub fn label(mut self, name: impl Into<String>, pattern: impl Into<String>) -> Self {
        let label = (name.into().into_boxed_str(), glob(pattern));
        self.matcher.labels.push(label);
        self
    }

    /// Only series that are registered at most as verbosely as this: [`Level::INFO`], which the macros say when nothing
    /// else is said, matches info, warn and error. Default: any level.
    pub fn level(mut self, level: Level) -> Self {
        self.matcher.at_most = Some(level);
        self
    }

    /// Only series that are registered at least as verbosely as this: [`Level::DEBUG`] matches debug and trace. Default:
    /// any level.
    pub fn verbose(mut self, level: Level) -> Self {
        self.matcher.at_least = Some(level);
        self
    }

    /// Only series that are registered from this target, which is the path of the calling module unless the macro says
    /// otherwise. Plain text matches a module and all that is in it: `"sqlx"` matches `sqlx::pool`. With a `*` it is a
    /// pattern of the whole target. Default: any.
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.matcher.target = Some(glob(target));
        self
    }

    /// How long series are kept in each tier, finest first: with the tiers of the profiles at 1 s, at 10 s and at 60 s.
    /// Zero, or nothing, means that they are not kept in that tier; the finest must keep them. No tier may keep them
    /// shorter than a finer one, or than its own interval.
    pub fn keep(mut self, retentions: impl IntoIterator<Item = Duration>) -> Self {
        self.keep = retentions.into_iter().collect();
        self
    }

    /// What is wrong with the conditions.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let Matcher {
            name,
            labels,
            at_most,
            at_least,
            target,
            ..
        } = &self.matcher;
        let patterns = [("name", name), ("target", target)];
        for (what, pattern) in patterns {
            match pattern.as_ref().map(Glob::as_str) {
                Some("") => problems.push(format!(
                    "an empty pattern of the {what}: nothing has that, and allowed is text with or without `*`"
                )),
                Some(text) => check_length(what, text, &mut problems),
                None => {}
            }
        }
        for (label, pattern) in labels {
            if label.is_empty() {
                problems.push("a label without a name: allowed are names of labels".to_owned());
            }
            check_length("label's name", label, &mut problems);
            check_length("label", pattern.as_str(), &mut problems);
        }
        if let (Some(most), Some(least)) = (at_most, at_least)
            && most > least
        {
            problems.push(format!(
                "at most as verbose as {most:?} and at least as verbose as {least:?}: no level is both, and allowed is one that is"
            ));
        }
        problems
    }
}

fn glob(pattern: impl Into<String>) -> Glob {
    Glob::new(pattern.into())
}

fn check_length(what: &str, text: &str, problems: &mut Vec<String>) {
    let len = text.len();
    if len > LONGEST_PATTERN {
        problems.push(format!(
            "a pattern of the {what} of {len} bytes: allowed are {LONGEST_PATTERN}"
        ));
    }
}
