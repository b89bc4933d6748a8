//! Which retention class a new series gets: the class of the first rule that it fulfils, else class 0.
//!
//! Looked up when a series is registered for the first time, never on a hit. A series keeps its class for as long as
//! its id is known; how many series a class has says whether it may be given another meaning.

use crate::{
    ledger::{Full, Ledger, Part},
    model::{
        frame::CLASSES,
        matcher::{Rule, Subject},
    },
    util::{
        fork, layout,
        sync::{Arc, AtomicBool, AtomicUsize, Mutex},
    },
};
use std::sync::atomic::Ordering::Relaxed;

/// The rules, and how many series each class has.
pub(crate) struct Classes {
    /// Charged for what they hold. Replaced as a whole.
    rules: Mutex<Vec<Rule>>,
    /// There are rules. Without any, nothing is locked.
    has_rules: AtomicBool,
    /// Series of each class but the default, and registrations under way that may become one. Added to under the lock
    /// of the rules, or while it was already counted.
    series: [AtomicUsize; CLASSES],
    ledger: Arc<Ledger>,
}

/// A registration under way: its class does not change its meaning meanwhile.
pub(super) struct Claim<'a> {
    classes: &'a Classes,
    class: usize,
}

impl Classes {
    pub(super) fn new(ledger: Arc<Ledger>) -> Self {
        Self {
            rules: Mutex::new(Vec::new()),
            has_rules: AtomicBool::new(false),
            series: std::array::from_fn(|_| AtomicUsize::new(0)),
            ledger,
        }
    }

    /// The class for a series that is new.
    pub(super) fn claim(&self, subject: &Subject<'_>) -> Claim<'_> {
        if !self.has_rules.load(Relaxed) {
            return Claim {
                classes: self,
                class: 0,
            };
        }
        let rules = fork::lock(&self.rules);
        let mut rules = rules.iter().flat_map(|rules| rules.iter());
        let rule = rules.find(|(matcher, _)| matcher.matches(subject));
        let class = rule.map_or(0, |(_, class)| *class);
        self.enter(class);
        Claim {
            classes: self,
            class,
        }
    }

    /// A series was registered whose class is claimed.
    pub(super) fn enter(&self, class: usize) {
        if let Some(series) = self.counted(class) {
            series.fetch_add(1, Relaxed);
        }
    }

    /// A series was removed for good.
    pub(super) fn leave(&self, class: usize) {
        if let Some(series) = self.counted(class) {
            series.fetch_sub(1, Relaxed);
        }
    }

    fn counted(&self, class: usize) -> Option<&AtomicUsize> {
        self.series.get(class).filter(|_| class > 0)
    }

    /// Replaces the rules by those that `decide` makes, which is told what classes have series.
    ///
    /// # Errors
    ///
    /// What `decide` fails with, and [`Full`]; the old rules hold on then.
    #[cfg_attr(loom, expect(dead_code, reason = "models have no rules"))]
    pub(crate) fn change<E: From<Full>>(
        &self,
        decide: impl FnOnce([bool; CLASSES]) -> Result<Vec<Rule>, E>,
    ) -> Result<(), E> {
        let mut rules = self.rules.lock();
        let new = decide(self.series.each_ref().map(|n| n.load(Relaxed) > 0))?;
        self.ledger.reserve(Part::Index, bytes(&new))?;
        self.has_rules.store(!new.is_empty(), Relaxed);
        let old = std::mem::replace(&mut *rules, new);
        let charged = bytes(&old);
        drop(old);
        self.ledger.release(Part::Index, charged);
        Ok(())
    }
}

impl Claim<'_> {
    pub(super) fn class(&self) -> usize {
        self.class
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.classes.leave(self.class);
    }
}

