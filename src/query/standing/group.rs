//! One group of a standing question: its series, the stretch of the axis that its state is about, and how it moves on.

use super::{
    counters::Rises,
    gauges::{Levels, Rows},
    piles::{Heads, Piled},
    view::View,
};
use crate::{
    history::Charge,
    ledger::Full,
    model::{Labels, MetricKind, frame::SeriesId, schema::Schema},
    query::{Aggregation, Member, gauge_walk::Unpacked, pile::Pile, question::per_second},
    util::{layout, sum::Sum},
};

/// Points that are read at once before they leave: a chunk is opened once for all of them.
pub(super) const READ_AHEAD: usize = 16;

/// Working memory for all groups.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) unpacked: Box<Unpacked>,
    pub(super) rows: Rows,
    pub(super) heads: Heads,
    pub(super) charge: Charge,
}

impl Scratch {
    pub(super) fn new(charge: Charge) -> Result<Self, Full> {
        let mut charge = charge;
        charge.add(size_of::<Unpacked>())?;
        Ok(Self {
            unpacked: Box::new(Unpacked::new()),
            rows: Rows::new(charge.beside(0)?),
            heads: Heads::new(charge.beside(0)?),
            charge,
        })
    }
}

/// Series with equal values of the labels that are grouped by, and what they add up to.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) labels: Labels,
    /// In the order in which a question adds them up.
    pub(super) ids: Vec<SeriesId>,
    /// A bit for each retention class that one of them has.
    pub(super) classes: u8,
    /// What the state is about; `None`: nothing yet, or a window without points.
    held: Option<Held>,
    /// The state holds something until here that cannot be taken out of it: a question is asked as any other meanwhile.
    blurred_ns: Option<u64>,
    state: State,
    /// Last, so that it is given back last.
    charge: Charge,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    begin_ns: u64,
    first_end_ns: u64,
    end_ns: u64,
    missing_ns: u64,
    is_split: bool,
    oldest_ns: u64,
    points: usize,
    scale: u8,
    covered_ns: u64,
}

#[derive(Debug)]
enum State {
    Rises(Rises),
    Levels(Box<Levels>),
    Piled(Box<Piled>),
}

/// What a group can say.
pub(super) enum Said {
    Value(Option<f64>),
    /// It has to be asked as any other question.
    Unknown,
}

/// Whether answers of this kind can be kept from tick to tick.
pub(super) fn is_kept(kind: MetricKind, aggregation: Aggregation) -> bool {
    use Aggregation::{Avg, Count, Increase, Max, Min, Rate, StdDev, Sum};
    match kind {
        MetricKind::Counter => matches!(aggregation, Increase | Rate | Avg),
        MetricKind::Gauge => matches!(aggregation, Avg | Count | Max | Min | Sum),
        MetricKind::Histogram => {
            matches!(aggregation, Avg | Count | Max | Min | Rate | StdDev | Sum)
                || aggregation.quantile().is_some()
        }
    }
}

impl Group {
    /// Without series yet.
    pub(super) fn new(
        kind: MetricKind,
        labels: Labels,
        schema: &'static Schema,
        mut charge: Charge,
    ) -> Result<Self, Full> {
        charge.add(labels.bytes())?;
        let state = match kind {
            MetricKind::Counter => State::Rises(Rises::default()),
            MetricKind::Gauge => {
                charge.add(size_of::<Levels>())?;
                State::Levels(Box::default())
            }
            MetricKind::Histogram => {
                charge.add(size_of::<Piled>())?;
                let pile = Pile::new(schema, charge.beside(0)?);
                State::Piled(Box::new(Piled::new(pile)))
            }
        };
        Ok(Self {
            labels,
            ids: Vec::new(),
            classes: 1,
            held: None,
            blurred_ns: None,
            state,
            charge,
        })
    }

    /// Everything is to be read anew.
    pub(super) fn forget(&mut self) {
        self.held = None;
    }

