//! Rules: what a user asks for, and what became of it when it was checked.

use super::{
    condition::Condition, kept::Kept, lexis::is_label_name, severity::Severity, state::Policy,
    template::Template,
};
use crate::{
    error::Error,
    ledger::{Full, Ledger},
    model::Labels,
    util::text::Brief,
};
use std::{sync::Arc, time::Duration};

/// What it means when a rule's question has no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum NoData {
    /// Nothing: alerts stay what they are.
    Keep,
    /// The same as a condition that does not hold. The default, and what Prometheus does.
    #[default]
    Resolve,
    /// The same as a condition that holds.
    Fire,
}

/// When to warn, and what to say. Setters only set; [`Alerts::add`](crate::Alerts::add) checks everything.
///
/// ```
/// use metrics_recall::{AlertRule, Condition, Recall, Severity, mins, secs};
///
/// let (_recorder, recall) = Recall::builder().build()?;
/// recall.alerts().add(
///     AlertRule::new("SlowCheckout")
///         .when(Condition::histograms("checkout_seconds").by(["route"]).over(mins(5)).quantile(0.99).above(0.5))
///         .for_at_least(secs(30))
///         .keep_firing_for(secs(60))
///         .cooldown(mins(5))
///         .severity(Severity::Critical)
///         .label("team", "shop")
///         .annotation("summary", "p99 of {{ $labels.route }} is {{ $value | humanizeDuration }}"),
/// )?;
/// # Ok::<(), metrics_recall::Error>(())
/// ```
///
/// With feature `serde` the same as data: `name`, `condition` as text, `for`, `keep_firing_for`, `cooldown`, `severity`,
/// `no_data`, `enabled`, `max_groups`, `labels`, `annotations`. What is left out has its default; what is not known is refused.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default)
)]
#[must_use = "a rule does nothing until it is added: `recall.alerts().add(rule)?`"]
pub struct AlertRule {
    name: String,
    condition: Option<Condition>,
    #[cfg_attr(
        feature = "serde",
        serde(rename = "for", with = "super::data::duration")
    )]
    hold: Duration,
    #[cfg_attr(
        feature = "serde",
        serde(rename = "keep_firing_for", with = "super::data::duration")
    )]
    keep: Duration,
    #[cfg_attr(feature = "serde", serde(with = "super::data::duration"))]
    cooldown: Duration,
    severity: Severity,
    no_data: NoData,
    #[cfg_attr(feature = "serde", serde(rename = "enabled"))]
    is_enabled: bool,
    #[cfg_attr(feature = "serde", serde(rename = "max_groups"))]
    most_groups: usize,
    #[cfg_attr(feature = "serde", serde(with = "super::data::pairs"))]
    labels: Vec<(String, String)>,
    #[cfg_attr(feature = "serde", serde(with = "super::data::pairs"))]
    annotations: Vec<(String, String)>,
}

/// For what data do not say.
#[cfg(feature = "serde")]
impl Default for AlertRule {
    fn default() -> Self {
        Self::new("")
    }
}

/// Groups of a rule that are followed unless it says otherwise.
const GROUPS: usize = 1_000;

impl AlertRule {
    /// A rule of this name, which no other rule has. It needs a condition.
    pub fn new(name: impl AsRef<str>) -> Self {
        Self {
            name: name.as_ref().to_owned(),
            condition: None,
            hold: Duration::ZERO,
            keep: Duration::ZERO,
            cooldown: Duration::ZERO,
            severity: Severity::default(),
            no_data: NoData::default(),
            is_enabled: true,
            most_groups: GROUPS,
            labels: Vec::new(),
            annotations: Vec::new(),
        }
    }

    /// The condition. There is one alert of each group that it is asked by.
    pub fn when(mut self, condition: Condition) -> Self {
        self.condition = Some(condition);
        self
    }

    /// How long the condition must hold before the alert fires; it is pending meanwhile. Default: not at all.
    pub fn for_at_least(mut self, d: Duration) -> Self {
        self.hold = d;
        self
    }

