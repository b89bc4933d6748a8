//! The connections that are open: what each is doing and since when, and which one has to go.

use super::options::Limits;
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// Who is in line for this long gives way to who comes, if there is no other place: those that are many at once are an
/// attack more often than not, and the last to come are served first anyway.
const IN_LINE: Duration = Duration::from_millis(100);

/// A connection, as its task, its requests and the listener see it.
pub(super) struct Slot {
    state: Mutex<State>,
    order: AtomicU8,
    ordered: Notify,
    connections: Arc<Connections>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    phase: Phase,
    /// When that began.
    since: Instant,
    opened: Instant,
    /// It had an answer before.
    is_known: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// For the first byte of a request.
    Waiting,
    /// There is a part of a request.
    Reading,
    /// There is a whole request, and nobody to make its answer yet.
    InLine,
    /// There is a whole request, and its answer has not been read.
    Answering,
}

/// What a connection is told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Order {
    None,
    /// To end with the answer that is under way.
    Finish,
    Close,
}

/// What the time says of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Close,
    LookAgain(Instant),
}

impl State {
    /// There is a whole request.
    fn is_asking(&self) -> bool {
        matches!(self.phase, Phase::InLine | Phase::Answering)
    }

    /// Pure: decides, and somebody else carries it out.
    fn verdict(&self, limits: &Limits, now: Instant) -> Verdict {
        let of_phase = match self.phase {
            Phase::Waiting => limits.idle,
            Phase::Reading => limits.header,
            Phase::InLine | Phase::Answering => limits.request,
        };
        let mut end = self.since + of_phase;
        if !self.is_asking() {
            end = end.min(self.opened + limits.connection);
        }
        if end <= now {
            return Verdict::Close;
        }
        // A phase that begins meanwhile may be over before this one would be.
        let shortest = limits.idle.min(limits.header).min(limits.request);
        Verdict::LookAgain(end.min(now + shortest))
    }
}

impl Slot {
    pub(super) fn verdict(&self, limits: &Limits, now: Instant) -> Verdict {
        self.state.lock().verdict(limits, now)
    }

    /// Bytes have come.
    pub(super) fn has_read(&self) {
        let mut state = self.state.lock();
        if state.phase == Phase::Waiting {
            state.phase = Phase::Reading;
            state.since = Instant::now();
        }
    }

    /// A request is whole; it is being answered until what this gives is dropped.
    pub(super) fn answering(self: &Arc<Self>) -> Arc<Turn> {
        let mut state = self.state.lock();
        state.phase = Phase::Answering;
        state.since = Instant::now();
        Arc::new(Turn(self.clone()))
    }

    /// The request waits for somebody to make its answer, or does so no more.
    pub(super) fn set_in_line(&self, waits: bool) {
        let mut state = self.state.lock();
        if state.is_asking() {
            state.phase = if waits {
                Phase::InLine
            } else {
                Phase::Answering
            };
        }
    }

    pub(super) fn is_answering(&self) -> bool {
        self.state.lock().is_asking()
    }

    pub(super) fn order(&self, order: Order) {
        self.order.fetch_max(order as u8, Relaxed);
        self.ordered.notify_one();
    }

    pub(super) fn ordered(&self) -> Order {
        match self.order.load(Relaxed) {
            0 => Order::None,
            1 => Order::Finish,
            _ => Order::Close,
        }
    }

    /// Until there is an order that nobody waited for yet.
    pub(super) async fn next_order(&self) -> Order {
        self.ordered.notified().await;
        self.ordered()
    }
}

/// A request that is being answered: held by its body, and by every piece of that on its way.
pub(super) struct Turn(Arc<Slot>);

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.phase = Phase::Waiting;
        state.since = Instant::now();
        state.is_known = true;
        drop(state);
        self.0.connections.changed.notify_one();
    }
}

/// All that are open.
pub(super) struct Connections {
    most: usize,
    slots: Mutex<Vec<Arc<Slot>>>,
    /// One has ended, or has nothing to do.
    pub(super) changed: Notify,
}

