//! Parent and child: one process per subject and group, lines between them.

use std::process::Command;
use std::time::Instant;

use crate::measure::median;
use crate::rows::{GROUPS, Group, ROWS, Row};
use crate::subject::Subject;
use crate::table;

/// The hidden first argument of a child.
pub const CHILD: &str = "--child";

/// A measurement of a row, as a child printed it.
#[derive(Clone, Copy)]
pub struct Cell {
    pub value: f64,
    pub yard: f64,
    pub ratio: f64,
}

/// All that the children said.
#[derive(Default)]
pub struct Results {
    cells: Vec<(String, Subject, Cell)>,
    notes: Vec<String>,
}

impl Results {
    pub fn cell(&self, id: &str, subject: Subject) -> Option<Cell> {
        let is_it = |(row, whose, _): &&(String, Subject, Cell)| row == id && *whose == subject;
        self.cells.iter().find(is_it).map(|(_, _, cell)| *cell)
    }

    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The median yardstick over all measurements that have one.
    pub fn yard(&self) -> f64 {
        median(
            self.cells
                .iter()
                .map(|(_, _, cell)| cell.yard)
                .filter(|yard| !yard.is_nan()),
        )
    }

    fn read(&mut self, subject: Subject, line: &str) {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields.as_slice() {
            ["row", id, numbers @ ..] => self.keep(id, subject, numbers),
            ["note", text] => self.note((*text).to_owned()),
            _ => self.note(format!("{}: {line}", subject.name())),
        }
    }

    /// Of several runs the smallest value stays.
    fn keep(&mut self, id: &str, subject: Subject, numbers: &[&str]) {
        let number = |i: usize| {
            numbers
                .get(i)
                .and_then(|text| text.parse().ok())
                .unwrap_or(f64::NAN)
        };
        let new = Cell {
            value: number(0),
            yard: number(1),
            ratio: number(2),
        };
        match self
            .cells
            .iter_mut()
            .find(|(row, whose, _)| row == id && *whose == subject)
        {
            Some((_, _, old)) if new.value < old.value => *old = new,
            Some(_) => {}
            None => self.cells.push((id.to_owned(), subject, new)),
        }
    }

    fn note(&mut self, text: String) {
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }
}

/// Runs one group for one subject in this process.
pub fn child(group: &str, subject: &str) {
    let group = GROUPS
        .iter()
        .find(|known| known.name == group)
        .expect("a known group");
    (group.run)(Subject::parse(subject).expect("a known subject"));
}

/// Runs the groups of all rows that match `filter`, then prints the table.
pub fn parent(filter: &str) {
    let start = Instant::now();
    let rows: Vec<&Row> = ROWS.iter().filter(|row| matches(row, filter)).collect();
    let mut results = Results::default();
    for group in GROUPS
        .iter()
        .filter(|group| rows.iter().any(|row| row.group == group.name))
    {
        for &subject in group.subjects {
            eprintln!("{} {}", group.name, subject.name());
            (0..group.runs).for_each(|_| run(group, subject, &mut results));
        }
    }
    table::print(&rows, &results, start.elapsed());
}

fn matches(row: &Row, filter: &str) -> bool {
    [row.id, row.group, row.what]
        .iter()
        .any(|text| text.contains(filter))
}

fn run(group: &Group, subject: Subject, results: &mut Results) {
    let myself = std::env::current_exe().expect("the path of this binary");
    let output = Command::new(myself)
        .args([CHILD, group.name, subject.name()])
        .output()
        .expect("this binary starts again");
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        results.read(subject, line);
    }
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let line = said
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default();
        results.note(format!(
            "FAILED {} {}: {}: {line}",
            group.name,
            subject.name(),
            output.status
        ));
    }
}