    /// How long the alert goes on firing when the condition holds no more. Default: not at all.
    pub fn keep_firing_for(mut self, d: Duration) -> Self {
        self.keep = d;
        self
    }

    /// After an alert was told to fire, no other change of the same alert is told for so long, but that it is resolved. One
    /// that fires again and lasts is told when the time is over. Default: none.
    pub fn cooldown(mut self, d: Duration) -> Self {
        self.cooldown = d;
        self
    }

    /// How bad it is. Default: [`Severity::Warning`].
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// What it means when the question has no answer. Default: [`NoData::Resolve`].
    pub fn no_data(mut self, meaning: NoData) -> Self {
        self.no_data = meaning;
        self
    }

    /// Whether it is evaluated. Default: yes.
    pub fn enabled(mut self, yes: bool) -> Self {
        self.is_enabled = yes;
        self
    }

    /// Groups that are followed at most, at least 1, the first by their labels; how many there are beyond is said by
    /// `health()` and by the rule's status. Default: 1,000.
    pub fn max_groups(mut self, n: usize) -> Self {
        self.most_groups = n;
        self
    }

    /// A label that all alerts of the rule have. The value may be a template of `{{ $labels.NAME }}`.
    pub fn label(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let pair = (name.as_ref().to_owned(), value.as_ref().to_owned());
        self.labels.push(pair);
        self
    }

