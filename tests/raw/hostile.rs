//! Damaged and hostile files: every reader refuses them or reads numbers, without a panic and in little memory.

use std::fs;
use std::path::Path;

use peak_alloc::PeakAlloc;
use proptest::prelude::*;
use voxgan::io::dc::DcPlace;
use voxgan::io::masks::{self, MaskOptions};
use voxgan::io::raw::{self, RawOptions};

use crate::fixture;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The fixtures that hostile files are made of.
const VICTIMS: [&str; 17] = [
    "c_undersampled.h5",
    "py_slices.h5",
    "py_slab.h5",
    "fastmri_old.h5",
    "fastmri_new.h5",
    "fastmri_bare.h5",
    "corner_v73.mat",
    "corner_v7.mat",
    "centre_v5.mat",
    "two.mat",
    "c16_fortran_big.npy",
    "f8_version3.npy",
    "bart.cfl",
    "bart.hdr",
    "corner.npy",
    "corner.png",
    "centre.tif",
];

/// No reader of files as small as these may need more than this.
const MOST_MB: f32 = 96.0;

/// Reads `bytes` in place of the fixture `name` with every reader that could meet it; returns how many accepted it.
fn read_hostile(folder: &Path, name: &str, bytes: &[u8]) -> usize {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    if name.starts_with("bart") {
        let other = if name.ends_with("cfl") { "bart.hdr" } else { "bart.cfl" };
        fs::copy(fixture(other), folder.join(other)).unwrap();
    }
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage_as_mb();
    let mut accepted = 0;
    for options in [
        RawOptions::default(),
        RawOptions { repetition: Some(1), slice: Some(0), dc: DcPlace::Corner, ..RawOptions::default() },
    ] {
        if let Ok(kspace) = raw::read(&path, &options) {
            let (_, d, h, w) = kspace.data.dim();
            assert_eq!(kspace.sampled.dim(), (d, h, w));
            assert!(kspace.data.iter().all(|value| value.re.is_finite() && value.im.is_finite()));
            assert!(kspace.image.affine.iter().all(|value| value.is_finite()));
            accepted += 1;
        }
    }
    for dc in [None, Some(DcPlace::Corner)] {
        let variable = (name == "two.mat").then(|| "first".to_string());
        accepted += usize::from(masks::read_with(&path, &MaskOptions { variable, dc }).is_ok());
    }
    let used = MEMORY.peak_usage_as_mb() - before;
    // The decoder of TIFF allows itself 256 MB for a damaged directory before it can be told its limit.
    if used >= if name.ends_with(".tif") { 300.0 } else { MOST_MB } {
        let kept = std::env::temp_dir().join(format!("voxgan-hostile-{name}"));
        fs::write(&kept, bytes).unwrap();
        panic!("{name}: {used} MB; kept as {}", kept.display());
    }
    fs::remove_file(&path).unwrap();
    accepted
}

/// Overwrites `count` places with bytes that hurt most, drawn from `state`.
fn mutate(bytes: &mut Vec<u8>, mut state: u64, count: usize) {
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as usize) % below.max(1)
    };
    for _ in 0..count {
        let place = draw(bytes.len());
        match draw(8) {
            0 => bytes.truncate(place),
            1 => bytes.splice(place..place, std::iter::repeat_n(0xff, 8)).for_each(drop),
            2..4 => {
                let end = bytes.len().min(place + 8);
                bytes[place..end].fill(if draw(2) == 0 { 0xff } else { 0 });
            }
            4 => bytes[place] = bytes[place].wrapping_add(1),
            5 => bytes[place] = [0, 1, 0x7f, 0x80, 0xfe, 0xff][draw(6)],
            _ => bytes[place] ^= 1 << draw(8),
        }
        if bytes.is_empty() {
            return;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_are_read_or_refused(victim in 0..VICTIMS.len(), state: u64, count in 1_usize..12) {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = fs::read(fixture(VICTIMS[victim])).unwrap();
        mutate(&mut bytes, state, count);
        read_hostile(folder.path(), VICTIMS[victim], &bytes);
    }

    #[test]
    fn files_cut_off_are_read_or_refused(victim in 0..VICTIMS.len(), part in 0.0_f64..1.0) {
        let folder = tempfile::tempdir().unwrap();
        let bytes = fs::read(fixture(VICTIMS[victim])).unwrap();
        read_hostile(folder.path(), VICTIMS[victim], &bytes[..(part * bytes.len() as f64) as usize]);
    }
}

/// Minutes of the same: `VOXGAN_MUTATIONS=200000 cargo test --release --test raw -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn many_damaged_files() {
    let count: u64 = std::env::var("VOXGAN_MUTATIONS").map_or(20_000, |count| count.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut accepted = [0; VICTIMS.len()];
    let victims: Vec<Vec<u8>> = VICTIMS.iter().map(|name| fs::read(fixture(name)).unwrap()).collect();
    for state in 0..count {
        let victim = state as usize % VICTIMS.len();
        let mut bytes = victims[victim].clone();
        mutate(&mut bytes, state, 1 + (state >> 8) as usize % 16);
        accepted[victim] += usize::from(read_hostile(folder.path(), VICTIMS[victim], &bytes) > 0);
    }
    println!(
        "{count} damaged files: {:?} of each still read",
        VICTIMS.iter().zip(accepted).collect::<Vec<_>>()
    );
}
