//! `#[timed]` on whatever a function can be, with a recorder of ours, and what it costs.

#[path = "common/counting.rs"]
mod counting;

mod common;
#[path = "common/once.rs"]
mod once;

use common::Store;
use counting::Counting;
use metrics_recall::{MetricKind, Value, secs, timed};
use once::Once;
use std::{
    cell::Cell,
    fmt::{Debug, Display},
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What histograms a store has, and how often each was recorded to: `name{labels} n`.
fn counts(store: &Store) -> Vec<String> {
    store.tick(secs(1));
    let shown = |series: metrics_recall::SeriesValue| {
        let Value::Histogram { count, .. } = series.value else {
            return format!("{series}");
        };
        if series.labels.is_empty() {
            format!("{} {count}", series.name)
        } else {
            format!("{}{} {count}", series.name, series.labels)
        }
    };
    let all = store.recall.values(MetricKind::Histogram);
    all.into_iter().map(shown).collect()
}

/// What `f` leaves in a store.
fn counted(f: impl FnOnce()) -> Vec<String> {
    let store = Store::default();
    store.recorder.scope(f);
    counts(&store)
}

fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

/// Says what it is for.
#[timed]
#[must_use]
fn plain(a: u32, b: u32) -> u32 {
    a + b
}

#[timed(
    name = "parse_seconds",
    labels(kind = "number", code = 200, is_new = true),
    result
)]
fn parse(text: &str) -> Result<u32, std::num::ParseIntError> {
    if text == "seven" {
        return Ok(7);
    }
    let number: u32 = text.parse()?;
    Ok(number)
}

/// What the standard library says of `x`.
const NO_NUMBER: &str = "invalid digit found in string";

#[timed(name = "fetch_seconds", result)]
async fn fetch(text: &str) -> Result<String, Box<dyn std::error::Error>> {
    Once::default().await;
    let number: u32 = text.parse()?;
    Ok(number.to_string())
}

#[timed]
async fn nothing() {
    Once::default().await;
}

/// Outputs of which an `async` block has to be told, without a word of any lint.
mod told {
    use metrics_recall::timed;
    use std::{convert::Infallible, error::Error};

    #[timed]
    pub async fn empty() {}

    #[timed]
    pub async fn never() -> Infallible {
        std::future::pending().await
    }

    #[timed(result)]
    pub async fn boxed(text: &str) -> Result<u32, Box<dyn Error>> {
        let n: u32 = text.parse()?;
        Ok(n)
    }

    #[timed]
    pub async fn coerced() -> Box<dyn Fn() -> u32> {
        Box::new(|| 7)
    }
}

#[test]
fn outputs_are_told_to_the_block_that_makes_them() {
    let seen = counted(|| {
        run(told::empty());
        assert_eq!(run(told::boxed("12")).unwrap(), 12);
        assert_eq!(run(told::boxed("x")).unwrap_err().to_string(), NO_NUMBER);
        assert_eq!(run(told::coerced())(), 7);
        drop(told::never());
    });
    assert_eq!(seen.len(), 4, "{seen:?}");
}

