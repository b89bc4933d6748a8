//! Statistics that a few wild values do not move.

/// The middle value; of an even number the upper of the two.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut all: Vec<f64> = values.into_iter().collect();
    let at = all.len() / 2;
    if all.is_empty() {
        return None;
    }
    let (_, middle, _) = all.select_nth_unstable_by(at, f64::total_cmp);
    Some(*middle)
}

/// The quantile from 0 to 1, without interpolation.
pub(super) fn quantile(values: impl IntoIterator<Item = f64>, q: f64) -> Option<f64> {
    let mut all: Vec<f64> = values.into_iter().collect();
    let last = all.len().checked_sub(1)?;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a short list"
    )]
    let at = ((last as f64 * q).round() as usize).min(last);
    let (_, value, _) = all.select_nth_unstable_by(at, f64::total_cmp);
    Some(*value)
}

/// How far a level usually moves within `lag` blocks of steps: levels are medians of a block, which bursts do not move.
/// `None`: too little is known.
pub(super) fn moves(steps: &[Option<f64>], block: usize, lag: usize) -> Option<f64> {
    let levels: Vec<Option<f64>> = steps
        .chunks(block)
        .map(|block| median(block.iter().flatten().copied()))
        .collect();
    let pairs = levels.iter().zip(levels.iter().skip(lag));
    let moves: Vec<f64> = pairs
        .filter_map(|(a, b)| Some((b.as_ref()? - a.as_ref()?).abs()))
        .collect();
    if moves.len() < 12 {
        return None;
    }
    // What it does a tenth of the time is no news.
    quantile(moves, 0.9)
}

/// Of all pairs of one of `new` and one of `old`, the share in which the new one is larger; and how many standard deviations
/// that is from a half (Mann and Whitney).
#[expect(clippy::cast_precision_loss, reason = "a few hundred values")]
pub(super) fn larger(new: &[f64], old: &[f64]) -> (f64, f64) {
    let (m, n) = (new.len() as f64, old.len() as f64);
    let mut sorted = old.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let below = |value: f64| {
        let less = sorted.partition_point(|old| *old < value);
        let no_more = sorted.partition_point(|old| *old <= value);
        f64::midpoint(less as f64, no_more as f64)
    };
    let pairs: f64 = new.iter().map(|value| below(*value)).sum();
    let share = pairs / (m * n).max(1.0);
    let deviation = ((m + n + 1.0) / (12.0 * m * n).max(1.0)).sqrt();
    (share, (share - 0.5) / deviation)
}

/// Where values are best parted into two levels: the place at which the absolute distances from the medians of both parts are
/// the least, with at least `least` values on each side.
pub(super) fn change_point(values: &[f64], least: usize) -> Option<usize> {
    let cost = |part: &[f64]| {
        let middle = median(part.iter().copied()).unwrap_or(0.0);
        part.iter().map(|value| (value - middle).abs()).sum::<f64>()
    };
    let places = least..values.len().checked_sub(least)? + 1;
    places
        .map(|at| {
            let (before, after) = values.split_at(at);
            (cost(before) + cost(after), at)
        })
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|best| best.1)
}

/// Whether values go up or down, by how many of all pairs of them do (Mann and Kendall): in standard deviations of what
/// chance gives. Negative: down.
#[expect(clippy::cast_precision_loss, reason = "a few hundred pairs")]
pub(super) fn kendall(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    if values.len() < 8 {
        return 0.0;
    }
    let mut s = 0.0;
    for (at, a) in values.iter().enumerate() {
        for b in values.iter().skip(at + 1) {
            s += match b.total_cmp(a) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Less => -1.0,
                std::cmp::Ordering::Equal => 0.0,
            };
        }
    }
    let deviation = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    s / deviation
}

/// The probability that chance alone stays within so many standard deviations.
pub(super) fn confidence(z: f64) -> f64 {
    // Abramowitz and Stegun 7.1.26, good to 1.5e-7.
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let poly = t
        * (0.254_829_592
            + t * (-0.284_496_736
                + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    (1.0 - poly * (-x * x).exp()).clamp(0.0, 1.0)
}

/// The slope of the line through most pairs (Theil and Sen), per step, and its value at the last step.
#[expect(clippy::cast_precision_loss, reason = "a few steps")]
pub(super) fn line(values: &[(usize, f64)]) -> Option<(f64, f64)> {
    let mut slopes = Vec::with_capacity(values.len() * values.len() / 2);
    for (at, (t, a)) in values.iter().enumerate() {
        for (u, b) in values.iter().skip(at + 1) {
            slopes.push((b - a) / (u - t).max(1) as f64);
        }
    }
    let slope = median(slopes)?;
    let last = values.last()?.0;
    let end = median(values.iter().map(|(t, a)| a + slope * (last - t) as f64))?;
    Some((slope, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_wild_values_move_nothing() {
        let mut values: Vec<f64> = (0..60).map(f64::from).collect();
        values[7] = 1e9;
        values[40] = -1e9;
        let pairs: Vec<(usize, f64)> = values.iter().copied().enumerate().collect();
        let (slope, end) = line(&pairs).unwrap();
        assert!((slope - 1.0).abs() < 1e-9 && (end - 59.0).abs() < 1e-9);
        assert!(kendall(&values) > 8.0);
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([]), None);
    }

    #[test]
    fn two_levels_are_parted_where_they_meet() {
        let values: Vec<f64> = (0..60).map(|at| if at < 37 { 1.0 } else { 3.0 }).collect();
        assert_eq!(change_point(&values, 10), Some(37));
        let (share, z) = larger(&values[37..], &values[..37]);
        assert!(share > 0.999 && z > 6.0);
        let (share, z) = larger(&values[..10], &values[10..20]);
        assert!((share - 0.5).abs() < 1e-9 && z.abs() < 1e-9);
        assert_eq!(change_point(&values[..15], 10), None);
    }

    #[test]
    fn bursts_do_not_move_a_level() {
        let steps: Vec<Option<f64>> = (0..600)
            .map(|at| Some(if at % 23 == 0 { 100.0 } else { 1.0 }))
            .collect();
        assert_eq!(moves(&steps, 10, 3), Some(0.0));
        assert_eq!(moves(&steps[..100], 10, 3), None);
    }

    #[test]
    fn confidence_is_that_of_the_normal_distribution() {
        for (z, expected) in [
            (0.0, 0.0),
            (1.0, 0.682_689),
            (2.0, 0.954_500),
            (4.0, 0.999_937),
        ] {
            assert!((confidence(z) - expected).abs() < 1e-5, "{z}");
        }
    }
}
