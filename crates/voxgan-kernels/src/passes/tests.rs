//! The pointwise passes against their definitions in float64, in both layouts and on every instruction set.

use super::convert::{to_blocked, to_plain};
use super::epilogue::epilogue_on;
use super::epilogue_grad::epilogue_grad_on;
use super::pointwise::{
    add_on, channel_collect_on, channel_dot_on, channel_sum_on, lrelu_mask_on, scale_and_dot_on,
};
use crate::lanes::Isa;
use crate::layout::Layout;
use crate::passes::epilogue::Epilogue;
use crate::passes::volumes::Volumes;

/// A 64-bit linear congruential generator.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// 24 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 40
    }

    /// Numbers in [−1, 1).
    pub fn floats(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.next() as f32 / (1u64 << 23) as f32 - 1.0).collect()
    }
}

pub(crate) fn magnitude(x: &[f32]) -> f64 {
    x.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt()
}

/// Where channel c of voxel v of volume n lies.
fn place(shape: &Volumes, n: usize, c: usize, v: usize) -> usize {
    match shape.layout {
        Layout::Plain => (n * shape.channels + c) * shape.voxels + v,
        Layout::Blocked => ((n * shape.channels.div_ceil(16) + c / 16) * shape.voxels + v) * 16 + c % 16,
    }
}

/// Every (n, c, v).
fn every(shape: &Volumes) -> impl Iterator<Item = (usize, usize, usize)> {
    let Volumes { batch, channels, voxels, .. } = *shape;
    (0..batch * channels * voxels).map(move |i| (i / voxels / channels, i / voxels % channels, i % voxels))
}

/// `x` `[N, C, V]` in the shape's layout.
pub(crate) fn blocked_of(shape: &Volumes, x: &[f32]) -> Vec<f32> {
    let mut laid = vec![0.0; shape.layout.len(shape.batch, shape.channels, shape.voxels)];
    for ((n, c, v), x) in every(shape).zip(x) {
        laid[place(shape, n, c, v)] = *x;
    }
    laid
}

/// Back to `[N, C, V]`; lanes beyond C must be zero.
pub(crate) fn plain_of(shape: &Volumes, laid: &[f32]) -> Vec<f32> {
    let mut rest = laid.to_vec();
    let x = every(shape).map(|(n, c, v)| std::mem::take(&mut rest[place(shape, n, c, v)])).collect();
    assert!(rest.iter().all(|x| *x == 0.0), "lanes beyond the channels of {shape:?}");
    x
}

/// All channel counts from 1 to 33, batches 1 to 5, single voxels, several tiles.
fn shapes() -> Vec<Volumes> {
    let mut shapes = Vec::new();
    for layout in [Layout::Plain, Layout::Blocked] {
        let shape = |batch, channels, voxels| Volumes { layout, batch, channels, voxels };
        shapes.extend((1..=33).map(|channels| shape(1 + channels % 5, channels, 1 + channels * 7 % 90)));
        shapes.extend([shape(1, 1, 70_001), shape(2, 16, 4_099), shape(1, 33, 1_500), shape(5, 130, 64)]);
    }
    shapes
}

fn close(found: &[f32], expected: &[f64], sizes: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, ((f, e), s)) in found.iter().zip(expected).zip(sizes).enumerate() {
        assert!((f64::from(*f) - e).abs() <= 1e-6 * s.max(1e-30), "{what}: {f} for {e} at {i}");
    }
}

/// Sums of `term(n, c, v)` into the places that `of` names, with the sums of magnitudes.
fn sums(
    shape: &Volumes,
    len: usize,
    of: impl Fn(usize, usize, usize) -> usize,
    term: impl Fn(usize, usize, usize) -> f64,
) -> (Vec<f64>, Vec<f64>) {
    let (mut sum, mut size) = (vec![0.0; len], vec![0.0; len]);
    for (n, c, v) in every(shape) {
        let term = term(n, c, v);
        sum[of(n, c, v)] += term;
        size[of(n, c, v)] += term.abs();
    }
    (sum, size)
}

