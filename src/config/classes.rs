//! From retention rules to classes: rules that keep equally long share one.

use super::{
    retention::RetentionRule,
    tiers::{LONGEST, Layout, Row, TierPlan},
};
use crate::model::{
    frame::CLASSES,
    matcher::{Matcher, Rule},
};
use std::time::Duration;

/// Rules that a store may have.
pub(super) const MOST_RULES: usize = 64;

/// What one class is kept for, tier by tier.
type Keep = Vec<Duration>;

/// What is wrong with each rule by itself. Without a `layout` there are no tiers to compare with.
pub(super) fn check(rules: &[RetentionRule], layout: Option<&Layout>, problems: &mut Vec<String>) {
    let n = rules.len();
    if n > MOST_RULES {
        problems.push(format!(
            "number of retention rules, {n}: allowed are {MOST_RULES}"
        ));
        return;
    }
    for (at, rule) in rules.iter().enumerate() {
        let mut found = rule.problems();
        if let Some(layout) = layout {
            found.extend(keep_problems(&rule.keep, layout));
        }
        let number = at + 1;
        problems.extend(
            found
                .iter()
                .map(|problem| format!("retention rule {number}: {problem}")),
        );
    }
}

/// Gives each rule, which was checked, a class: the one that keeps as long as it does already, or one that no series has
/// and no other rule needs, whose column in `tiers` is rewritten then.
///
/// # Errors
///
/// When there are not enough classes.
pub(super) fn assign(
    rules: Vec<RetentionRule>,
    layout: &Layout,
    in_use: [bool; CLASSES],
    tiers: &mut [TierPlan],
) -> Result<Vec<Rule>, String> {
    let with_keep = |rule: RetentionRule| (rule.matcher, fold(&rule.keep, &layout.rows));
    let wanted: Vec<(Matcher, Keep)> = rules.into_iter().map(with_keep).collect();
    let keeps: Vec<&Keep> = wanted.iter().map(|(_, keep)| keep).collect();
    let classes = place(&keeps, &columns(tiers), in_use)?;
    for (class, column) in classes.iter().enumerate() {
        for (at, tier) in tiers.iter_mut().enumerate() {
            if let Some(keep) = tier.keep.get_mut(class) {
                *keep = column.get(at).copied().unwrap_or_default();
            }
        }
    }
    let class_of = |keep: &Keep| classes.iter().position(|class| class == keep);
    let with_class = |(matcher, keep)| (matcher, class_of(&keep).unwrap_or(0));
    Ok(wanted.into_iter().map(with_class).collect())
}

/// What each class is kept for now; nothing anywhere: no such class.
fn columns(tiers: &[TierPlan]) -> [Keep; CLASSES] {
    std::array::from_fn(|class| {
        let column = tiers.iter().map(|tier| tier.keep.get(class).copied());
        column.map(Option::unwrap_or_default).collect()
    })
}

/// What `keep`, which speaks of the chosen tiers, means for those of the store: see [`super::tiers::rows`].
fn fold(keep: &[Duration], rows: &[Row]) -> Keep {
    let longest = |row: &Row| {
        let of = keep.get(row.of.start..row.of.end.min(keep.len()));
        of.unwrap_or_default().iter().max().copied()
    };
    rows.iter()
        .map(|row| longest(row).unwrap_or_default())
        .collect()
}

fn keep_problems(keep: &[Duration], layout: &Layout) -> Vec<String> {
    let Layout { rows, chosen } = layout;
    let mut problems = Vec::new();
    let n = keep.len();
    if keep.first().is_none_or(Duration::is_zero) {
        problems.push(
            "keeps nothing in the finest tier: allowed are its interval to 366 days".to_owned(),
        );
        return problems;
    }
    if n > *chosen {
        problems.push(format!(
            "{n} retentions: allowed is one for each of {chosen} tiers"
        ));
    }
    for (row, keep) in rows.iter().zip(fold(keep, rows)) {
        let interval = row.interval;
        if !keep.is_zero() && !(interval..=LONGEST).contains(&keep) {
            problems.push(format!(
                "retention of {keep:?} in the tier of {interval:?}: allowed are its interval to 366 days, or zero in a coarser tier"
            ));
        }
    }
    let kept: Vec<Duration> = keep
        .iter()
        .filter(|keep| !keep.is_zero())
        .copied()
        .collect();
    for (finer, coarser) in kept.iter().zip(kept.iter().skip(1)) {
        if coarser < finer {
            problems.push(format!(
                "retention of {coarser:?} after one of {finer:?}: allowed is no less than in a finer tier, or zero"
            ));
        }
    }
    problems
}

