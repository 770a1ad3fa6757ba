//! The NVIDIA backend.

use burn::backend::Cuda;

use super::VolumeOps;

impl VolumeOps for Cuda {}