#[test]
fn a_function_without_arguments_is_timed_by_its_path() {
    let seen = counted(|| assert_eq!(plain(1, 2), 3));
    assert_eq!(
        seen,
        [r#"function_duration_seconds{function="timed::plain"} 1"#]
    );
}

#[test]
fn an_end_is_told_by_question_mark_return_and_panic_alike() {
    #[timed(name = "fall_seconds", result)]
    fn fall(how: u8) -> Result<(), String> {
        match how {
            0 => Err("said so".to_owned()),
            1 => panic!("on purpose"),
            _ => Ok(()),
        }
    }
    let seen = counted(|| {
        assert_eq!(parse("12"), Ok(12));
        assert_eq!(parse("seven"), Ok(7));
        assert_eq!(parse("x").unwrap_err().to_string(), NO_NUMBER);
    });
    let labels = r#"code="200",is_new="true",kind="number""#;
    let expected = [
        format!(r#"parse_seconds{{{labels},result="err"}} 1"#),
        format!(r#"parse_seconds{{{labels},result="ok"}} 2"#),
    ];
    assert_eq!(seen, expected);
    let seen = counted(|| {
        assert_eq!(fall(0), Err("said so".to_owned()));
        let panic = catch_unwind(|| fall(1)).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"on purpose"));
        assert_eq!(fall(2), Ok(()));
    });
    let expected = ["err", "ok", "panic"].map(|end| format!(r#"fall_seconds{{result="{end}"}} 1"#));
    assert_eq!(seen, expected);
}

#[test]
fn a_future_tells_whether_it_was_given_up() {
    let seen = counted(|| {
        assert_eq!(run(fetch("12")).unwrap(), "12");
        assert_eq!(run(fetch("x")).unwrap_err().to_string(), NO_NUMBER);
        let mut context = Context::from_waker(Waker::noop());
        assert!(pin!(fetch("12")).poll(&mut context).is_pending());
        drop(fetch("12"));
    });
    let expected =
        ["cancelled", "err", "ok"].map(|end| format!(r#"fetch_seconds{{result="{end}"}} 1"#));
    assert_eq!(seen, expected);

    let seen = counted(|| {
        run(nothing());
        let mut context = Context::from_waker(Waker::noop());
        assert!(pin!(nothing()).poll(&mut context).is_pending());
    });
    let series = r#"function_duration_seconds{function="timed::nothing""#;
    assert_eq!(
        seen,
        [
            format!("{series}}} 1"),
            format!(r#"{series},result="cancelled"}} 1"#)
        ]
    );
}

#[test]
fn a_future_whose_poll_panics_did_not_just_stop() {
    #[timed(name = "burst_seconds", result)]
    async fn burst() -> Result<(), ()> {
        panic!("on purpose")
    }
    let seen = counted(|| assert!(catch_unwind(|| run(burst())).is_err()));
    assert_eq!(seen, [r#"burst_seconds{result="panic"} 1"#]);
}

#[test]
fn what_borrows_and_what_is_generic_works() {
    struct Cart {
        items: Vec<String>,
    }

    impl Cart {
        #[timed(name = "add_seconds", result)]
        fn add(&mut self, item: impl Into<String>) -> Result<&mut String, String> {
            let item = item.into();
            if item.is_empty() {
                return Err("an empty item".to_owned());
            }
            self.items.push(item);
            self.items.last_mut().ok_or_else(String::new)
        }

        #[timed(name = "first_seconds")]
        fn first(&self) -> Option<&str> {
            let first = self.items.first()?;
            Some(first)
        }

        #[timed(name = "each_seconds", result)]
        fn each(&self) -> Result<impl Iterator<Item = &str>, String> {
            let count: usize = "1".parse().map_err(|_| "no number".to_owned())?;
            let _: u8 = u8::try_from(count).map_err(|error| error.to_string())?;
            Ok(self.items.iter().map(String::as_str))
        }

        #[timed(name = "into_seconds", result)]
        fn into_items(self: Box<Self>) -> Result<Vec<String>, ()> {
            Ok(self.items)
        }

        #[timed(name = "find_seconds", result)]
        async fn find<'a>(&'a self, what: &'a str) -> Result<&'a str, String> {
            Once::default().await;
            let found = self.items.iter().find(|item| *item == what);
            Ok(found.ok_or("not there")?)
        }
    }

    #[timed(labels(function = "longest"))]
    fn longest<const N: usize, T>(all: [&T; N]) -> Option<&T>
    where
        T: AsRef<str> + ?Sized + Debug,
    {
        all.into_iter().max_by_key(|one| one.as_ref().len())
    }

    #[timed(name = "unsafe_seconds")]
    #[expect(unsafe_code, unsafe_op_in_unsafe_fn, reason = "timed as any other")]
    unsafe fn first_of(at: *const u8) -> u8 {
        *at
    }

    #[timed(name = "odd_seconds")]
    fn odd(mut r#in: u32, (a, _b): (u32, Rc<str>)) -> u32 {
        r#in += a;
        r#in
    }

    let seen = counted(|| {
        let mut cart = Cart { items: vec![] };
        cart.add("apple").unwrap().push('s');
        assert!(cart.add("").is_err());
        assert_eq!(cart.first(), Some("apples"));
        assert_eq!(cart.each().unwrap().count(), 1);
        assert_eq!(run(cart.find("apples")), Ok("apples"));
        assert_eq!(run(cart.find("pears")), Err("not there".to_owned()));
        assert_eq!(Box::new(cart).into_items().unwrap().len(), 1);
        assert_eq!(longest(["a", "bcd", "ef"]), Some("bcd"));
        let byte = 7;
        #[expect(unsafe_code, reason = "a pointer to a local")]
        // SAFETY: it points to `byte`.
        let same = unsafe { first_of(&raw const byte) };
        assert_eq!((same, odd(1, (2, Rc::from("")))), (7, 3));
    });
    let expected = [
        r#"add_seconds{result="err"} 1"#,
        r#"add_seconds{result="ok"} 1"#,
        r#"each_seconds{result="ok"} 1"#,
        r#"find_seconds{result="err"} 1"#,
        r#"find_seconds{result="ok"} 1"#,
        "first_seconds 1",
        r#"function_duration_seconds{function="longest"} 1"#,
        r#"into_seconds{result="ok"} 1"#,
        "odd_seconds 1",
        "unsafe_seconds 1",
    ];
    assert_eq!(seen, expected);
}

trait Store2 {
    async fn load(&self) -> Result<u32, String>;

    #[timed(name = "default_seconds")]
    async fn with_default(&self) -> u32 {
        Once::default().await;
        2
    }

    fn boxed<'a>(&'a self) -> Pin<Box<dyn Future<Output = Result<u32, String>> + Send + 'a>>;
}

impl Store2 for u32 {
    #[timed(name = "load_seconds", result)]
    async fn load(&self) -> Result<u32, String> {
        Once::default().await;
        Ok(*self)
    }

    // What `async_trait` makes of an `async fn`.
    #[timed(name = "boxed_seconds", result)]
    fn boxed<'a>(&'a self) -> Pin<Box<dyn Future<Output = Result<u32, String>> + Send + 'a>> {
        Box::pin(async move {
            Once::default().await;
            let same: u32 = self
                .to_string()
                .parse()
                .map_err(|_| "not a number".to_owned())?;
            Ok(same)
        })
    }
}

#[timed(name = "opaque_seconds")]
fn opaque(n: u32) -> impl Future<Output = Result<u32, std::num::ParseIntError>> + Send {
    let text = n.to_string();
    async move {
        Once::default().await;
        let n = text.parse::<u32>()?;
        Ok(n)
    }
}

#[test]
fn futures_in_traits_in_boxes_and_opaque_ones_are_timed_as_they_run() {
    let seen = counted(|| {
        drop(opaque(1));
        assert_eq!(run(opaque(5)), Ok(5));
        assert_eq!(run(7.load()), Ok(7));
        assert_eq!(run(7.with_default()), 2);
        assert_eq!(run(7.boxed()), Ok(7));
    });
    let expected = [
        r#"boxed_seconds{result="ok"} 1"#,
        "default_seconds 1",
        r#"load_seconds{result="ok"} 1"#,
        "opaque_seconds 1",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn labels_may_be_computed_from_what_the_function_gets() {
    #[timed(name = "area_seconds", labels(shape = shape, sides = sides.len(), "unit" = 'm'), result)]
    fn area<S: Display>(shape: S, sides: Vec<u32>) -> Result<u32, String> {
        drop(shape);
        let sides = sides.into_iter();
        sides
            .reduce(|a, b| a * b)
            .ok_or_else(|| "no sides".to_owned())
    }

    #[timed(labels(region = region))]
    async fn ship(region: &str) {
        Once::default().await;
    }

    let seen = counted(|| {
        assert_eq!(area("square", vec![2, 2]), Ok(4));
        assert!(area(String::from("point"), vec![]).is_err());
        let region = String::from("eu");
        run(ship(&region));
    });
    let expected = [
        r#"area_seconds{result="err",shape="point",sides="0",unit="m"} 1"#,
        r#"area_seconds{result="ok",shape="square",sides="2",unit="m"} 1"#,
        r#"function_duration_seconds{function="timed::ship",region="eu"} 1"#,
    ];
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert_eq!(seen[..2], expected[..2]);
    // The path of a function inside of a function is that of the module.
    assert_eq!(seen[2], expected[2]);
}

thread_local! {
    static IN_FLIGHT: Cell<Option<f64>> = const { Cell::new(None) };
}

#[test]
fn calls_in_flight_are_counted_and_go_down_however_they_end() {
    #[timed(name = "job_duration_seconds", labels(queue = "mail"), in_flight)]
    fn job(see: &dyn Fn()) {
        see();
    }
    #[timed(in_flight, result)]
    async fn task() -> Result<(), ()> {
        Once::default().await;
        Ok(())
    }
    let store = Store::default();
    let gauge = |name: &str| store.recall.gauges(name).current();
    store.recorder.scope(|| {
        job(&|| IN_FLIGHT.set(gauge("job_in_flight")));
        assert_eq!(IN_FLIGHT.get(), Some(1.0));
        assert_eq!(gauge("job_in_flight"), Some(0.0));
        let panics = AssertUnwindSafe(|| job(&|| panic!("on purpose")));
        assert!(catch_unwind(panics).is_err());
        assert_eq!(gauge("job_in_flight"), Some(0.0));
        {
            let mut task = pin!(task());
            assert_eq!(gauge("function_in_flight"), None);
            let mut context = Context::from_waker(Waker::noop());
            assert!(task.as_mut().poll(&mut context).is_pending());
            assert_eq!(gauge("function_in_flight"), Some(1.0));
        }
        assert_eq!(gauge("function_in_flight"), Some(0.0));
    });
    let labels = store.recall.gauges("job_in_flight").by("queue").current();
    assert_eq!(labels[0].0.get("queue"), Some("mail"));
}

#[test]
fn a_function_hears_whoever_records_now() {
    let unheard = plain(1, 2);
    let (first, second) = (Store::default(), Store::default());
    first.recorder.scope(|| assert_eq!(plain(1, 2), unheard));
    second
        .recorder
        .scope(|| (0..3).for_each(|_| assert_eq!(plain(1, 2), unheard)));
    let series = r#"function_duration_seconds{function="timed::plain"}"#;
    assert_eq!(counts(&first), [format!("{series} 1")]);
    assert_eq!(counts(&second), [format!("{series} 3")]);
}

#[test]
fn calls_are_counted_by_function() {
    let store = Store::default();
    store.recorder.scope(|| {
        (0..3).for_each(|_| run(nothing()));
        assert_eq!(plain(1, 2), 3);
        drop(parse("1"));
        metrics::histogram!("other_seconds", "function" => "timed::plain", "a" => "b").record(1.0);
    });
    store.tick(secs(1));
    let counts = store.recall.call_counts();
    let expected = [
        ("timed::nothing".to_owned(), 3),
        ("timed::plain".to_owned(), 2),
    ];
    assert_eq!(counts, expected);
}

/// The allocator of this process is none that counts for calls.
#[cfg(feature = "alloc")]
#[test]
fn allocations_that_nobody_counts_are_not_said_to_be_none() {
    #[timed(name = "deaf_seconds", alloc)]
    fn deaf() -> Vec<u8> {
        vec![1; 100]
    }
    let seen = counted(|| assert_eq!(deaf().len(), 100));
    assert_eq!(seen, ["deaf_seconds 1"]);
}

#[test]
fn a_timed_call_allocates_nothing() {
    let store = Store::default();
    let calls = || {
        assert_eq!(plain(1, 2), 3);
        assert_eq!(parse("12"), Ok(12));
        run(nothing());
    };
    // A histogram allocates when it first meets an octave; these are all that a duration may fall into here.
    let known = store.recorder.scope(|| {
        calls();
        for octave in -30..6 {
            let labels = [
                ("code", "200"),
                ("is_new", "true"),
                ("kind", "number"),
                ("result", "ok"),
            ];
            metrics::histogram!("parse_seconds", &labels).record(2f64.powi(octave));
            for function in ["timed::plain", "timed::nothing"] {
                metrics::histogram!("function_duration_seconds", "function" => function)
                    .record(2f64.powi(octave));
            }
        }
        calls
    });
    for _ in 0..40 {
        store.recorder.scope(known);
    }
    assert_eq!(Counting::asked(|| store.recorder.scope(known)), 0);
    assert_eq!(counts(&store).len(), 3);
}
