//! Shared statistics: order statistics, samples of one quantity, resampling and its intervals.

mod order;
mod resampling;
mod sample;

pub use order::{lower_rank, median, nearest_rank, quantile, quantile_of, upper_median};
pub use resampling::{Bootstrap, Draws, Interval, permutation_p, permuted, with_replacement};
pub use sample::{
    Sample, Summary, cohens_d, hedges_factor, kolmogorov_smirnov_distance, largest_gap, steps, wasserstein,
};