/// Bytes of rules on the heap.
fn bytes(rules: &Vec<Rule>) -> usize {
    let matchers: usize = rules.iter().map(|(matcher, _)| matcher.bytes()).sum();
    layout::vec::<Rule>(rules.capacity()) + matchers
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{
        ledger::SMALLEST,
        live::{
            Counter, Entry, Live, collect::Collector, counter::CounterMemory, drain::Sweep,
            registry::Limits, series::Cells,
        },
        model::{
            MetricKind,
            frame::{SeriesId, class_of},
            glob::Glob,
            matcher::Matcher,
        },
    };
    use metrics::{Key, Label, Level, Metadata};

    fn named(pattern: &str) -> Matcher {
        Matcher {
            name: Some(Glob::new(pattern)),
            ..Matcher::default()
        }
    }

    fn subject(name: &str) -> Subject<'_> {
        Subject {
            name,
            kind: MetricKind::Gauge,
            labels: b"",
            origin: None,
        }
    }

    fn used(classes: &Classes) -> [bool; CLASSES] {
        let mut seen = [false; CLASSES];
        let kept = classes.change(|used| {
            seen = used;
            Err(Full)
        });
        assert_eq!(kept, Err(Full));
        seen
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let classes = Classes::new(Arc::new(Ledger::new(SMALLEST)));
        assert_eq!(classes.claim(&subject("a_b")).class(), 0);
        let rules = vec![(named("a*"), 2), (named("*b"), 1)];
        classes.change(|_| Ok::<_, Full>(rules)).unwrap();
        for (name, class) in [("a_b", 2), ("b", 1), ("c", 0)] {
            assert_eq!(classes.claim(&subject(name)).class(), class);
        }
    }

    #[test]
    fn a_class_is_in_use_from_the_claim_until_its_last_series_is_gone() {
        let classes = Classes::new(Arc::new(Ledger::new(SMALLEST)));
        classes
            .change(|_| Ok::<_, Full>(vec![(named("*"), 3)]))
            .unwrap();
        let claim = classes.claim(&subject("a"));
        assert_eq!(used(&classes), [false, false, false, true]);
        classes.enter(claim.class());
        drop(claim);
        assert_eq!(used(&classes), [false, false, false, true]);
        classes.leave(3);
        assert_eq!(used(&classes), [false; CLASSES]);
    }

    #[test]
    fn rules_are_charged_and_given_back() {
        let ledger = Arc::new(Ledger::new(SMALLEST));
        let classes = Classes::new(ledger.clone());
        let long = "x".repeat(1000);
        classes
            .change(|_| Ok::<_, Full>(vec![(named(&long), 1)]))
            .unwrap();
        assert_eq!(ledger.part(Part::Index), 1000 + size_of::<Rule>());
        let longer = "x".repeat(SMALLEST);
        let refused = classes.change(|_| Ok::<_, Full>(vec![(named(&longer), 1)]));
        assert_eq!(refused, Err(Full));
        assert_eq!(classes.claim(&subject(&long)).class(), 1);
        classes.change(|_| Ok::<_, Full>(Vec::new())).unwrap();
        assert_eq!(ledger.part(Part::Index), 0);
    }

    const FROM: Metadata<'static> = Metadata::new("tests", Level::INFO, None);

    fn live(series_per_metric: usize, rules: Vec<Rule>) -> Live {
        let limits = Limits {
            series_per_metric,
            metrics: 8,
            schema: 4,
        };
        let live = Live::new(Arc::new(Ledger::new(1 << 20)), limits).expect("room");
        let rules = live.classes.change(|_| Ok::<_, Full>(rules));
        rules.expect("room");
        live
    }

    fn id(live: &Live, name: &'static str, labels: &[(&'static str, &'static str)]) -> SeriesId {
        let labels: Vec<Label> = labels.iter().map(Label::from).collect();
        let key = Key::from_parts(name, labels);
        let grant = live.counters.acquire(&key, &FROM, 1, false);
        grant.and_then(|grant| grant.id).expect("room")
    }

    fn sweep(live: &Live, tick: u32) {
        let mut collector = Collector::new(live.ledger.clone());
        let sweep = Sweep {
            tick,
            now_ms: 0,
            before: tick - 1,
            forget_after: [10; CLASSES],
            evict_after: Some(0),
        };
        live.sweep(sweep, &mut collector);
        collector.shrink(0);
    }

    #[test]
    fn a_series_keeps_the_class_of_its_first_registration() {
        let live = live(10, vec![(named("a"), 1)]);
        let (a, b) = (id(&live, "a", &[]), id(&live, "b", &[]));
        assert_eq!((class_of(a), class_of(b)), (1, 0));
        live.classes
            .change(|_| Ok::<_, Full>(vec![(named("*"), 2)]))
            .unwrap();
        assert_eq!((id(&live, "a", &[]), id(&live, "b", &[])), (a, b));
        assert_eq!(class_of(id(&live, "c", &[])), 2);
        // Evicted, and still known.
        sweep(&live, 2);
        assert_eq!(live.series(), 0);
        assert_eq!((id(&live, "a", &[]), id(&live, "b", &[])), (a, b));
    }

    #[test]
    fn a_series_that_is_forgotten_leaves_its_class_and_comes_back_in_a_new_one() {
        let matcher = Matcher {
            labels: vec![("k".into(), Glob::new("v"))],
            ..Matcher::default()
        };
        let live = live(10, vec![(matcher.clone(), 1)]);
        let before = id(&live, "a", &[("k", "v")]);
        sweep(&live, 2);
        assert_eq!(used(&live.classes), [false, true, false, false]);
        sweep(&live, 20);
        assert_eq!(used(&live.classes), [false; CLASSES]);
        live.classes
            .change(|_| Ok::<_, Full>(vec![(matcher, 3)]))
            .unwrap();
        let after = id(&live, "a", &[("k", "v")]);
        assert_eq!((class_of(before), class_of(after)), (1, 3));
        assert_eq!(before - 1, after - 3, "its place was free again");
    }

    #[test]
    fn an_overflow_series_has_the_class_of_its_name_and_kind() {
        let origin = Matcher {
            at_most: Some(Level::TRACE),
            ..Matcher::default()
        };
        let live = live(1, vec![(origin, 3), (named("a"), 1)]);
        assert_eq!(class_of(id(&live, "a", &[])), 3);
        let denied = Key::from_parts("a", vec![Label::new("k", "v")]);
        let grant = live.counters.acquire(&denied, &FROM, 1, false).unwrap();
        assert_eq!(grant.id, None);
        let overflow = [("overflow", "true")];
        assert_eq!(class_of(id(&live, "a", &overflow)), 1);
        assert_eq!(class_of(id(&live, "b", &overflow)), 0);
    }

    #[test]
    fn what_is_denied_takes_no_class() {
        let matcher = Matcher {
            labels: vec![("k".into(), Glob::new("*"))],
            ..Matcher::default()
        };
        let live = live(1, vec![(matcher, 2)]);
        id(&live, "a", &[]);
        let denied = Key::from_parts("a", vec![Label::new("k", "v")]);
        assert!(live.counters.acquire(&denied, &FROM, 1, false).is_some());
        assert_eq!(used(&live.classes), [false; CLASSES]);
    }

    #[test]
    fn a_class_makes_no_entry_larger() {
        let cells = size_of::<Cells<Counter>>() + size_of::<CounterMemory>();
        assert_eq!(size_of::<Entry<Counter>>(), cells + 8);
    }
}