/// The classes as they are to be, so that each of `wanted` is one of them. Those that are in use stay what they are.
fn place(
    wanted: &[&Keep],
    now: &[Keep; CLASSES],
    in_use: [bool; CLASSES],
) -> Result<[Keep; CLASSES], String> {
    let mut classes = now.clone();
    for (class, keep) in classes.iter_mut().enumerate() {
        let stays = class == 0 || in_use.get(class) == Some(&true) || wanted.contains(&&*keep);
        if !stays {
            keep.clear();
        }
    }
    for keep in wanted {
        if classes.contains(keep) {
            continue;
        }
        match classes.iter_mut().find(|class| class.is_empty()) {
            Some(free) => free.clone_from(keep),
            None => return Err(no_class(keep, &classes, in_use)),
        }
    }
    Ok(classes)
}

fn no_class(keep: &Keep, classes: &[Keep; CLASSES], in_use: [bool; CLASSES]) -> String {
    let others: Vec<String> = classes.iter().map(|keep| format!("{keep:?}")).collect();
    let others = others.join(", ");
    let held = in_use.iter().skip(1).filter(|used| **used).count();
    let why = match held {
        0 => String::new(),
        n => format!(", and {n} of these cannot change while they have series"),
    };
    format!(
        "retention of {keep:?}: allowed are {CLASSES} different ones, the default's included, and others are {others}{why}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(list: &[u64]) -> Keep {
        list.iter().copied().map(Duration::from_secs).collect()
    }

    const NOBODY: [bool; CLASSES] = [false; CLASSES];

    #[test]
    fn equal_retentions_share_a_class() {
        let now = [
            seconds(&[600, 7200]),
            seconds(&[0, 0]),
            seconds(&[0, 0]),
            seconds(&[0, 0]),
        ];
        let default = seconds(&[600, 7200]);
        let (short, long) = (seconds(&[60, 0]), seconds(&[600, 99_999]));
        let classes = place(&[&short, &default, &long, &short], &now, NOBODY).unwrap();
        assert_eq!(classes, [default, short, long, vec![]]);
    }

    #[test]
    fn a_class_in_use_stays_what_it_is() {
        let now = [seconds(&[9]), seconds(&[1]), seconds(&[2]), seconds(&[3])];
        let (two, four, five) = (seconds(&[2]), seconds(&[4]), seconds(&[5]));
        let in_use = [true, true, true, false];
        let classes = place(&[&four, &two], &now, in_use).unwrap();
        assert_eq!(classes, [seconds(&[9]), seconds(&[1]), two, four.clone()]);
        let error = place(&[&four, &five], &now, in_use).unwrap_err();
        assert!(
            error.contains("[5s]") && error.contains("2 of these"),
            "{error}"
        );
        let free = place(&[&four, &five], &now, NOBODY).unwrap();
        assert_eq!(free, [seconds(&[9]), four, five, vec![]]);
    }

    #[test]
    fn rules_speak_of_chosen_tiers() {
        let row = |secs, of| Row {
            interval: Duration::from_secs(secs),
            keep: Duration::ZERO,
            of,
        };
        let rows = [row(10, 0..2), row(60, 2..3)];
        assert_eq!(
            fold(&seconds(&[60, 600, 3600]), &rows),
            seconds(&[600, 3600])
        );
        assert_eq!(fold(&seconds(&[60]), &rows), seconds(&[60, 0]));
        assert_eq!(fold(&[], &rows), seconds(&[0, 0]));
    }
}
