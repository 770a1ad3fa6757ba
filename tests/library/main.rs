//! What the library computes, through its public API.

mod architecture;
mod brainchop;
mod cohort;
mod coils;
mod degrade;
mod dicom;
mod dicom_out;
#[path = "../common/encodings.rs"]
mod encodings;
mod extractors;
mod formats;
#[path = "../common/needs.rs"]
mod needs;
mod networks;
#[path = "../common/operations.rs"]
mod operations;
mod operators;
mod ops;
mod page;
mod parity;
mod phantom;
mod physics;
mod prepare;
mod quality_check;
mod recipes;
mod recon;
mod restore;
mod sampling;
mod second_order;
mod shipped;
mod volume_properties;
mod volumes;
mod warp;
