//! Descriptions and units, which macros may repeat on every call: known ones cost one load.

use crate::{
    ledger::{Full, Ledger, Part},
    model::MetricKind,
    util::{
        fork, layout,
        recent::Recent,
        sync::{Arc, AtomicU64, AtomicUsize, Mutex, RandomState},
        text::clip,
    },
};
use metrics::Unit;
use std::{hash::BuildHasher, sync::atomic::Ordering::Relaxed};

/// Bytes of a description that are kept.
const LONGEST: usize = 1024;

/// Words of the filter of what is known.
const FILTER: usize = if cfg!(loom) { 2 } else { 1024 };

/// What a metric is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) kind: MetricKind,
    pub(crate) name: Box<str>,
    pub(crate) unit: Option<Unit>,
    pub(crate) text: Box<str>,
}

/// All descriptions. A later one replaces an earlier one.
pub(crate) struct Descriptions {
    /// Hashes of what is in the list, by their low bits: a hit is known for certain. Written under the list's lock, and
    /// read without.
    filter: Box<[AtomicU64]>,
    /// Sorted by kind and name.
    list: Mutex<Vec<Described>>,
    most: usize,
    /// Bytes of the list and its texts; changed under its lock. Never more than an eighth of the budget: what is said
    /// of metrics must not take the place of metrics.
    held: AtomicUsize,
    /// Calls whose text was refused, ever.
    pub(crate) refused: Recent,
    hasher: RandomState,
    ledger: Arc<Ledger>,
}

impl Descriptions {
    pub(crate) fn new(ledger: Arc<Ledger>, most: usize) -> Result<Self, Full> {
        ledger.reserve(Part::Names, layout::vec::<AtomicU64>(FILTER))?;
        Ok(Self {
            filter: (0..FILTER).map(|_| AtomicU64::new(0)).collect(),
            list: Mutex::new(Vec::new()),
            most,
            held: AtomicUsize::new(0),
            refused: Recent::new(),
            hasher: RandomState::new(),
            ledger,
        })
    }

    /// Whether exactly this was described last.
    pub(crate) fn knows(
        &self,
        kind: MetricKind,
        name: &str,
        unit: Option<Unit>,
        text: &str,
    ) -> bool {
        let hash = self.hash(kind, name, unit, text);
        self.word(hash).load(Relaxed) == hash
    }

    pub(crate) fn note(&self, kind: MetricKind, name: &str, unit: Option<Unit>, text: &str) {
        if !self.keep(kind, name, unit, text) {
            self.refused.add(1);
        }
    }

    /// Of what is kept of a description. Never 0, which an empty word of the filter has.
    fn hash(&self, kind: MetricKind, name: &str, unit: Option<Unit>, text: &str) -> u64 {
        let text = clip(text, LONGEST);
        self.hasher
            .hash_one((kind, name, unit.map(|u| u.as_str()), text))
            | 1
    }

    /// What was replaced is not known any more: it may come back.
    fn forget(&self, hash: u64) {
        let word = self.word(hash);
        if word.load(Relaxed) == hash {
            word.store(0, Relaxed);
        }
    }

    fn word(&self, hash: u64) -> &AtomicU64 {
        &self.filter[(hash / 2) as usize % FILTER]
    }

    /// Charges `more` bytes in place of `less`, which the caller is about to free. False: no room.
    fn reserve(&self, more: usize, less: usize) -> bool {
        let held = self.held.load(Relaxed) + more - less;
        let fits = held <= self.ledger.budget() / 8;
        let fits = fits && self.ledger.reserve(Part::Names, more).is_ok();
        if fits {
            self.held.store(held, Relaxed);
        }
        fits
    }

    /// False: no room.
    fn keep(&self, kind: MetricKind, name: &str, unit: Option<Unit>, text: &str) -> bool {
        let text = clip(text, LONGEST);
        let hash = self.hash(kind, name, unit, text);
        let Some(mut list) = fork::lock(&self.list) else {
            return true;
        };
        let found = list.binary_search_by(|d| (d.kind, &*d.name).cmp(&(kind, name)));
        match found {
            Ok(at) => {
                let old = &mut list[at];
                if old.unit != unit || *old.text != *text {
                    let before = old.text.len();
                    if !self.reserve(text.len(), before) {
                        return false;
                    }
                    self.forget(self.hash(kind, name, old.unit, &old.text));
                    old.unit = unit;
                    old.text = text.into();
                    self.ledger.release(Part::Names, before);
                }
            }
            Err(at) => {
                if list.len() >= self.most || name.len() > super::key::LONGEST {
                    return false;
                }
                let capacity = list.capacity();
                let room = if list.len() < capacity {
                    0
                } else {
                    layout::vec::<Described>(layout::grown(capacity))
                };
                let before = if room > 0 {
                    layout::vec::<Described>(capacity)
                } else {
                    0
                };
                if !self.reserve(name.len() + text.len() + room, before) {
                    return false;
                }
                if room > 0 {
                    layout::regrow(&mut list, layout::grown(capacity));
                    self.ledger.release(Part::Names, before);
                }
                let new = Described {
                    kind,
                    name: name.into(),
                    unit,
                    text: text.into(),
                };
                list.insert(at, new);
            }
        }
        self.word(hash).store(hash, Relaxed);
        true
    }

    pub(crate) fn find(&self, kind: MetricKind, name: &str) -> Option<Described> {
        let list = fork::lock(&self.list)?;
        let at = list.binary_search_by(|d| (d.kind, &*d.name).cmp(&(kind, name)));
        list.get(at.ok()?).cloned()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// The filter still knew the first text when it came back, and the second one stayed for ever.
    #[test]
    fn the_last_description_is_the_one_that_is_kept() {
        let list = Descriptions::new(Arc::new(Ledger::new(1 << 20)), 10).expect("room");
        let long = "long ".repeat(LONGEST);
        for text in ["one", "two", "one", &long, "two", &long, "one"] {
            let knows = || list.knows(MetricKind::Counter, "name", None, text);
            assert!(!knows(), "{text:.9}");
            list.note(MetricKind::Counter, "name", None, text);
            assert!(knows(), "{text:.9}");
            let found = list.find(MetricKind::Counter, "name").expect("described");
            assert_eq!(*found.text, *clip(text, LONGEST));
        }
    }
}
