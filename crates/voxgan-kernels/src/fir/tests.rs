//! The resampler against its definition in float64, its adjoint, and the same without fusion.

use super::{Pass, fir_on};
use crate::lanes::{Isa, isa};
use crate::layout::Layout;
use crate::passes::epilogue::Epilogue;
use crate::passes::epilogue::epilogue_on;
use crate::passes::tests::{Numbers, blocked_of, magnitude, plain_of};
use crate::passes::volumes::Volumes;

/// One pass by its definition, `x` `[outer, len, inner]`.
fn defined(x: &[f64], dims: &mut [usize; 5], pass: &Pass) -> Vec<f64> {
    let len = dims[pass.axis];
    let (outer, inner): (usize, usize) =
        (dims[..pass.axis].iter().product(), dims[pass.axis + 1..].iter().product());
    let stuffed = |n: usize, z: isize, i: usize| {
        let z = z - pass.pad.0;
        let hit = z >= 0 && (z as usize).is_multiple_of(pass.up) && (z as usize / pass.up) < len;
        if hit { x[(n * len + z as usize / pass.up) * inner + i] } else { 0.0 }
    };
    let out_len = ((len * pass.up) as isize + pass.pad.0 + pass.pad.1 - 4) as usize / pass.down + 1;
    let mut y = Vec::new();
    for n in 0..outer {
        for o in 0..out_len {
            for i in 0..inner {
                y.push(
                    (0..4)
                        .map(|t| f64::from(pass.taps[t]) * stuffed(n, (o * pass.down + t) as isize, i))
                        .sum::<f64>(),
                );
            }
        }
    }
    dims[pass.axis] = out_len;
    y
}

/// The pass that takes the gradient of `pass` back to `len` samples.
fn adjoint(pass: &Pass, len: usize) -> Pass {
    let Pass { axis, up, down, pad, taps: [a, b, c, d] } = *pass;
    let front = 3 - pad.0;
    let out_len = ((len * up) as isize + pad.0 + pad.1 - 4) as usize / down + 1;
    let back = (len * up - up) as isize + 4 - (out_len * down) as isize - front;
    Pass { axis, up: down, down: up, pad: (front, back), taps: [d, c, b, a] }
}

const TAPS: [f32; 4] = [0.3, -0.7, 1.1, 0.2];

fn pass(axis: usize, (up, down): (usize, usize), pad: (isize, isize)) -> Pass {
    Pass { axis, up, down, pad, taps: TAPS }
}

/// Grids with passes: those of the networks, then drawn ones that leave something.
fn cases() -> Vec<([usize; 5], Vec<Pass>)> {
    let all = |rates, pad| (2..5).map(|axis| pass(axis, rates, pad)).collect::<Vec<_>>();
    let mut cases = vec![
        ([1, 16, 9, 9, 9], all((1, 1), (1, 1))),
        ([2, 17, 8, 6, 7], all((1, 1), (2, 2))),
        ([1, 3, 8, 6, 10], all((1, 2), (1, 1))),
        ([2, 5, 4, 5, 3], all((2, 1), (2, 1))),
        ([1, 33, 5, 6, 5], all((2, 1), (2, 1))),
        ([1, 4, 33, 40, 20], all((1, 1), (1, 1))),
        ([1, 2, 3, 70, 40], all((2, 1), (2, 1))),
        ([1, 1, 6, 70, 41], all((1, 2), (1, 1))),
        ([3, 2, 1, 9, 8], all((1, 1), (1, 1))[1..].to_vec()),
        ([3, 2, 1, 9, 8], all((1, 2), (1, 1))[1..].to_vec()),
        ([1, 2, 7, 1, 8], vec![pass(2, (1, 1), (2, 2)), pass(4, (2, 1), (2, 1))]),
        ([2, 3, 5, 4, 3], vec![]),
        ([1, 2, 6, 70, 131], all((1, 1), (1, 1))),
        ([1, 2, 5, 40, 135], vec![pass(4, (1, 1), (2, 2)), pass(3, (1, 1), (-1, 4))]),
    ];
    cases.extend((1..=33).map(|c| ([1 + c % 5, c, 5, 4, 6], all((1, 1), (2, 2)))));
    let mut numbers = Numbers::new(1);
    let mut draw = |from: isize, to: isize| from + (numbers.next() as isize).rem_euclid(to - from);
    while cases.len() < 290 {
        let dims = [4, 40, 9, 9, 20].map(|most| draw(1, most) as usize);
        let passes: Vec<Pass> = (2..5)
            .filter_map(|axis| {
                let rates = (draw(1, 4) as usize, draw(1, 4) as usize);
                let pad = (draw(-2, 6), draw(-2, 6));
                (draw(0, 4) > 0).then(|| pass(axis, rates, pad))
            })
            .collect();
        if passes.iter().all(|p| (dims[p.axis] * p.up) as isize + p.pad.0 + p.pad.1 >= 4) {
            cases.push((dims, passes));
        }
    }
    cases
}

