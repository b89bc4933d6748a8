//! Points as a line of bars, for a terminal.

use metrics_recall::Point;

/// A column a point, as high as its share of the highest; a point without a value leaves a gap.
pub fn sparkline(points: &[Point<f64>]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let values = points.iter().filter_map(|point| point.value);
    let most = values.fold(f64::MIN_POSITIVE, f64::max);
    let bar = |point: &Point<f64>| match point.value {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 7"
        )]
        Some(value) => BARS[(value / most * 7.0).round() as usize],
        None => ' ',
    };
    points.iter().map(bar).collect()
}