    /// A text that alerts carry: a template in Prometheus' notation, of `{{ $value }}`, `{{ $labels.NAME }}`, the functions
    /// `humanize`, `humanize1024`, `humanizeDuration`, `humanizePercentage`, `humanizeTimestamp`, `toUpper`, `toLower`,
    /// and `printf` with one value, called as `{{ humanize $value }}` or `{{ $value | humanize }}`.
    pub fn annotation(mut self, name: impl AsRef<str>, template: impl AsRef<str>) -> Self {
        let pair = (name.as_ref().to_owned(), template.as_ref().to_owned());
        self.annotations.push(pair);
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The condition, if it has one.
    #[must_use]
    pub fn condition(&self) -> Option<&Condition> {
        self.condition.as_ref()
    }
}

/// A rule that was checked, and charged.
pub(crate) struct Checked {
    pub(super) name: Box<str>,
    pub(super) condition: Condition,
    pub(super) policy: Policy,
    pub(super) severity: Severity,
    pub(super) most_groups: usize,
    labels: Box<[(Box<str>, Template)]>,
    annotations: Box<[(Box<str>, Template)]>,
    /// One of the store's own.
    pub(super) is_builtin: bool,
    _kept: Kept,
}

/// Bytes of a text, and texts, that a rule may have.
const LONGEST: usize = 4 << 10;
const MOST: usize = 64;

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Checked {
    /// # Errors
    ///
    /// For everything that is wrong with the rule, the first of it; and when there is no room for it.
    pub(super) fn new(
        rule: AlertRule,
        is_builtin: bool,
        ledger: &Arc<Ledger>,
    ) -> Result<Arc<Self>, Error> {
        let name = &rule.name;
        let wrong = |what: String| Error::invalid(format!("rule `{}`: {what}", Brief(name)));
        if name.trim().is_empty() {
            return Err(Error::invalid(
                "a rule without name: allowed is any text that is not blank",
            ));
        }
        if name.len() > LONGEST {
            return Err(Error::invalid(format!(
                "a rule whose name has {} bytes: allowed are {LONGEST}",
                name.len()
            )));
        }
        let Some(condition) = rule.condition else {
            return Err(wrong("it has no condition: `when` sets one".to_owned()));
        };
        condition
            .check()
            .map_err(|error| wrong(error.to_string()))?;
        if rule.most_groups == 0 {
            return Err(wrong("0 groups: allowed are 1 and more".to_owned()));
        }
        for (what, texts) in [("labels", &rule.labels), ("annotations", &rule.annotations)] {
            if texts.len() > MOST {
                return Err(wrong(format!("{} {what}: allowed are {MOST}", texts.len())));
            }
        }
        let labels = templates("label", &rule.labels).map_err(&wrong)?;
        let annotations = templates("annotation", &rule.annotations).map_err(&wrong)?;
        for (label, template) in &labels {
            if matches!(&**label, "alertname" | "alertstate" | "__name__") {
                return Err(wrong(format!(
                    "label `{label}` is Prometheus' own: allowed are others"
                )));
            }
            if condition.by().contains(label) {
                return Err(wrong(format!(
                    "label `{label}` is one that it groups by: allowed are others"
                )));
            }
            if template.uses_value() {
                return Err(wrong(format!(
                    "label `{label}` has `$value` in it, which would make another alert of each value: allowed is `$labels`"
                )));
            }
        }
        let policy = Policy {
            hold_ns: nanos(rule.hold),
            keep_ns: nanos(rule.keep),
            cooldown_ns: nanos(rule.cooldown),
            no_data: rule.no_data,
            is_enabled: rule.is_enabled,
        };
        let texts = labels.iter().chain(&annotations);
        let texts = texts.map(|(name, template)| {
            size_of::<(Box<str>, Template)>() + name.len() + template.bytes()
        });
        let bytes = crate::util::layout::arc::<Self>()
            + rule.name.len()
            + condition.bytes()
            + texts.sum::<usize>();
        let kept = Kept::new(ledger, bytes).map_err(|Full| {
            Error::refused(format!("rule `{}`: no room for {bytes} bytes; alerts may take an eighth of the memory budget, which is {} bytes", Brief(&rule.name), ledger.budget()))
        })?;
        Ok(Arc::new(Self {
            name: rule.name.into(),
            condition,
            policy,
            severity: rule.severity,
            most_groups: rule.most_groups,
            labels: labels.into(),
            annotations: annotations.into(),
            is_builtin,
            _kept: kept,
        }))
    }

    /// The labels of the alert of a group.
    pub(super) fn labels_of(&self, group: &Labels) -> Labels {
        let more: Vec<(&str, String)> = self
            .labels
            .iter()
            .map(|(name, value)| (&**name, value.render(|label| group.get(label), 0.0)))
            .collect();
        group.with(more.iter().map(|(name, value)| (*name, value.as_str())))
    }

    /// The annotations of an alert.
    pub(super) fn annotations_of(
        &self,
        labels: &Labels,
        value: f64,
    ) -> Box<[(Box<str>, Box<str>)]> {
        let text = |(name, template): &(Box<str>, Template)| {
            let text = template.render(|label| labels.get(label), value);
            (name.clone(), text.into())
        };
        self.annotations.iter().map(text).collect()
    }

    /// Whether alerts of the one are alerts of the other.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.condition == other.condition && self.labels == other.labels
    }
}

/// Pairs of names and templates; of a name that is given twice the last one stays.
fn templates(what: &str, pairs: &[(String, String)]) -> Result<Vec<(Box<str>, Template)>, String> {
    let mut all: Vec<(Box<str>, Template)> = Vec::with_capacity(pairs.len());
    for (name, text) in pairs {
        if !is_label_name(name) {
            return Err(format!(
                "{what} `{}`: allowed are letters, digits and `_`, not beginning with a digit",
                Brief(name)
            ));
        }
        for (of, bytes) in [("a name of", name.len()), ("a text of", text.len())] {
            if bytes > LONGEST {
                return Err(format!(
                    "{what} `{}` with {of} {bytes} bytes: allowed are {LONGEST}",
                    Brief(name)
                ));
            }
        }
        let template = Template::parse(text)
            .map_err(|mistake| format!("{what} `{name}`, template `{}`, {mistake}", Brief(text)))?;
        all.retain(|(known, _)| **known != **name);
        all.push((name.as_str().into(), template));
    }
    Ok(all)
}