#[test]
fn resampling_matches_its_definition() {
    for (dims, passes) in cases() {
        let x = Numbers::new(2).floats(dims.iter().product());
        let (mut expected, mut size) = (x.iter().map(|x| f64::from(*x)).collect::<Vec<_>>(), dims);
        let mut sizes: Vec<f64> = expected.iter().map(|x| x.abs()).collect();
        for pass in &passes {
            let magnitudes = Pass { taps: pass.taps.map(f32::abs), ..*pass };
            sizes = defined(&sizes, &mut size.clone(), &magnitudes);
            expected = defined(&expected, &mut size, pass);
        }
        for isa in Isa::available() {
            for layout in [Layout::Plain, Layout::Blocked] {
                let volumes = |dims: [usize; 5]| Volumes {
                    layout,
                    batch: dims[0],
                    channels: dims[1],
                    voxels: dims[2..].iter().product(),
                };
                let mut reversed = passes.clone();
                reversed.reverse();
                let laid = blocked_of(&volumes(dims), &x);
                let (y, found) = fir_on(isa, &laid, layout, dims, &reversed, &Epilogue::default());
                assert_eq!(found, size);
                let y = plain_of(&volumes(size), &y);
                assert_eq!(y.len(), expected.len());
                for ((y, e), s) in y.iter().zip(&expected).zip(&sizes) {
                    let error = (f64::from(*y) - e).abs();
                    assert!(error <= 1e-6 * s, "{isa:?} {layout:?} {dims:?} {passes:?}: {y} {e}");
                }
            }
        }
    }
}

#[test]
fn resampling_has_the_adjoint_that_its_documentation_names() {
    let dot = |a: &[f32], b: &[f32]| {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
    };
    for (dims, passes) in cases() {
        for layout in [Layout::Plain, Layout::Blocked] {
            let volumes = |dims: [usize; 5]| Volumes {
                layout,
                batch: dims[0],
                channels: dims[1],
                voxels: dims[2..].iter().product(),
            };
            let x = blocked_of(&volumes(dims), &Numbers::new(3).floats(dims.iter().product()));
            let none = Epilogue::default();
            let (y, size) = fir_on(isa(), &x, layout, dims, &passes, &none);
            let g = blocked_of(&volumes(size), &Numbers::new(4).floats(size.iter().product()));
            let back: Vec<Pass> = passes.iter().map(|p| adjoint(p, dims[p.axis])).collect();
            let (gx, found) = fir_on(isa(), &g, layout, size, &back, &none);
            assert_eq!(found, dims, "{passes:?}");
            let (a, b) = (dot(&y, &g), dot(&x, &gx));
            let limit = 1e-6 * (magnitude(&y) * magnitude(&g)).max(1e-30);
            assert!((a - b).abs() <= limit, "{layout:?} {dims:?} {passes:?}: {a} {b}");
        }
    }
}

#[test]
fn the_fused_epilogue_is_the_epilogue() {
    for (dims, passes) in cases() {
        for isa in Isa::available() {
            for layout in [Layout::Plain, Layout::Blocked] {
                let shape =
                    Volumes { layout, batch: dims[0], channels: dims[1], voxels: dims[2..].iter().product() };
                let x = blocked_of(&shape, &Numbers::new(5).floats(dims.iter().product()));
                let (plain, size) = fir_on(isa, &x, layout, dims, &passes, &Epilogue::default());
                let shape = Volumes { voxels: size[2..].iter().product(), ..shape };
                let mut numbers = Numbers::new(6);
                let scale = numbers.floats(shape.batch * shape.channels);
                let field = numbers.floats(shape.batch * shape.voxels);
                let bias = numbers.floats(shape.channels);
                for parts in 0..16 {
                    let epilogue = Epilogue {
                        scale: (parts & 1 > 0).then_some(&scale[..]),
                        field: (parts & 2 > 0).then_some(&field[..]),
                        bias: (parts & 4 > 0).then_some(&bias[..]),
                        lrelu: (parts & 8 > 0).then_some(1.4),
                    };
                    let (fused, _) = fir_on(isa, &x, layout, dims, &passes, &epilogue);
                    let apart = epilogue_on(isa, &shape, &plain, &epilogue);
                    assert!(fused == apart, "{isa:?} {layout:?} {dims:?} {passes:?} {parts}");
                }
            }
        }
    }
}

#[test]
fn threads_change_no_bit_of_a_resampling() {
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    for (dims, passes) in cases() {
        let x = Numbers::new(7).floats(Layout::Blocked.len(dims[0], dims[1], dims[2..].iter().product()));
        let all = || fir_on(isa(), &x, Layout::Blocked, dims, &passes, &Epilogue::default()).0;
        let one = pool(1).install(all);
        for threads in [2, 7] {
            assert!(one == pool(threads).install(all), "{threads} threads: {dims:?} {passes:?}");
        }
    }
}

#[test]
fn a_blur_of_ones_keeps_its_inside() {
    let taps = [0.125, 0.375, 0.375, 0.125];
    let passes: Vec<Pass> = (2..5).map(|axis| Pass { axis, up: 1, down: 1, pad: (1, 1), taps }).collect();
    let (y, size) = fir_on(isa(), &[1.0; 125], Layout::Plain, [1, 1, 5, 5, 5], &passes, &Epilogue::default());
    assert_eq!(size, [1, 1, 4, 4, 4]);
    // The first and last windows of each axis reach one zero: 7/8 of the sum.
    let edge = |i: usize| if i == 0 || i == 3 { 0.875 } else { 1.0 };
    for (i, y) in y.iter().enumerate() {
        assert_eq!(*y, edge(i / 16) * edge(i / 4 % 4) * edge(i % 4));
    }
}