impl Connections {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            slots: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// A place for one more: a free one, or that of the one that has waited longest, which is told to go. `None`: all are
    /// being answered.
    pub(super) fn open(self: &Arc<Self>) -> Option<Arc<Slot>> {
        let now = Instant::now();
        let mut slots = self.slots.lock();
        if slots.len() >= self.most {
            let at = oldest(slots.iter().map(|slot| *slot.state.lock()), now)?;
            slots.swap_remove(at).order(Order::Close);
        }
        let slot = Arc::new(Slot {
            state: Mutex::new(State {
                phase: Phase::Waiting,
                since: now,
                opened: now,
                is_known: false,
            }),
            order: AtomicU8::new(Order::None as u8),
            ordered: Notify::new(),
            connections: self.clone(),
        });
        slots.push(slot.clone());
        Some(slot)
    }

    pub(super) fn closed(&self, slot: &Arc<Slot>) {
        self.slots.lock().retain(|other| !Arc::ptr_eq(other, slot));
        self.changed.notify_one();
    }

    pub(super) fn order_all(&self, order: Order) {
        for slot in &*self.slots.lock() {
            slot.order(order);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.lock().is_empty()
    }
}

/// Of those that wait, the one that has for longest; one that never had an answer before any that had: a scraper comes back
/// to its connection, somebody who sends a byte a second does not. At last one that is in line.
fn oldest(states: impl Iterator<Item = State>, now: Instant) -> Option<usize> {
    let waiting = states.enumerate().filter(|(_, state)| match state.phase {
        Phase::Waiting | Phase::Reading => true,
        Phase::InLine => now.duration_since(state.since) >= IN_LINE,
        Phase::Answering => false,
    });
    waiting
        .min_by_key(|(_, state)| (state.is_asking(), state.is_known, state.since))
        .map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::options::ServeOptions;

    fn state(phase: Phase, since: Instant, is_known: bool) -> State {
        State {
            phase,
            since,
            opened: since,
            is_known,
        }
    }

    #[test]
    fn each_phase_has_its_time() {
        let limits = ServeOptions::new().limits;
        let start = Instant::now();
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        for (phase, seconds) in [
            (Phase::Waiting, 120),
            (Phase::Reading, 5),
            (Phase::InLine, 30),
            (Phase::Answering, 30),
        ] {
            let state = state(phase, start, false);
            assert_eq!(
                state.verdict(&limits, after(seconds)),
                Verdict::Close,
                "{phase:?}"
            );
            let almost = after(seconds) - Duration::from_millis(1);
            assert_eq!(
                state.verdict(&limits, almost),
                Verdict::LookAgain(after(seconds)),
                "{phase:?}"
            );
            let Verdict::LookAgain(at) = state.verdict(&limits, start) else {
                panic!("{phase:?}")
            };
            assert!(
                at <= after(5),
                "a request that begins now may be too slow before {at:?}"
            );
        }
        let mut old = state(Phase::Waiting, after(3590), true);
        old.opened = start;
        assert_eq!(old.verdict(&limits, after(3600)), Verdict::Close);
        old.phase = Phase::Answering;
        assert_ne!(
            old.verdict(&limits, after(3600)),
            Verdict::Close,
            "an answer is not cut"
        );
    }

    #[test]
    fn who_waits_longest_without_an_answer_goes_first() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let all = [
            state(Phase::Answering, at(0), false),
            state(Phase::Waiting, at(1), true),
            state(Phase::Reading, at(3), false),
            state(Phase::Waiting, at(2), false),
        ];
        let oldest = |states: &[State], now| oldest(states.iter().copied(), now);
        assert_eq!(oldest(&all, at(9)), Some(3));
        assert_eq!(oldest(&all[..3], at(9)), Some(2));
        assert_eq!(oldest(&all[..2], at(9)), Some(1));
        assert_eq!(oldest(&all[..1], at(900)), None);
        // Who is in line is asked last, and only after a while.
        let line = [
            state(Phase::InLine, at(1), false),
            state(Phase::InLine, at(0), true),
            state(Phase::Waiting, at(100), true),
        ];
        assert_eq!(oldest(&line, at(900)), Some(2));
        assert_eq!(oldest(&line[..2], at(102)), Some(0));
        assert_eq!(oldest(&line[..2], at(99)), None);
    }
}
