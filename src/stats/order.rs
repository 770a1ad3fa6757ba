//! Quantiles and medians. Each function names its definition; results of different definitions differ.

/// The quantile of ascending values at a share, 0 to 1, linear between the two nearest order statistics:
/// definition 7 of Hyndman and Fan (1996), the default of NumPy.
///
/// # Panics
/// If there is no value.
pub fn quantile(ascending: &[f64], share: f64) -> f64 {
    let place = share * (ascending.len() - 1) as f64;
    between(ascending[place.floor() as usize], ascending[place.ceil() as usize], place)
}

/// [`quantile`] of values in any order, which it reorders; without sorting them all.
///
/// # Panics
/// If there is no value.
pub fn quantile_of<T: Copy + Into<f64>>(values: &mut [T], share: f64) -> f64 {
    let place = share * (values.len() - 1) as f64;
    let (&mut low, above) = select(values, place as usize);
    let above = above.iter().map(|&value| value.into());
    let low = low.into();
    between(low, above.min_by(f64::total_cmp).unwrap_or(low), place)
}

/// The value of this rank, and those above it.
fn select<T: Copy + Into<f64>>(values: &mut [T], rank: usize) -> (&mut T, &mut [T]) {
    let (_, value, above) = values.select_nth_unstable_by(rank, |&a, &b| a.into().total_cmp(&b.into()));
    (value, above)
}

fn between(low: f64, high: f64, place: f64) -> f64 {
    low + (high - low) * place.fract()
}

/// The middle value; of an even number the mean of the two in the middle.
///
/// # Panics
/// If there is no value.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}

/// The middle value; of an even number the greater of the two in the middle, so that it is one of the values. `None`
/// without values.
pub fn upper_median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The order statistic whose rank is nearest to a share, 0 to 1, of all ranks. Reorders the values; `None` without
/// values.
pub fn nearest_rank<T: Copy + Into<f64>>(values: &mut [T], share: f64) -> Option<T> {
    order_statistic(values, share, f64::round)
}

/// As [`nearest_rank`], with the rank rounded down.
pub fn lower_rank<T: Copy + Into<f64>>(values: &mut [T], share: f64) -> Option<T> {
    order_statistic(values, share, f64::floor)
}

fn order_statistic<T: Copy + Into<f64>>(values: &mut [T], share: f64, round: fn(f64) -> f64) -> Option<T> {
    let rank = round(share * values.len().checked_sub(1)? as f64);
    Some(*select(values, rank as usize).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.quantile` with its default method.
    #[test]
    fn quantiles_are_those_of_numpy() {
        let mut values = [3.5, -1.0, 7.0, 2.0, 9.0, 4.0, 4.0, 10.0, -6.0, 0.25];
        let mut ascending = values;
        ascending.sort_by(f64::total_cmp);
        for (share, expected) in
            [(0.0, -6.0), (0.02, -5.1), (0.1, -1.5), (0.375, 2.5625), (0.5, 3.75), (0.99, 9.91), (1.0, 10.0)]
        {
            assert!((quantile(&ascending, share) - expected).abs() < 1e-12, "{share}");
            assert_eq!(quantile_of(&mut values, share), quantile(&ascending, share), "{share}");
            assert_eq!(quantile_of(&mut values.map(|x| x as f32), share), quantile(&ascending, share));
        }
        assert_eq!((quantile(&[2.0], 0.3), quantile_of(&mut [2.0_f32], 0.3)), (2.0, 2.0));
    }

    #[test]
    fn definitions_differ_where_they_say() {
        let values = vec![4.0, 1.0, 2.0, 8.0];
        assert_eq!((median(values.clone()), upper_median(values.clone())), (3.0, Some(4.0)));
        assert_eq!((median(values[..3].to_vec()), upper_median(values[..3].to_vec())), (2.0, Some(2.0)));
        assert_eq!(upper_median(Vec::new()), None);
        let mut values = [4.0_f32, 1.0, 2.0, 8.0];
        // Ranks 1.8 and 1.2 of 0 to 3.
        assert_eq!((nearest_rank(&mut values, 0.6), lower_rank(&mut values, 0.6)), (Some(4.0), Some(2.0)));
        assert_eq!((nearest_rank(&mut values, 0.4), lower_rank(&mut values, 0.4)), (Some(2.0), Some(2.0)));
        assert_eq!((nearest_rank::<f32>(&mut [], 0.5), lower_rank::<f64>(&mut [], 1.0)), (None, None));
    }
}
