//! Keeps every ordering stronger than `Relaxed` under the models.
//!
//! An ordering has a name, `const NAME: Order = order("NAME", Release)`; an `ORDERING:` note that names its partners, as
//! they name it; and a test in `src/live/models` that weakens it and must panic. The models run only with `--cfg loom`.
//! That none is missing is seen here, in every test run.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

const STRONG: [&str; 4] = ["Acquire", "Release", "AcqRel", "SeqCst"];

/// An ordering as the source declares it.
struct Declared<'a> {
    name: &'a str,
    strong: &'a str,
    /// What stands behind `ORDERING:`.
    note: Option<String>,
}

fn words(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.filter(|word| !word.is_empty())
}

fn is_strong(text: &str) -> bool {
    words(text).any(|word| STRONG.contains(&word))
}

/// Every `const NAME: Order = order("NAME", Release);` with the doc comment above it.
fn declared(text: &str) -> impl Iterator<Item = Declared<'_>> {
    text.match_indices(": Order =").map(|(at, _)| {
        let (above, line) = text[..at].rsplit_once('\n').unwrap();
        let value = text[at..].split(';').next().unwrap();
        let docs = above
            .lines()
            .rev()
            .map_while(|line| line.trim_start().strip_prefix("///"));
        let docs: Vec<&str> = docs.collect();
        let docs: String = docs.into_iter().rev().collect();
        let note = docs
            .split_once("ORDERING:")
            .map(|(_, note)| note.trim().to_owned());
        Declared {
            name: words(line).next_back().unwrap(),
            strong: words(value).next_back().unwrap(),
            note,
        }
    })
}

/// Statements with a strong ordering that is neither declared nor imported there.
fn nameless(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap().trim());
    let code: Vec<&str> = lines.collect();
    let code = code.join("\n");
    let is_import = |line: &str| line.starts_with("use ") || line.starts_with("pub(crate) use ");
    let statements = code.split(';').map(|statement| {
        let lines = statement.lines().take_while(|line| !is_import(line));
        lines.collect::<Vec<_>>().join(" ")
    });
    let found = statements.filter(|statement| is_strong(statement));
    found
        .filter(|statement| !statement.contains(": Order ="))
        .collect()
}

/// The partners that an ordering names: itself, or by "as" another one.
fn partners<'a>(of: &Declared<'a>, all: &[Declared<'a>]) -> Vec<&'a str> {
    let note = of.note.as_deref().unwrap_or_default();
    let quoted: Vec<&str> = note.split('`').skip(1).step_by(2).collect();
    let named = all
        .iter()
        .filter(|other| quoted.contains(&other.name) && other.name != of.name);
    if note.starts_with("as ") {
        return named.flat_map(|other| partners(other, all)).collect();
    }
    named.map(|other| other.name).collect()
}

/// One of them releases, and the other acquires.
fn fit(one: &Declared<'_>, other: &Declared<'_>) -> bool {
    let both = ["AcqRel", "SeqCst"];
    one.strong != other.strong || both.contains(&one.strong)
}

/// Whether a test in the models weakens the ordering, and must panic with a certain message.
fn is_weakened(name: &str, models: &str) -> bool {
    let call = format!("check_weakened({name},");
    let mut tests = models.split("#[test]").skip(1);
    tests.any(|test| test.contains(&call) && test.contains("#[should_panic(expected = \""))
}

/// What is wrong with one of all orderings.
fn judge(one: &Declared<'_>, all: &[Declared<'_>], models: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut complain = |what: &str| wrong.push(format!("{}: {what}", one.name));
    if one.note.is_none() {
        complain("has no `ORDERING:` note");
    }
    let named = partners(one, all);
    if named.is_empty() {
        complain("names no partner");
    }
    for other in all.iter().filter(|other| named.contains(&other.name)) {
        if !partners(other, all).contains(&one.name) {
            complain(&format!("{} does not name it", other.name));
        }
        if !fit(one, other) {
            complain(&format!(
                "{} is no partner: both are {}",
                other.name, one.strong
            ));
        }
    }
    if !is_weakened(one.name, models) {
        complain("no test weakens it");
    }
    wrong
}