#[test]
fn sums_match_their_definitions() {
    for shape in shapes() {
        let Volumes { batch, channels, voxels, .. } = shape;
        let len = batch * channels * voxels;
        let (x, y) = (Numbers::new(1).floats(len), Numbers::new(2).floats(len));
        let s = Numbers::new(3).floats(batch * channels);
        let at = |x: &[f32], n: usize, c: usize, v: usize| f64::from(x[(n * channels + c) * voxels + v]);
        let (lx, ly) = (blocked_of(&shape, &x), blocked_of(&shape, &y));
        let by_channel = |n: usize, c: usize, _: usize| n * channels + c;
        let dot = sums(&shape, batch * channels, by_channel, |n, c, v| at(&x, n, c, v) * at(&y, n, c, v));
        let by_voxel = sums(&shape, batch * voxels, |n, _, v| n * voxels + v, |n, c, v| at(&x, n, c, v));
        let in_all = sums(&shape, channels, |_, c, _| c, |n, c, v| at(&x, n, c, v));
        let scaled: Vec<f32> = every(&shape).zip(&x).map(|((n, c, _), x)| x * s[n * channels + c]).collect();
        for isa in Isa::available() {
            let what = format!("{isa:?} {shape:?}");
            close(&channel_dot_on(isa, &shape, &lx, &ly), &dot.0, &dot.1, &what);
            close(&channel_collect_on(isa, &shape, &lx), &by_voxel.0, &by_voxel.1, &what);
            close(&channel_sum_on(isa, &shape, &lx), &in_all.0, &in_all.1, &what);
            let (times, products) = scale_and_dot_on(isa, &shape, &lx, &ly, &s);
            close(&products, &dot.0, &dot.1, &what);
            assert!(plain_of(&shape, &times) == scaled, "{what}");
        }
    }
}

#[test]
fn masks_and_sums_of_two_are_elementwise() {
    for len in [1, 15, 16, 17, 100, 40_000] {
        let (y, g) = (Numbers::new(1).floats(len), Numbers::new(2).floats(len));
        for isa in Isa::available() {
            let added: Vec<f32> = y.iter().zip(&g).map(|(a, b)| a + b).collect();
            assert!(add_on(isa, &y, &g) == added);
            let found = lrelu_mask_on(isa, &y, &g, 0.2, 1.5);
            for ((y, g), found) in y.iter().zip(&g).zip(found) {
                let expected = f64::from(*g) * if *y < 0.0 { 0.2 * 1.5 } else { 1.5 };
                assert!((f64::from(found) - expected).abs() <= 1e-6 * expected.abs());
            }
            // Five and 1/gain undo slope 0.2 and the gain.
            let shape = Volumes { layout: Layout::Plain, batch: 1, channels: 1, voxels: len };
            let active = epilogue_on(isa, &shape, &g, &Epilogue { lrelu: Some(1.5), ..Epilogue::default() });
            for (found, g) in lrelu_mask_on(isa, &active, &active, 5.0, 1.0 / 1.5).iter().zip(&g) {
                assert!((found - g).abs() <= 1e-6 * g.abs());
            }
        }
    }
}

/// The parts of an epilogue, to take any of.
struct Parts {
    scale: Vec<f32>,
    field: Vec<f32>,
    bias: Vec<f32>,
}

impl Parts {
    fn new(shape: &Volumes) -> Self {
        let mut numbers = Numbers::new(9);
        // As far from zero as the demodulation keeps them, of both signs.
        let scale = numbers.floats(shape.batch * shape.channels);
        Self {
            scale: scale.into_iter().map(|s| s + 0.5f32.copysign(s)).collect(),
            field: numbers.floats(shape.batch * shape.voxels),
            bias: numbers.floats(shape.channels),
        }
    }

    fn some(&self, which: usize) -> Epilogue<'_> {
        Epilogue {
            scale: (which & 1 > 0).then_some(&self.scale[..]),
            field: (which & 2 > 0).then_some(&self.field[..]),
            bias: (which & 4 > 0).then_some(&self.bias[..]),
            lrelu: (which & 8 > 0).then_some(1.4),
        }
    }
}

/// What an epilogue makes of `x`, and the sum of magnitudes on the way.
fn defined(shape: &Volumes, e: &Epilogue, (n, c, v): (usize, usize, usize), x: f64) -> (f64, f64) {
    let part = |part: Option<&[f32]>, i: usize, without: f64| part.map_or(without, |part| f64::from(part[i]));
    let x = x * part(e.scale, n * shape.channels + c, 1.0);
    let (field, bias) = (part(e.field, n * shape.voxels + v, 0.0), part(e.bias, c, 0.0));
    let (y, gain) = (x + field + bias, e.lrelu.map_or(1.0, f64::from));
    let slope = if e.lrelu.is_some() && y < 0.0 { 0.2 } else { 1.0 };
    (y * slope * gain, (x.abs() + field.abs() + bias.abs()) * gain)
}

#[test]
fn epilogues_match_their_definition() {
    for shape in shapes() {
        let parts = Parts::new(&shape);
        let x = Numbers::new(1).floats(shape.batch * shape.channels * shape.voxels);
        let laid = blocked_of(&shape, &x);
        for which in 0..16 {
            let e = parts.some(which);
            let (expected, sizes): (Vec<_>, Vec<_>) =
                every(&shape).zip(&x).map(|(at, x)| defined(&shape, &e, at, f64::from(*x))).unzip();
            for isa in Isa::available() {
                let y = plain_of(&shape, &epilogue_on(isa, &shape, &laid, &e));
                close(&y, &expected, &sizes, &format!("{isa:?} {shape:?} {which}"));
            }
        }
    }
}

