//! Restoration: what a scan should have been, from what was measured.

pub mod encoding;
