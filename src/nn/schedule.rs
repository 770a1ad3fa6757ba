//! Schedules of the step size and of the running average.

/// The factor of the step size after `step` of `steps` steps, 0 to 1: a linear rise over the first `warm_up` steps, and
/// half a cosine down to zero (Loshchilov & Hutter 2017, equation 5).
pub fn cosine(step: u64, warm_up: u64, steps: u64) -> f64 {
    let rise = rise(step, warm_up);
    let part = step as f64 / steps.max(1) as f64;
    rise * (0.5 + 0.5 * (std::f64::consts::PI * part.min(1.0)).cos())
}

/// A factor that reaches 1 in `steps` equal steps and stays there: `(step + 1)/steps`.
pub fn rise(step: u64, steps: u64) -> f64 {
    ((step + 1) as f64 / steps.max(1) as f64).min(1.0)
}

/// The weight β of the old value in a running average at step number `step`, for a half-life in steps: 0.5^(1/h) with h
/// the half-life, at most `0.2·step`, so that the average forgets the first steps.
pub fn decay(half_life: f64, step: u64) -> f64 {
    0.5f64.powf(1.0 / half_life.min(step as f64 * 0.2).max(1e-8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_and_falls_to_nothing() {
        assert!((cosine(0, 10, 1000) - 0.1).abs() < 1e-5);
        assert!((cosine(500, 10, 1000) - 0.5).abs() < 1e-12);
        assert!(cosine(1000, 10, 1000).abs() < 1e-12);
        assert!((1..1000).all(|step| step < 10 || cosine(step, 10, 1000) < cosine(step - 1, 10, 1000)));
    }

    #[test]
    fn half_of_the_average_is_left_after_its_half_life() {
        assert!((decay(50.0, 1000).powi(50) - 0.5).abs() < 1e-12);
        assert!(decay(50.0, 10) < decay(50.0, 100));
    }
}