    /// These are its series now. New ones have no points that the state should know of: they came since the last tick.
    pub(super) fn adopt(&mut self, members: &[Member], scratch: &Charge) -> Result<(), Full> {
        let classes = members
            .iter()
            .map(|m| 1 << crate::model::frame::class_of(m.id));
        let classes = classes.fold(0, |all: u8, class: u8| all | class).max(1);
        let same = self.ids.len() == members.len()
            && self
                .ids
                .iter()
                .zip(members)
                .all(|(id, member)| *id == member.id);
        if same && classes == self.classes {
            return Ok(());
        }
        let _room = scratch.beside(
            layout::vec::<(SeriesId, usize)>(self.ids.len())
                + layout::vec::<Option<usize>>(members.len()),
        )?;
        let mut known: Vec<(SeriesId, usize)> = Vec::with_capacity(self.ids.len());
        known.extend(self.ids.iter().enumerate().map(|(place, id)| (*id, place)));
        known.sort_unstable();
        let mut places: Vec<Option<usize>> = Vec::with_capacity(members.len());
        places.extend(members.iter().map(|member| {
            let at = known
                .binary_search_by_key(&member.id, |known| known.0)
                .ok()?;
            known.get(at).map(|known| known.1)
        }));
        let stay = places.iter().flatten().count();
        if stay < self.ids.len() || classes != self.classes {
            self.held = None;
        }
        // Without room it has to be read anew.
        let held = self.held.take();
        if let (State::Levels(levels), true) = (&mut self.state, held.is_some()) {
            levels.rearrange(&places, &mut self.charge)?;
        }
        self.set_ids(members)?;
        self.classes = classes;
        self.held = held;
        Ok(())
    }

    fn set_ids(&mut self, members: &[Member]) -> Result<(), Full> {
        let capacity = self.ids.capacity();
        if capacity < members.len() || members.len() < capacity / 4 {
            self.charge.add(layout::vec::<SeriesId>(members.len()))?;
            self.ids = Vec::with_capacity(members.len());
            self.charge.give_back(layout::vec::<SeriesId>(capacity));
        }
        self.ids.clear();
        self.ids.extend(members.iter().map(|member| member.id));
        Ok(())
    }

    /// Moves on to another window. False: it has to be read anew.
    pub(super) fn advance(&mut self, view: &View<'_>, scratch: &mut Scratch) -> Result<bool, Full> {
        if view.points.is_empty() {
            self.held = None;
            self.blurred_ns = None;
            return Ok(true);
        }
        let Some(held) = self.held.take() else {
            return Ok(false);
        };
        let is_moved = match self.state {
            State::Rises(_) => false,
            State::Piled(_) => held.scale != view.scale,
            // What a gauge was at a gap is known from before it, until history drops that.
            State::Levels(_) => {
                held.missing_ns != view.missing_ns
                    || view.missing_ns > 0 && held.oldest_ns != view.oldest_ns
            }
        };
        let (begin, was) = (
            (view.begin_ns, view.first_end_ns),
            (held.begin_ns, held.first_end_ns),
        );
        let is_other = begin < was || (begin.0 == was.0 && begin.1 != was.1);
        if is_moved || is_other || held.is_split || view.is_split {
            return Ok(false);
        }
        let Some(new) = view.since(held.end_ns) else {
            return Ok(false);
        };
        let old = if view.begin_ns == held.begin_ns {
            Some(view.points.start..view.points.start)
        } else {
            view.until(held.begin_ns, held.first_end_ns)
        };
        let Some(old) = old else {
            return Ok(false);
        };
        // Time that is missing now in the middle: history gave way there.
        let covered = (held.covered_ns + view.reach.covered_ns(&new))
            .checked_sub(view.reach.covered_ns(&old));
        if covered != Some(view.covered_ns) {
            return Ok(false);
        }
        // A coarse point weighs the mean of its ticks, not each of them.
        let is_coarser = held.points + new.len() != view.points.len() + old.len();
        if is_coarser && matches!(self.state, State::Levels(_)) {
            return Ok(false);
        }
        let Self {
            state, ids, charge, ..
        } = self;
        let is_good = match state {
            State::Rises(rises) => {
                rises.enter(ids, view, &new);
                rises.leave(ids, view, &old, charge)?
            }
            State::Levels(levels) => {
                let Scratch { unpacked, rows, .. } = scratch;
                view.is_whole(&new)
                    && levels.enter(ids, view, &new, unpacked, rows, charge)?
                    && levels.leave(ids, view, &old, unpacked, rows, charge)?
            }
            State::Piled(piled) => {
                let is_sharp = piled.enter(ids, view, &new, &mut scratch.heads, charge)?;
                if !is_sharp {
                    self.blurred_ns = Some(view.end_ns);
                }
                piled.leave(ids, view, &old, charge)?
            }
        };
        if is_good {
            self.hold(view);
        }
        Ok(is_good)
    }

