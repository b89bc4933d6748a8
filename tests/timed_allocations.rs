//! `#[timed(alloc)]`: each call has what it asked the allocator for, to the byte, on whatever threads it ran.

mod common;
#[path = "common/once.rs"]
mod once;

use common::Store;
use metrics_recall::{MetricKind, Value, alloc::CountingAllocator, secs, timed};
use once::Once;
use std::{
    cell::Cell,
    hint::black_box,
    panic::catch_unwind,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::system();

/// Histograms of allocations that `f` leaves behind: name and labels, how many calls, and their sum.
fn counted(f: impl FnOnce()) -> Vec<(String, u64, f64)> {
    let store = Store::default();
    store.recorder.scope(f);
    store.tick(secs(1));
    let all = store.recall.values(MetricKind::Histogram).into_iter();
    let all = all.filter(|series| series.name.contains("alloc"));
    let shown = all.map(|series| {
        let Value::Histogram { count, sum, .. } = series.value else {
            panic!("{series}");
        };
        let labels = series.labels.to_string();
        let labels = if labels == "{}" { "" } else { &labels };
        (format!("{}{labels}", series.name), count, sum)
    });
    shown.collect()
}

fn rows(expected: &[(&str, u64, f64)]) -> Vec<(String, u64, f64)> {
    let rows = expected.iter();
    rows.map(|(name, count, sum)| ((*name).to_owned(), *count, *sum))
        .collect()
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn block(bytes: usize) -> Vec<u8> {
    black_box(vec![1; bytes])
}

#[timed(alloc)]
fn blocks(n: usize) -> usize {
    // Of each, that it was asked for counts, and not that it was freed.
    (0..n).map(|_| block(100).len()).sum()
}

#[timed(name = "load_duration_seconds", labels(kind = "file"), result, alloc)]
fn load(bytes: usize) -> Result<Vec<u8>, String> {
    let loaded = block(bytes);
    if bytes > 1_000 {
        return Err(String::from("large"));
    }
    assert!(bytes < 1_000, "on purpose");
    Ok(loaded)
}

#[timed(name = "fetch_seconds", alloc)]
async fn fetch(bytes: usize) -> usize {
    let first = block(bytes);
    Once::default().await;
    let second = block(bytes);
    first.len() + second.len()
}

#[test]
fn a_call_has_what_it_asked_for() {
    let seen = counted(|| {
        assert_eq!(blocks(3), 300);
        assert_eq!(blocks(0), 0);
    });
    let of = r#"{function="timed_allocations::blocks"}"#;
    let expected = [
        (&*format!("function_allocated_bytes{of}"), 2, 300.0),
        (&*format!("function_allocations{of}"), 2, 3.0),
    ];
    assert_eq!(seen, rows(&expected));
}

#[test]
fn ends_are_told_apart_as_those_of_the_time_are() {
    let seen = counted(|| {
        assert_eq!(load(10).unwrap().len(), 10);
        assert_eq!(load(20).unwrap().len(), 20);
        assert!(load(2_000).is_err());
    });
    let expected = [
        (
            r#"load_allocated_bytes{kind="file",result="err"}"#,
            1,
            2_005.0,
        ),
        (r#"load_allocated_bytes{kind="file",result="ok"}"#, 2, 30.0),
        (r#"load_allocations{kind="file",result="err"}"#, 1, 2.0),
        (r#"load_allocations{kind="file",result="ok"}"#, 2, 2.0),
    ];
    assert_eq!(seen, rows(&expected));
    // What the panic itself allocates is part of the call.
    let seen = counted(|| assert!(catch_unwind(|| load(1_000)).is_err()));
    assert_eq!(
        seen[0].0,
        r#"load_allocated_bytes{kind="file",result="panic"}"#
    );
    assert!(seen[0].2 >= 1_000.0 && seen.len() == 2, "{seen:?}");
}

/// What this thread does between the polls of a future, and what it did before it was given one, is not the future's.
#[test]
fn a_future_has_what_its_polls_asked_for_on_whatever_threads() {
    let seen = counted(|| {
        let mut future = Box::pin(fetch(1_000));
        assert!(poll(future.as_mut()).is_pending());
        drop(block(5_000));
        let (last, recorder) = std::thread::scope(|threads| {
            let elsewhere = threads.spawn(|| {
                drop(block(7_000));
                let store = Store::default();
                let done = store.recorder.scope(|| poll(future.as_mut()));
                store.tick(secs(1));
                let bytes = store.recall.histograms("fetch_allocated_bytes");
                (done, bytes.over(secs(1)).sum())
            });
            elsewhere.join().unwrap()
        });
        assert_eq!((last, recorder), (Poll::Ready(2_000), Some(2_000.0)));
    });
    assert_eq!(seen, [], "the one that heard of it is where it ended");
}

#[test]
fn a_future_that_is_given_up_says_so_here_too() {
    #[timed(name = "burst_seconds", alloc)]
    fn opaque(bytes: usize) -> impl Future<Output = usize> {
        let made = block(bytes);
        async move {
            let polled = block(bytes);
            Once::default().await;
            made.len() + polled.len()
        }
    }
    let seen = counted(|| {
        assert!(poll(pin!(fetch(500))).is_pending());
        // What is done before the first poll is not timed, and not counted.
        assert!(poll(pin!(opaque(300))).is_pending());
    });
    let expected = [
        (r#"burst_allocated_bytes{result="cancelled"}"#, 1, 300.0),
        (r#"burst_allocations{result="cancelled"}"#, 1, 1.0),
        (r#"fetch_allocated_bytes{result="cancelled"}"#, 1, 500.0),
        (r#"fetch_allocations{result="cancelled"}"#, 1, 1.0),
    ];
    assert_eq!(seen, rows(&expected));
}

#[test]
fn computed_labels_are_computed_once_and_cost_the_call_nothing() {
    thread_local! {
        static ASKED: Cell<u32> = const { Cell::new(0) };
    }
    fn next() -> u32 {
        ASKED.set(ASKED.get() + 1);
        ASKED.get()
    }

    struct Cart(Vec<u8>);

    impl Cart {
        #[timed(name = "add_seconds", labels(n = next()), alloc)]
        fn add<'a>(&'a mut self, of: &impl AsRef<[u8]>) -> &'a [u8] {
            self.0 = Vec::with_capacity(64);
            self.0.extend(of.as_ref());
            &self.0
        }
    }

    let seen = counted(|| {
        let mut cart = Cart(Vec::new());
        assert_eq!(cart.add(b"abc"), b"abc");
        assert_eq!(ASKED.get(), 1);
    });
    let expected = [
        (r#"add_allocated_bytes{n="1"}"#, 1, 64.0),
        (r#"add_allocations{n="1"}"#, 1, 1.0),
    ];
    assert_eq!(seen, rows(&expected));
}

#[test]
fn a_call_within_a_call_counts_for_both() {
    #[timed(name = "outer_seconds", alloc)]
    fn outer() -> usize {
        block(50).len() + inner()
    }

    #[timed(name = "inner_seconds", alloc)]
    fn inner() -> usize {
        block(25).len()
    }

    let of = |name: &str, seen: &[(String, u64, f64)]| {
        let row = seen.iter().find(|row| row.0 == name);
        row.map(|row| row.2)
    };
    // Once series are known, recording adds nothing to the outer call.
    let seen = counted(|| {
        for _ in 0..3 {
            assert_eq!(outer(), 75);
        }
    });
    assert_eq!(of("inner_allocated_bytes", &seen), Some(75.0));
    assert!(
        of("outer_allocated_bytes", &seen) >= Some(225.0),
        "{seen:?}"
    );
}
