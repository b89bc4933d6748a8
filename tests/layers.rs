//! Keeps the dependency direction that DESIGN.md promises.
//!
//! Every `crate::x` inside `src/<y>` must be listed in `ALLOWED` for `y`. The
//! rows are ordered so that a module may only name rows above its own, which
//! makes a cycle impossible to write down.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Module, then everything it may name. `builder` is the composition root: it
/// may see all, and no row lists it.
const ALLOWED: &[(&str, &str)] = &[
    ("error", ""),
    ("clock", ""),
    ("alloc", ""),
    ("util", ""),
    ("ledger", "error util"),
    ("model", "error"),
    ("config", "error clock ledger model"),
    ("codec", "error model"),
    ("live", "util ledger model config codec"),
    ("intake", "util live"),
    ("recorder", "error ledger model live"),
    ("timing", "clock alloc"),
    ("sampling", "clock"),
    ("catalogue", "error"),
    ("exposition", "error model"),
    ("history", "error util ledger model config codec"),
    ("query", "error util ledger model codec history"),
    ("alerts", "error util ledger model config query"),
    ("insights", "util model query alerts"),
    (
        "engine",
        "error clock util ledger model config live intake history query alerts",
    ),
    (
        "handle",
        "error clock util ledger model config live intake exposition history query alerts insights engine",
    ),
    ("journal", "error util model codec"),
    ("export", "error util model exposition handle"),
    (
        "collectors",
        "error clock alloc util intake recorder catalogue query engine handle",
    ),
    ("ingest", "error clock util model intake exposition"),
    (
        "http",
        "error util ledger model exposition query alerts engine handle",
    ),
    ("guide", ""),
    ("fuzzing", "model codec live exposition collectors http"),
    ("builder", "*"),
];

fn may_name(deps: &str, dep: &str) -> bool {
    deps == "*" || deps.split(' ').any(|d| d == dep)
}

fn rust_files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            out.push(path);
        }
    }
}

/// The top-level module a file under `src/` belongs to.
fn owner(src: &Path, file: &Path) -> String {
    let rel = file.strip_prefix(src).unwrap();
    let first = rel
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// Top-level modules that `text` names after `crate::`, one by one or in a
/// braced group. Line comments are skipped.
fn named_modules(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .map(|l| l.split("//").next().unwrap())
        .flat_map(|l| [l, "\n"])
        .collect();
    let mut names = Vec::new();
    for (at, path) in code.match_indices("crate::") {
        let rest = &code[at + path.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.push(ident(rest));
            continue;
        };
        let mut depth = 0;
        let mut start = true;
        for (i, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                c if start && depth == 0 && !c.is_whitespace() => {
                    names.push(ident(&group[i..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    names
}

/// How many `super::` lead from a file's module to the crate root.
fn depth(src: &Path, file: &Path) -> usize {
    let rel = file.strip_prefix(src).unwrap();
    let parts = rel.components().count();
    if rel.ends_with("mod.rs") {
        parts - 1
    } else {
        parts
    }
}

/// Top-level modules reached by at least `depth` leading `super::`.
fn named_through_super(text: &str, depth: usize) -> Vec<String> {
    let climb = "super::".repeat(depth);
    let code = text.lines().map(|l| l.split("//").next().unwrap());
    code.flat_map(|line| {
        line.match_indices(&climb)
            .map(|(at, path)| ident(line[at + path.len()..].trim_start_matches("super::")))
            .collect::<Vec<_>>()
    })
    .filter(|name| ALLOWED.iter().any(|(m, _)| m == name))
    .collect()
}

fn ident(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn table_points_one_way() {
    for (i, (module, deps)) in ALLOWED.iter().enumerate() {
        for dep in deps.split(' ').filter(|d| !d.is_empty() && *d != "*") {
            let above = ALLOWED[..i].iter().any(|(m, _)| *m == dep);
            assert!(above, "`{module}` lists `{dep}`, which is not above it");
        }
    }
}

#[test]
fn modules_name_only_what_they_may() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let owner = owner(&src, &file);
        if owner == "lib" {
            continue;
        }
        let Some((_, deps)) = ALLOWED.iter().find(|(m, _)| *m == owner) else {
            wrong.push(format!("{owner}: no row in ALLOWED"));
            continue;
        };
        let text = fs::read_to_string(&file).unwrap();
        let shown = file.strip_prefix(&src).unwrap().display();
        let through_super = named_through_super(&text, depth(&src, &file));
        for dep in named_modules(&text).into_iter().chain(through_super) {
            let ours = ALLOWED.iter().any(|(m, _)| *m == dep);
            if ours && dep != owner && !may_name(deps, &dep) {
                wrong.push(format!("{shown} -> {dep}"));
            }
            // A type named through the crate root hides which module it is from.
            if !ours && dep.starts_with(char::is_uppercase) {
                wrong.push(format!("{shown} -> crate::{dep}, a re-export"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "forbidden dependencies:\n{}",
        wrong.join("\n")
    );
}
