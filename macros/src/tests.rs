//! What is said of each wrong use, and where it points.

use super::expand_timed;
use proc_macro2::TokenStream;
use std::str::FromStr;

fn tokens(code: &str) -> TokenStream {
    TokenStream::from_str(code).unwrap()
}

/// The words that the error of `#[timed(arguments)] item` points at, and what it says.
fn refused(arguments: &str, item: &str) -> (String, String) {
    let error = expand_timed(tokens(arguments), &tokens(item)).unwrap_err();
    let at = error.span().source_text().unwrap_or_default();
    (at, error.to_string())
}

const FUNCTION: &str = "fn f() -> Result<u32, String> { Ok(1) }";

/// The error of `arguments` at a function that is fine.
fn wrong(arguments: &str) -> (String, String) {
    refused(arguments, FUNCTION)
}

#[track_caller]
fn assert_says((at, says): (String, String), points_at: &str, words: &[&str]) {
    assert_eq!(at, points_at, "{says}");
    for word in words {
        assert!(says.contains(word), "`{word}` is not in: {says}");
    }
    assert!(says.starts_with(|c: char| !c.is_uppercase()), "{says}");
}

#[test]
fn words_that_are_not_known_are_named_with_those_that_are() {
    assert_says(
        wrong("nmae = \"x\""),
        "nmae",
        &["`nmae` is no argument", "`name = \"..\"`", "`in_flight`"],
    );
    assert_says(
        wrong("result, result"),
        "result",
        &["`result` is given twice"],
    );
    assert_says(wrong("result = true"), "result", &["stands alone"]);
    assert_says(wrong("in_flight(yes)"), "in_flight", &["stands alone"]);
    assert_says(
        wrong("\"x_seconds\""),
        "\"x_seconds\"",
        &["write `name = \"x_seconds\"`"],
    );
}

#[test]
fn names_are_checked_where_they_stand() {
    assert_says(
        wrong("name = \"a b\""),
        "\"a b\"",
        &["`a b` is no name", "letters, digits"],
    );
    assert_says(wrong("name = \"\""), "\"\"", &["`` is no name"]);
    assert_says(
        wrong("name = \"x_ms\""),
        "\"x_ms\"",
        &["ends with `ms`", "in seconds"],
    );
    assert_says(
        wrong("name = \"x_total\""),
        "\"x_total\"",
        &["looks like a counter"],
    );
    assert_says(
        wrong("name = \"recall_x\""),
        "\"recall_x\"",
        &["the store's own"],
    );
    assert_says(wrong("name = NAME"), "NAME", &["a string in quotes"]);
    assert_says(wrong("name"), "name", &["write `name = "]);
}

#[test]
fn labels_are_checked_where_they_stand() {
    assert_says(wrong("labels"), "labels", &["write `labels(route = "]);
    assert_says(wrong("labels(route)"), "route", &["`route` has no value"]);
    assert_says(wrong("labels(le = 1)"), "le", &["`le` is no name", "taken"]);
    assert_says(
        wrong("labels(\"a-b\" = 1)"),
        "\"a-b\"",
        &["`a-b` is no name"],
    );
    assert_says(
        wrong("labels(a = 1, b = 2, a = 3)"),
        "a",
        &["`a` is given twice"],
    );
    assert_says(wrong("labels(result = 1)"), "result", &["how a call ended"]);
}

#[test]
fn functions_that_cannot_be_timed_say_why() {
    assert_says(
        refused("", "const fn f() {}"),
        "const",
        &["no clock while it compiles"],
    );
    assert_says(
        refused("result", "fn f() {}"),
        "result",
        &["returns nothing"],
    );
    assert_says(
        refused("result", "fn f() -> ! { loop {} }"),
        "!",
        &["never does"],
    );
    let future = "fn f() -> impl Future<Output = u32> { g() }";
    assert_says(
        refused("", future),
        "impl Future<Output = u32>",
        &["to make one", "`async fn`"],
    );
    let boxed = "fn f(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> { self.g() }";
    assert!(refused("", boxed).1.contains("`async` block"));
}

/// The feature of this crate is what the one of metrics-recall turns on.
#[test]
fn allocations_are_counted_if_the_feature_is_on() {
    if cfg!(not(feature = "alloc")) {
        assert_says(
            wrong("alloc"),
            "alloc",
            &["the feature `alloc`", "features = [\"alloc\", \"macros\"]"],
        );
        return;
    }
    let of = |arguments: &str, item: &str| {
        let timed = expand_timed(tokens(arguments), &tokens(item)).unwrap();
        timed.to_string()
    };
    for item in [FUNCTION, "async fn f() {}", "fn f() { g() }"] {
        let names = ["\"function_allocations\"", "\"function_allocated_bytes\""];
        assert!(names.iter().all(|name| of("alloc", item).contains(name)));
        let pay = of("alloc, name = \"pay_duration_seconds\"", item);
        assert!(pay.contains("\"pay_allocated_bytes\""), "{pay}");
        assert!(!of("", item).contains("allocat"));
    }
    let computed = of("alloc, labels(n = next())", FUNCTION);
    assert_eq!(computed.matches("next ()").count(), 1, "{computed}");
    assert_says(wrong("alloc = true"), "alloc", &["stands alone"]);
}

#[test]
fn what_is_no_function_says_so() {
    assert_says(refused("", "fn f(&self);"), "f", &["no body to time"]);
    assert_says(
        refused("", "impl S { fn f() {} }"),
        "impl",
        &["on each one"],
    );
    for item in [
        "struct S;",
        "static X: u32 = 1;",
        "mod m {}",
        "let x = || 1;",
    ] {
        assert!(
            refused("", item).1.contains("for functions and methods"),
            "{item}"
        );
    }
}

#[test]
fn attributes_and_signatures_stay_as_they_are() {
    let item = "#[doc = \"Adds.\"] #[must_use] pub(crate) async unsafe fn add<'a, T: Copy>(&'a self, (a, b): (T, T)) -> T \
        where T: Add { a }";
    let timed = expand_timed(tokens("in_flight"), &tokens(item))
        .unwrap()
        .to_string();
    let signature = |code: &str| code.split('{').next().unwrap().replace(' ', "");
    assert_eq!(signature(&timed), signature(&tokens(item).to_string()));
}
