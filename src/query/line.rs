//! A straight line through points, and how sure its slope is.
//!
//! Least squares with weights: `slope = sum w (t - mean t) (y - mean y) / sum w (t - mean t)^2`. The confidence is that of
//! Student's t-test against a slope of zero with n - 2 degrees of freedom; the distribution is computed from the incomplete
//! beta function by its continued fraction (NIST Digital Library of Mathematical Functions, 8.17.22 and 8.17.1).

use super::answer::Trend;

/// A point of a line: seconds, value, weight.
pub(super) type Dot = (f64, f64, f64);

/// Seconds on the axis, from twice as many nanoseconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "exact to a microsecond for a century"
)]
pub(super) fn seconds(twice_ns: u128) -> f64 {
    twice_ns as f64 / 2e9
}

/// The line through `dots`; `None` without two different times.
pub(super) fn through(dots: &[Dot]) -> Option<Trend> {
    let weight: f64 = dots.iter().map(|dot| dot.2).sum();
    if dots.len() < 2 || weight <= 0.0 {
        return None;
    }
    let mean_t = dots.iter().map(|(t, _, w)| t * w).sum::<f64>() / weight;
    let mean_y = dots.iter().map(|(_, y, w)| y * w).sum::<f64>() / weight;
    let (mut tt, mut ty, mut yy) = (0.0, 0.0, 0.0);
    for (t, y, w) in dots {
        let (dt, dy) = (t - mean_t, y - mean_y);
        tt += w * dt * dt;
        ty += w * dt * dy;
        yy += w * dy * dy;
    }
    if tt <= 0.0 || !ty.is_finite() || !yy.is_finite() {
        return None;
    }
    // Each point is as near to its neighbours as rounding allows: that is no trend.
    let largest = dots.iter().map(|dot| dot.1.abs()).fold(0.0, f64::max);
    let rounding = weight * (largest * f64::EPSILON * 8.0).powi(2);
    if yy <= rounding {
        return Some(Trend {
            slope: 0.0,
            confidence: 0.0,
        });
    }
    let slope = ty / tt;
    let explained = (ty / tt.sqrt() / yy.sqrt()).powi(2).min(1.0);
    Some(Trend {
        slope,
        confidence: confidence(explained, dots.len()),
    })
}

/// One less the probability that n points without a trend have a share `explained` of their variance explained by a line.
fn confidence(explained: f64, n: usize) -> f64 {
    let Some(freedom) = n.checked_sub(2).filter(|f| *f > 0) else {
        return 0.0;
    };
    #[expect(clippy::cast_precision_loss, reason = "fewer points than 2^53")]
    let freedom = freedom as f64;
    // t^2 = f R / (1 - R), so that f / (f + t^2) = 1 - R.
    (1.0 - beta(1.0 - explained, freedom / 2.0, 0.5)).clamp(0.0, 1.0)
}

/// The regularized incomplete beta function.
fn beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p();
    if x < (a + 1.0) / (a + b + 2.0) {
        front.exp() * fraction(x, a, b) / a
    } else {
        1.0 - front.exp() * fraction(1.0 - x, b, a) / b
    }
}

/// Its continued fraction, by the method of Lentz.
#[expect(clippy::many_single_char_names, reason = "as in the reference")]
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let far = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / far(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for m in 1..300 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / far(1.0 + even * d);
        c = far(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / far(1.0 + odd * d);
        c = far(1.0 + odd / c);
        let step = d * c;
        h *= step;
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    h
}

/// Logarithm of the gamma function of a positive number: Stirling's series (DLMF 5.11.1), shifted up to where seven terms
/// give all digits.
fn ln_gamma(x: f64) -> f64 {
    let mut x = x;
    let mut shift = 0.0;
    while x < 12.0 {
        shift += x.ln();
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = 1.0 / 12.0
        - square
            * (1.0 / 360.0 - square * (1.0 / 1260.0 - square * (1.0 / 1680.0 - square / 1188.0)));
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series / x - shift
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[f64]) -> Trend {
        let dots: Vec<Dot> = (0_u32..)
            .zip(values)
            .map(|(t, y)| (f64::from(t), *y, 1.0))
            .collect();
        through(&dots).unwrap()
    }

    #[test]
    fn a_straight_line_is_its_own_and_sure() {
        let trend = line(&[1.0, 3.0, 5.0, 7.0]);
        assert!((trend.slope - 2.0).abs() < 1e-12);
        assert!(trend.confidence > 1.0 - 1e-12);
    }

    #[test]
    fn a_constant_has_neither_slope_nor_confidence() {
        assert_eq!(
            line(&[0.1; 50]),
            Trend {
                slope: 0.0,
                confidence: 0.0
            }
        );
    }

    #[test]
    fn two_points_are_a_line_that_proves_nothing() {
        let trend = line(&[1.0, 2.0]);
        assert_eq!((trend.slope, trend.confidence), (1.0, 0.0));
        assert_eq!(through(&[(1.0, 1.0, 1.0)]), None);
        assert_eq!(through(&[(1.0, 1.0, 1.0), (1.0, 2.0, 1.0)]), None);
    }

    /// With three degrees of freedom Student's distribution has a closed form: t = 1.393, p = 0.2578.
    #[test]
    fn confidence_is_one_less_the_p_value() {
        let trend = line(&[1.0, 2.0, 1.3, 3.75, 2.25]);
        assert!((trend.slope - 0.425).abs() < 1e-12);
        assert!(
            (trend.confidence - (1.0 - 0.257_777_302_854)).abs() < 1e-11,
            "{trend:?}"
        );
    }

    /// Tables of Student's distribution: the two-sided 95 % points.
    #[test]
    fn tabled_points_of_students_distribution() {
        for (freedom, t) in [
            (1.0, 12.706_2),
            (2.0, 4.302_65),
            (5.0, 2.570_58),
            (10.0, 2.228_14),
            (30.0, 2.042_27),
            (120.0, 1.979_93),
        ] {
            let x = freedom / (freedom + t * t);
            assert!(
                (beta(x, freedom / 2.0, 0.5) - 0.05).abs() < 1e-5,
                "{freedom}"
            );
        }
    }

    #[test]
    fn factorials_are_gammas() {
        let mut factorial = 1.0_f64;
        for n in 1_u32..20 {
            assert!(
                (ln_gamma(f64::from(n)) - factorial.ln()).abs() < 1e-11,
                "{n}"
            );
            factorial *= f64::from(n);
        }
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-12);
    }
}