#[test]
fn gradients_of_epilogues_match_finite_differences() {
    let step = 1e-6;
    for shape in shapes().into_iter().filter(|s| s.voxels < 2_000) {
        let Volumes { batch, channels, voxels, .. } = shape;
        let (parts, mut numbers) = (Parts::new(&shape), Numbers::new(1));
        let x = numbers.floats(batch * channels * voxels);
        let g = numbers.floats(batch * channels * voxels);
        for which in 0..16 {
            let e = parts.some(which);
            let laid = epilogue_on(Isa::Portable, &shape, &blocked_of(&shape, &x), &e);
            // The loss Σ g·epilogue, its derivative by central differences of the definition, which is piecewise
            // linear: where a kink is near, the side that x is on.
            let slope = |at: (usize, usize, usize), x: f64| {
                let kinked = e.lrelu.is_some() && defined(&shape, &e, at, x).0 < 0.0;
                (if kinked { 0.2 } else { 1.0 }) * e.lrelu.map_or(1.0, f64::from)
            };
            let linear = Epilogue { lrelu: None, ..e };
            let along_x = |at, x: f64| {
                (defined(&shape, &linear, at, x + step).0 - defined(&shape, &linear, at, x - step).0)
                    / (2.0 * step)
                    * slope(at, x)
            };
            let index = |n: usize, c: usize, v: usize| (n * channels + c) * voxels + v;
            let at = |n, c, v| (f64::from(x[index(n, c, v)]), f64::from(g[index(n, c, v)]));
            let gx: Vec<f64> = every(&shape)
                .map(|i| at(i.0, i.1, i.2))
                .zip(every(&shape))
                .map(|((x, g), i)| g * along_x(i, x))
                .collect();
            let m = |n, c, v| at(n, c, v).1 * slope((n, c, v), at(n, c, v).0);
            let by_scale = sums(
                &shape,
                batch * channels,
                |n, c, _| n * channels + c,
                |n, c, v| m(n, c, v) * at(n, c, v).0,
            );
            let by_field = sums(&shape, batch * voxels, |n, _, v| n * voxels + v, m);
            let by_bias = sums(&shape, channels, |_, c, _| c, m);
            for isa in Isa::available() {
                let what = format!("{isa:?} {shape:?} {which}");
                let found = epilogue_grad_on(isa, &shape, &laid, &blocked_of(&shape, &g), &e);
                let sizes: Vec<f64> = gx.iter().map(|g| g.abs() * 10.0).collect();
                close(&plain_of(&shape, &found.x), &gx, &sizes, &what);
                assert_eq!(found.scale.is_some(), e.scale.is_some());
                assert_eq!(found.field.is_some(), e.field.is_some());
                assert_eq!(found.bias.is_some(), e.bias.is_some());
                if let Some(found) = found.scale {
                    // Recovered from y: field and bias, up to four times as large as what they hide, round z.
                    let sizes: Vec<f64> = by_scale.1.iter().map(|s| s * 4.0 + 4.0).collect();
                    close(&found, &by_scale.0, &sizes, &what);
                }
                if let Some(found) = found.field {
                    close(&found, &by_field.0, &by_field.1, &what);
                }
                if let Some(found) = found.bias {
                    close(&found, &by_bias.0, &by_bias.1, &what);
                }
            }
        }
    }
}

#[test]
fn layouts_convert_both_ways() {
    for shape in shapes() {
        let Volumes { batch, channels, voxels, .. } = shape;
        let x = Numbers::new(1).floats(batch * channels * voxels);
        let lanes = blocked_of(&Volumes { layout: Layout::Blocked, ..shape }, &x);
        assert!(to_blocked(batch, channels, voxels, &x) == lanes, "{shape:?}");
        assert!(to_plain(batch, channels, voxels, &lanes) == x, "{shape:?}");
    }
}

#[test]
fn threads_change_no_bit_of_a_sum() {
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    for shape in shapes() {
        let x = blocked_of(&shape, &Numbers::new(1).floats(shape.batch * shape.channels * shape.voxels));
        let parts = Parts::new(&shape);
        let all = || {
            let isa = crate::isa();
            let grad = epilogue_grad_on(isa, &shape, &x, &x, &parts.some(15));
            let mut bits = channel_dot_on(isa, &shape, &x, &x);
            bits.extend(channel_sum_on(isa, &shape, &x));
            bits.extend(channel_collect_on(isa, &shape, &x));
            bits.extend(grad.x);
            bits.extend([grad.scale, grad.field, grad.bias].into_iter().flatten().flatten());
            bits.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        let one = pool(1).install(all);
        for threads in [2, 5] {
            assert!(one == pool(threads).install(all), "{threads} threads: {shape:?}");
        }
    }
}
