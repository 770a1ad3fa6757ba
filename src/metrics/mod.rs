//! Measures of synthetic volumes on the host: how much they differ among themselves, how near they come to the real
//! ones, and whether any is a copy.

mod neighbours;
mod ssim;

pub use neighbours::{
    Neighbour, Neighbours, SetDistance, foreground, nearest, set_distance, split_half_distance,
};
pub use ssim::{Diversity, Similarity, diversity, ms_ssim, ssim};