/// What is wrong with the orderings of these sources.
fn complaints(sources: &[String], models: &str) -> Vec<String> {
    let all: Vec<Declared<'_>> = sources.iter().flat_map(|text| declared(text)).collect();
    let nameless = sources.iter().flat_map(|text| nameless(text));
    let nameless = nameless.map(|statement| format!("without a name: {statement}"));
    let notes: usize = sources
        .iter()
        .map(|text| text.matches("ORDERING:").count())
        .sum();
    let stray = notes - all.iter().filter(|one| one.note.is_some()).count();
    let stray = (stray > 0).then(|| format!("{stray} notes without an ordering"));
    let judged = all.iter().flat_map(|one| judge(one, &all, models));
    nameless.chain(stray).chain(judged).collect()
}

fn read(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(fs::read_to_string(&path).unwrap());
        }
    }
}

fn sources(of: &str) -> Vec<String> {
    let mut found = Vec::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(of), &mut found);
    found
}

#[test]
fn every_ordering_has_a_name_a_partner_and_a_test_that_weakens_it() {
    let sources_of_all = sources("src");
    let wrong = complaints(&sources_of_all, &sources("src/live/models").concat());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let orderings = sources_of_all
        .iter()
        .flat_map(|text| declared(text))
        .count();
    assert!(orderings > 10, "looked in the wrong place");
}

const GOOD: &str = "
/// One.
///
/// ORDERING: for a reason. Partner:
/// [`TAKEN`].
pub(crate) const GIVEN: Order = order(\"GIVEN\", Release);

/// ORDERING: partner of [`GIVEN`].
const TAKEN: Order =
    order(\"TAKEN\", Acquire);
";

const TESTS: &str = "
#[test]
#[should_panic(expected = \"lost\")]
fn one() { check_weakened(GIVEN, model); }
#[test]
#[should_panic(expected = \"lost\")]
fn other() { check_weakened(TAKEN, model); }
";

#[track_caller]
fn assert_found(source: &str, models: &str, what: &str) {
    let wrong = complaints(&[source.to_owned()], models).join("\n");
    assert!(wrong.contains(what), "{what:?} is not in {wrong:?}");
}

#[test]
fn orderings_with_name_partner_and_test_are_fine() {
    assert_eq!(complaints(&[GOOD.to_owned()], TESTS), [""; 0]);
}

#[test]
fn orderings_without_a_name_are_found() {
    let uses =
        "use std::{\n    a,\n    Ordering::{Acquire, Release},\n};\nfn f() { x.load(Relaxed); }\n";
    assert_eq!(complaints(&[uses.to_owned()], ""), [""; 0]);
    assert_found(
        &format!("{uses} fn g() {{ x.load(Acquire); }}"),
        "",
        "x.load(Acquire)",
    );
    assert_found("x.store(1, Ordering::SeqCst)", "", "without a name");
    assert_found("y.swap(\n 2,\n AcqRel, // why\n);", "", "without a name");
}

#[test]
fn orderings_without_a_partner_are_found() {
    let without = GOOD.replace("ORDERING: partner", "Partner");
    assert_found(&without, TESTS, "TAKEN: has no `ORDERING:` note");
    let of_nobody = GOOD.replace("[`TAKEN`]", "somebody");
    assert_found(&of_nobody, TESTS, "GIVEN: names no partner");
    assert_found(&of_nobody, TESTS, "TAKEN: GIVEN does not name it");
    let of_its_like = GOOD.replace("Acquire", "Release");
    assert_found(&of_its_like, TESTS, "both are Release");
    assert_found(
        &format!("{GOOD}// ORDERING: of nothing"),
        TESTS,
        "1 notes without",
    );
}

#[test]
fn orderings_that_no_test_weakens_are_found() {
    let less = TESTS.replace("check_weakened(TAKEN, model)", "check(model)");
    assert_found(GOOD, &less, "TAKEN: no test weakens it");
    let passing = TESTS.replacen("#[should_panic(expected = \"lost\")]", "", 1);
    assert_found(GOOD, &passing, "GIVEN: no test weakens it");
}
