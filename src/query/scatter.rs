//! Quantiles and deviations of values that are each there so many times.

/// The `q`-quantile of values, each of which is there so many times, interpolated between the middles of neighbours.
pub(super) fn quantile(values: &mut [(f64, u32)], q: f64) -> Option<f64> {
    if values.is_empty() || !(0.0..=1.0).contains(&q) {
        return None;
    }
    values.sort_unstable_by(|a, b| f64::total_cmp(&a.0, &b.0));
    let half = |value: &(f64, u32)| f64::from(value.1) / 2.0;
    let (first, last) = values.first().zip(values.last())?;
    let whole: f64 = values.iter().map(|value| f64::from(value.1)).sum();
    // From the middle of the first to that of the last.
    let wanted = q * (whole - half(first) - half(last));
    let (mut below, mut at, mut end) = (first.0, 0.0, -half(first));
    for value in values.iter() {
        let middle = end + half(value);
        if middle >= wanted {
            let way = middle - at;
            let part = if way > 0.0 { (wanted - at) / way } else { 1.0 };
            return Some(between(below, value.0, part));
        }
        (below, at) = (value.0, middle);
        end = middle + half(value);
    }
    Some(below)
}

/// What lies `part` of the way from `below` to `above`.
fn between(below: f64, above: f64, part: f64) -> f64 {
    let way = above - below;
    if part == 0.0 || below.total_cmp(&above).is_eq() {
        below
    } else if part >= 1.0 {
        above
    } else if way.is_finite() {
        below + way * part
    } else {
        below * (1.0 - part) + above * part
    }
}

/// Standard deviation of the whole population; `None` without values. `values` are gone through twice, so that it is exact
/// also for values that are far from zero and near to each other.
pub(super) fn std_dev<I: Iterator<Item = (f64, u32)>>(values: impl Fn() -> I) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (value, times) in values() {
        sum += value * f64::from(times);
        count += f64::from(times);
        (low, high) = (low.min(value), high.max(value));
    }
    if count <= 0.0 {
        return None;
    }
    // Sums round: values that are all the same would not be their mean.
    let mean = (sum / count).clamp(low, high);
    let squares = values().map(|(value, times)| (value - mean).powi(2) * f64::from(times));
    Some((squares.sum::<f64>() / count).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deviation_weighs_values_with_their_times() {
        let values = || [(1.0, 3), (5.0, 1)].into_iter();
        assert_eq!(std_dev(values), Some(3.0_f64.sqrt()));
        assert_eq!(std_dev(|| [(0.1, 7); 9].into_iter()), Some(0.0));
        assert_eq!(
            std_dev(|| [(1e15, 1), (1e15 + 2.0, 1)].into_iter()),
            Some(1.0)
        );
        assert_eq!(std_dev(std::iter::empty), None);
    }
}