    /// Reads the whole window.
    pub(super) fn build(
        &mut self,
        members: &[Member],
        view: &View<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Full> {
        self.held = None;
        self.blurred_ns = None;
        if view.points.is_empty() {
            return Ok(());
        }
        let Self {
            state, ids, charge, ..
        } = self;
        let is_sharp = match state {
            State::Rises(rises) => {
                rises.clear();
                rises.enter(ids, view, &view.points);
                true
            }
            State::Levels(levels) => {
                let Scratch { unpacked, rows, .. } = scratch;
                levels.build(members, view, unpacked, rows, charge)?
            }
            State::Piled(piled) => {
                piled.clear(view);
                piled.enter(ids, view, &view.points, &mut scratch.heads, charge)?
            }
        };
        self.hold(view);
        if !is_sharp {
            self.blurred_ns = Some(view.end_ns);
        }
        Ok(())
    }

    fn hold(&mut self, view: &View<'_>) {
        self.held = Some(Held {
            begin_ns: view.begin_ns,
            first_end_ns: view.first_end_ns,
            end_ns: view.end_ns,
            missing_ns: view.missing_ns,
            is_split: view.is_split,
            oldest_ns: view.oldest_ns,
            points: view.points.len(),
            scale: view.scale,
            covered_ns: view.covered_ns,
        });
        if self.blurred_ns.is_some_and(|until| until <= view.begin_ns) {
            // What cannot be taken out has left the window, and not the state.
            self.blurred_ns = None;
            self.held = None;
        }
        if let (State::Piled(piled), Some(held)) = (&mut self.state, self.held) {
            piled.settle(held.covered_ns);
        }
    }

    /// The answer over the window that it has moved to.
    #[expect(clippy::cast_precision_loss, reason = "an answer is a float")]
    pub(super) fn say(&self, aggregation: Aggregation) -> Said {
        let Some(held) = self.held else {
            return Said::Value(None);
        };
        if self.blurred_ns.is_some() {
            return Said::Unknown;
        }
        Said::Value(match &self.state {
            State::Rises(rises) => match aggregation {
                Aggregation::Increase => Some(rises.by as f64),
                _ => per_second(rises.by, held.covered_ns),
            },
            State::Levels(levels) if levels.is_nothing() => None,
            State::Levels(levels) => match aggregation {
                Aggregation::Avg => levels.avg(),
                Aggregation::Count => Some(levels.count as f64),
                Aggregation::Sum => (levels.count > 0).then(|| levels.sum.value()),
                Aggregation::Min => levels.extremes.get().map(|both| both.0),
                _ => levels.extremes.get().map(|both| both.1),
            },
            State::Piled(piled) => piled.pile.reading(aggregation).map(|reading| reading.value),
        })
    }
}

/// A sum of floats of which some are taken away again, and how large it was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    sum: Sum,
    peak: f64,
    adds: u32,
}

impl Sums {
    pub(super) fn add(&mut self, value: f64) {
        self.sum.add(value);
        self.peak = self.peak.max(self.sum.value().abs());
        self.adds = self.adds.saturating_add(1);
    }

    pub(super) fn value(&self) -> f64 {
        self.sum.value()
    }

    pub(super) fn exact(&self) -> Sum {
        self.sum
    }

    /// Whether rounding is no larger than that of a sum made anew: it goes with the largest sum that there was, and what is
    /// left of that may be small.
    pub(super) fn is_good(&self) -> bool {
        let left = self.value().abs();
        let is_small = |share: f64| left < self.peak * share;
        !(is_small(1e-20) && left > 0.0 || is_small(1e-10) && self.adds > 64)
    }
}
