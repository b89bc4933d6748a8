//! A test with threads that fails, ends: whoever of them fails, the others do not wait for ever, and its message arrives.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/crowd.rs"]
mod crowd;
#[allow(dead_code, unsafe_code, reason = "each test uses a part of it")]
#[path = "common/heap.rs"]
mod heap;

use crowd::{Crowd, alongside, crowd, on_threads};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

/// Runs what should fail; gives its message. What takes half a minute hangs.
fn failure(work: impl FnOnce() + Send) -> String {
    thread::scope(|scope| {
        let (done, ended) = mpsc::channel();
        scope.spawn(move || done.send(catch_unwind(AssertUnwindSafe(work))));
        let result = ended.recv_timeout(Duration::from_secs(30));
        let Ok(result) = result else {
            eprintln!("it hangs");
            // Joining it would hang as well.
            std::process::abort();
        };
        *result.unwrap_err().downcast::<&str>().unwrap()
    })
    .to_owned()
}

#[test]
fn a_crowd_works_round_by_round_and_rests_in_between() {
    let sum = AtomicUsize::new(0);
    let work = |me: usize, round: usize| {
        sum.fetch_add(10 * round + me, SeqCst);
    };
    let lead = |crowd: &mut Crowd| {
        crowd.run(1);
        assert_eq!(sum.load(SeqCst), 33);
        crowd.start_all(2);
        crowd.wait_for_all();
        assert_eq!(sum.load(SeqCst), 96);
        crowd.start(2, 5);
        crowd.wait(2);
        assert_eq!(sum.load(SeqCst), 148);
    };
    crowd(3, work, lead);
    on_threads(2, |n| {
        sum.fetch_sub(n, SeqCst);
    });
    assert_eq!(sum.load(SeqCst), 147);
}

#[test]
fn a_crowd_ends_when_one_of_it_fails() {
    let work = |me, round| assert!((me, round) != (1, 2), "a member");
    let lead = |crowd: &mut Crowd| (1..4).for_each(|round| crowd.run(round));
    assert_eq!(failure(|| crowd(3, work, lead)), "a member");
    let alone = |crowd: &mut Crowd| {
        crowd.start(1, 2);
        crowd.start(0, 1);
        crowd.wait(0);
    };
    assert_eq!(failure(|| crowd(3, work, alone)), "a member");
}

#[test]
fn a_crowd_ends_when_its_leader_fails() {
    let at_rest = |_: &mut Crowd| panic!("the leader");
    assert_eq!(failure(|| crowd(3, |_, _| (), at_rest)), "the leader");
    let at_work = |crowd: &mut Crowd| {
        crowd.start_all(1);
        panic!("the leader");
    };
    assert_eq!(failure(|| crowd(3, |_, _| (), at_work)), "the leader");
}

#[test]
fn threads_at_once_end_when_one_fails() {
    let work = |n| assert!(n != 1, "one of them");
    assert_eq!(failure(|| on_threads(3, work)), "one of them");
}

#[test]
fn what_runs_alongside_ends_with_the_work_or_without_it() {
    let sum = AtomicUsize::new(0);
    let step = || {
        sum.fetch_add(1, SeqCst);
    };
    let until = |n| {
        while sum.load(SeqCst) < n {
            thread::yield_now();
        }
    };
    alongside(step, || until(5));
    let end = sum.load(SeqCst);
    let fails = || {
        alongside(step, || {
            until(end + 5);
            panic!("the work");
        });
    };
    assert_eq!(failure(fails), "the work");
    assert_eq!(failure(|| alongside(|| panic!("beside"), || ())), "beside");
    let both = || alongside(step, || on_threads(2, |_| panic!("deep down")));
    assert_eq!(failure(both), "deep down");
}

#[test]
fn threads_that_wait_at_once_are_let_go() {
    heap::wait_at_once(5);
    heap::wait_at_once(0);
}
