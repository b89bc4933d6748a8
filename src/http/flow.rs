//! Bytes that were made for clients and that those have not read: how many there may be, and who has to give way.
//!
//! Answers are made as fast as the store gives them, so that a slow reader holds memory and not a thread. When memory is
//! full, who reads nothing is cut off; without anybody like that, makers wait for readers.

use super::connections::{Order, Slot};
use parking_lot::{Condvar, Mutex};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

/// Answers that are made at once.
pub(super) const MAKERS: usize = 4;

/// A client that reads no piece in this time is cut off when others need its room.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often somebody who waits looks again.
const LOOK: Duration = Duration::from_millis(50);

pub(super) struct Flow {
    most: usize,
    state: Mutex<State>,
    freed: Condvar,
    makers: Mutex<Makers>,
}

#[derive(Default)]
struct State {
    bytes: usize,
    last_id: u64,
    answers: Vec<Outgoing>,
}

/// An answer on its way.
struct Outgoing {
    id: u64,
    /// Of these its client has not read.
    bytes: usize,
    /// When the client last read a piece, or there was first one to read.
    moved: Instant,
    is_made: bool,
    slot: Arc<Slot>,
}

impl Outgoing {
    fn is_going(&self) -> bool {
        self.slot.ordered() == Order::Close
    }
}

/// Who makes answers, and who is waiting to.
struct Makers {
    free: usize,
    /// The last one is next: those that wait long are an attack more often than not, and their clients give up first.
    waiting: Vec<oneshot::Sender<Maker>>,
}

/// Leave to make an answer.
pub(super) struct Maker(Arc<Flow>);

impl Drop for Maker {
    fn drop(&mut self) {
        let mut makers = self.0.makers.lock();
        while let Some(next) = makers.waiting.pop() {
            if !next.is_closed() {
                drop(makers);
                // If it is gone after all, this comes back to here.
                let _ = next.send(Maker(self.0.clone()));
                return;
            }
        }
        makers.free += 1;
    }
}

impl Flow {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            state: Mutex::default(),
            freed: Condvar::new(),
            makers: Mutex::new(Makers {
                free: MAKERS,
                waiting: Vec::new(),
            }),
        })
    }

    /// Leave to make an answer, which only a few have at once. If there is none, somebody who reads nothing loses his.
    pub(super) async fn maker(self: &Arc<Self>) -> Maker {
        loop {
            let mut leave = match self.apply() {
                Ok(maker) => return maker,
                Err(leave) => leave,
            };
            loop {
                match timeout(LOOK, &mut leave).await {
                    Ok(Ok(maker)) => return maker,
                    Ok(Err(_)) => break,
                    Err(_) => self
                        .state
                        .lock()
                        .cut(Instant::now(), 1, |answer| !answer.is_made),
                }
            }
        }
    }

    /// A maker, or where one will come.
    fn apply(self: &Arc<Self>) -> Result<Maker, oneshot::Receiver<Maker>> {
        let mut makers = self.makers.lock();
        if makers.free > 0 {
            makers.free -= 1;
            return Ok(Maker(self.clone()));
        }
        makers.waiting.retain(|other| !other.is_closed());
        let (to, leave) = oneshot::channel();
        makers.waiting.push(to);
        Err(leave)
    }

    /// Cuts off so many clients that are out of patience, those first that have read nothing for longest.
    pub(super) fn cut(&self, clients: usize) {
        let now = Instant::now();
        let state = self.state.lock();
        for _ in 0..clients {
            let Some(worst) = state.worst(now, |_| true) else {
                return;
            };
            worst.slot.order(Order::Close);
        }
    }

    pub(super) fn begin(self: &Arc<Self>, slot: Arc<Slot>) -> Outlet {
        let mut state = self.state.lock();
        state.last_id += 1;
        let id = state.last_id;
        state.answers.push(Outgoing {
            id,
            bytes: 0,
            moved: Instant::now(),
            is_made: false,
            slot,
        });
        Outlet {
            flow: self.clone(),
            id,
            is_first: true,
        }
    }
}

impl State {
    /// Cuts off clients that are out of patience, those first that have read nothing for longest, until `bytes` are coming
    /// free; of those that `may` be, and that are not going already.
    fn cut(&self, now: Instant, bytes: usize, may: impl Fn(&Outgoing) -> bool) {
        let going = self
            .answers
            .iter()
            .filter(|answer| answer.is_going() && may(answer));
        let mut coming: usize = going.map(|answer| answer.bytes).sum();
        while coming < bytes {
            let Some(worst) = self.worst(now, &may) else {
                return;
            };
            worst.slot.order(Order::Close);
            coming += worst.bytes;
        }
    }

    /// Who has read nothing for longest, of those that are out of patience and not going already.
    fn worst(&self, now: Instant, may: impl Fn(&Outgoing) -> bool) -> Option<&Outgoing> {
        let stalled = self.answers.iter().filter(|answer| {
            let is_out = now.duration_since(answer.moved) >= PATIENCE;
            answer.bytes > 0 && is_out && !answer.is_going() && may(answer)
        });
        stalled.min_by_key(|answer| answer.moved)
    }
}

/// The maker's end of an answer.
pub(super) struct Outlet {
    flow: Arc<Flow>,
    id: u64,
    is_first: bool,
}

impl Outlet {
    /// Room for `bytes` more; waits for it. The first piece never waits, so that small answers always go.
    ///
    /// # Errors
    ///
    /// When the client is gone, or was cut off.
    pub(super) fn take(&mut self, bytes: usize, is_gone: impl Fn() -> bool) -> io::Result<Lease> {
        let mut state = self.flow.state.lock();
        while !std::mem::take(&mut self.is_first) && state.bytes + bytes > self.flow.most {
            if is_gone() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let short = state.bytes + bytes - self.flow.most;
            state.cut(Instant::now(), short, |answer| answer.id != self.id);
            self.flow.freed.wait_for(&mut state, LOOK);
        }
        state.bytes += bytes;
        if let Some(answer) = state.answers.iter_mut().find(|answer| answer.id == self.id) {
            if answer.bytes == 0 {
                answer.moved = Instant::now();
            }
            answer.bytes += bytes;
        }
        Ok(Lease {
            flow: self.flow.clone(),
            id: self.id,
            bytes,
        })
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        let mut state = self.flow.state.lock();
        if let Some(answer) = state.answers.iter_mut().find(|answer| answer.id == self.id) {
            answer.is_made = true;
        }
        state
            .answers
            .retain(|answer| answer.id != self.id || answer.bytes > 0);
    }
}

/// Room that a piece has until its client has read it, or is gone.
pub(super) struct Lease {
    flow: Arc<Flow>,
    id: u64,
    bytes: usize,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.flow.state.lock();
        state.bytes -= self.bytes;
        if let Some(answer) = state.answers.iter_mut().find(|answer| answer.id == self.id) {
            answer.bytes -= self.bytes;
            answer.moved = Instant::now();
        }
        let id = self.id;
        state
            .answers
            .retain(|answer| answer.id != id || answer.bytes > 0 || !answer.is_made);
        drop(state);
        self.flow.freed.notify_all();
    }
}
