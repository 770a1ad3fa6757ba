//! What GPUs compute against the CPU, on the best adapter that there is: Mesa's llvmpipe, a program, is enough.
//!
//! Shapes are small: llvmpipe is slow, and ends an invocation of a shader without a word after 65,535 turns of its loops.

mod augmentation;
mod card;
#[path = "../common/encodings.rs"]
mod encodings;
mod heads;
mod layers;
#[path = "../common/needs.rs"]
mod needs;
mod networks;
#[path = "../common/operations.rs"]
mod operations;
mod ops;
mod physics;
#[path = "../training/prepared.rs"]
mod prepared;
mod products;
#[path = "../common/program.rs"]
mod program;
mod reshaping;
mod training;
