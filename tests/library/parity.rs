//! Parity with independent implementations: every quantity that the fixtures pin.

use std::path::Path;

use burn::backend::{Autodiff, Flex};
use voxgan::pretrained::{Fixture, parity};

type Cpu = Autodiff<Flex>;

fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden").join(name);
    let fixture = Fixture::read(&path).expect("the fixture reads");
    let rows = parity::check::<Cpu>(&fixture, &Default::default()).expect("the fixture loads");
    assert!(rows.len() >= 15, "{name} pins {} groups only", rows.len());
    for row in &rows {
        println!(
            "{name} {:20} {:3} arrays {:.1e} ≤ {:.0e} ({})",
            row.group, row.arrays, row.error, row.tolerance, row.worst
        );
    }
    assert!(rows.iter().all(|row| row.passes()), "{name}: above tolerance");
}

#[test]
fn cube() {
    check("stylegan2_3d_r16_c1.safetensors");
}

#[test]
fn brick_with_two_deviation_groups() {
    check("stylegan2_3d_brick_20x24x20.safetensors");
}

#[test]
fn thick_slice_slab() {
    check("stylegan2_3d_slab_16x16x6.safetensors");
}

/// Scalars that are sums over whole fields, behind eight mapping layers.
#[test]
fn a_deep_mapping_and_large_slices() {
    check("stylegan2_2d_r64_c1.safetensors");
}

#[test]
fn the_authors_program_on_grey_slices() {
    check("stylegan2ada_2d_r32_c1.safetensors");
}

#[test]
fn the_authors_program_on_conditional_colour_slices() {
    check("stylegan2ada_2d_r16_rgb_cond.safetensors");
}
