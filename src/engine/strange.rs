//! Questions that make no sense: about metrics that were never seen, or with arguments that nothing fits. Kept for
//! `health`, in a fixed number of bytes: a typo must not mean "healthy for ever".

use crate::{
    model::MetricKind,
    util::{fork, text::Text},
};
use parking_lot::Mutex;

/// Names that are kept; of more, only how many there were.
const NAMES: usize = 12;

/// Bytes of a name that are kept.
const LONGEST: usize = 80;

/// What was asked about.
#[derive(Clone, Copy, Debug)]
struct Asked {
    kind: MetricKind,
    name: Text<LONGEST>,
    /// Whether the metric is unknown, or an argument was odd.
    is_unknown: bool,
    times: u64,
    /// Turns of time since it was asked last.
    age: u8,
}

/// What was asked that makes no sense.
#[derive(Debug, Default)]
pub(crate) struct Strange(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    asked: [Option<Asked>; NAMES],
    /// Questions whose names there was no place for, in this turn and the one before.
    others: [u64; 2],
}

/// A question that makes no sense, as `health` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Oddity {
    pub(crate) kind: MetricKind,
    pub(crate) name: String,
    pub(crate) is_unknown: bool,
    pub(crate) times: u64,
}

impl Strange {
    /// A metric of this name and kind was asked about, and is none.
    pub(crate) fn unknown(&self, kind: MetricKind, name: &str) {
        if let Some(mut kept) = fork::lock(&self.0) {
            kept.note(kind, name, true);
        }
    }

    /// A question about this metric had an argument that makes no sense.
    pub(crate) fn odd(&self, kind: MetricKind, name: &str) {
        if let Some(mut kept) = fork::lock(&self.0) {
            kept.note(kind, name, false);
        }
    }

    /// Time has passed: what was not asked for one to two turns is forgotten.
    pub(crate) fn turn(&self) {
        let Some(mut kept) = fork::lock(&self.0) else {
            return;
        };
        for place in &mut kept.asked {
            if let Some(asked) = place {
                asked.age += 1;
            }
            if place.is_some_and(|asked| asked.age > 1) {
                *place = None;
            }
        }
        kept.others = [0, kept.others[0]];
    }

    /// What was asked lately, and how many questions more there were.
    pub(crate) fn list(&self) -> (Vec<Oddity>, u64) {
        let Some(kept) = fork::lock(&self.0) else {
            return (Vec::new(), 0);
        };
        let list = kept.asked.iter().flatten().map(|asked| Oddity {
            kind: asked.kind,
            name: asked.name.read(),
            is_unknown: asked.is_unknown,
            times: asked.times,
        });
        (list.collect(), kept.others.iter().sum())
    }
}

impl Kept {
    fn note(&mut self, kind: MetricKind, name: &str, is_unknown: bool) {
        let same = |asked: &&mut Asked| {
            (asked.kind, asked.is_unknown) == (kind, is_unknown) && asked.name.is(name)
        };
        if let Some(asked) = self.asked.iter_mut().flatten().find(same) {
            asked.times = asked.times.saturating_add(1);
            asked.age = 0;
        } else if let Some(free) = self.asked.iter_mut().find(|place| place.is_none()) {
            *free = Some(Asked {
                kind,
                name: Text::new(name),
                is_unknown,
                times: 1,
                age: 0,
            });
        } else {
            self.others[0] = self.others[0].saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_asked_any_more_is_forgotten() {
        let strange = Strange::default();
        strange.unknown(MetricKind::Counter, "orders");
        strange.unknown(MetricKind::Counter, "orders");
        strange.odd(MetricKind::Gauge, "depth");
        strange.turn();
        strange.unknown(MetricKind::Counter, "orders");
        strange.turn();
        let (list, others) = strange.list();
        assert_eq!((list.len(), others), (1, 0));
        assert_eq!((list[0].name.as_str(), list[0].times), ("orders", 3));
    }

    #[test]
    fn any_number_of_names_takes_no_more_room() {
        let strange = Strange::default();
        for at in 0..1000 {
            strange.unknown(MetricKind::Gauge, &format!("name{at}"));
        }
        let (list, others) = strange.list();
        assert_eq!(list.len() as u64 + others, 1000);
        strange.turn();
        strange.turn();
        assert_eq!(strange.list(), (Vec::new(), 0));
    }
}
