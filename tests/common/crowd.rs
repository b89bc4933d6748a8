//! Threads at work together in a test. When one of them fails, nobody waits for it: the others end, and the test fails with
//! what it said.

use std::{
    panic::resume_unwind,
    sync::{
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, Scope, ScopedJoinHandle},
};

/// Sets its flag when it goes, also by a panic.
struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Waits until the thread is gone, its thread-locals too, and fails as it did; the end of a scope does neither.
fn join(thread: ScopedJoinHandle<'_, ()>) {
    if let Err(panic) = thread.join() {
        resume_unwind(panic);
    }
}

/// Runs `work` while another thread does `beside` over and over, once at least.
pub fn alongside<T>(mut beside: impl FnMut() + Send, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            loop {
                beside();
                if done.load(SeqCst) {
                    break;
                }
            }
        });
        let at_end = AtEnd(&done);
        let result = work();
        drop(at_end);
        join(other);
        result
    })
}

/// Runs `work` on `count` threads at once, each with its number.
pub fn on_threads(count: usize, work: impl Fn(usize) + Sync) {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|n| scope.spawn(move || work(n))).collect();
        threads.into_iter().for_each(join);
    });
}

/// Threads that stay, and rest between their rounds.
pub struct Crowd<'scope> {
    members: Vec<Member<'scope>>,
}

struct Member<'scope> {
    /// The thread ends when nobody can send it a round any more.
    go: Sender<usize>,
    /// Breaks off when the thread fails.
    rested: Receiver<()>,
    /// `None`: it has failed.
    thread: Option<ScopedJoinHandle<'scope, ()>>,
}

/// Has `lead` send `count` threads from round to round: in each, a thread does its `work`, given its own number and that
/// of the round. Returns when they are gone.
pub fn crowd(count: usize, work: impl Fn(usize, usize) + Sync, lead: impl FnOnce(&mut Crowd)) {
    let work = &work;
    thread::scope(|scope| {
        let member = |n| Member::spawn(scope, move |round| work(n, round));
        let mut crowd = Crowd {
            members: (0..count).map(member).collect(),
        };
        lead(&mut crowd);
        crowd.dismiss();
    });
}

impl<'scope> Member<'scope> {
    fn spawn(scope: &'scope Scope<'scope, '_>, work: impl Fn(usize) + Send + 'scope) -> Self {
        let (go, rounds) = channel();
        let (rest, rested) = channel();
        let thread = scope.spawn(move || {
            for round in rounds {
                work(round);
                // Nobody listens any more when the leader has failed.
                let _ = rest.send(());
            }
        });
        Self {
            go,
            rested,
            thread: Some(thread),
        }
    }

    fn wait(&mut self) {
        if self.rested.recv().is_err() {
            self.thread.take().into_iter().for_each(join);
        }
    }
}

impl Crowd<'_> {
    /// Sends one of them into a round.
    pub fn start(&self, member: usize, round: usize) {
        // One that has failed is met by `wait`.
        let _ = self.members[member].go.send(round);
    }

    /// Returns when one of them is at rest.
    ///
    /// # Panics
    ///
    /// As the thread did.
    pub fn wait(&mut self, member: usize) {
        self.members[member].wait();
    }

    pub fn start_all(&self, round: usize) {
        (0..self.members.len()).for_each(|member| self.start(member, round));
    }

    pub fn wait_for_all(&mut self) {
        self.members.iter_mut().for_each(Member::wait);
    }

    /// Sends all into a round, and returns when they are at rest.
    pub fn run(&mut self, round: usize) {
        self.start_all(round);
        self.wait_for_all();
    }

    fn dismiss(self) {
        for Member { go, thread, .. } in self.members {
            drop(go);
            thread.into_iter().for_each(join);
        }
    }
}
