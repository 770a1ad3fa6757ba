//! Against sums from the definition in 64 bits, over instruction sets, grids, channels and options.

use super::{conv3d_input_grad_on, conv3d_on, conv3d_weight_grad_on, suits};
use crate::{Conv3d, Epilogue, Isa, Layout};

/// Largest error allowed, relative to the largest magnitude in the result.
const OF_LARGEST: f64 = 1e-5;
/// Largest error allowed, relative to the sum of the magnitudes of an element's terms.
const OF_TERMS: f64 = 3e-6;

/// Numbers in [−1, 1) from a 64-bit linear congruential generator.
fn random(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

fn shape(batch: usize, (in_channels, out_channels): (usize, usize), input: [usize; 3]) -> Conv3d {
    Conv3d {
        batch,
        in_channels,
        out_channels,
        input,
        kernel: [3; 3],
        stride: [1; 3],
        padding: [1; 3],
        in_layout: Layout::Blocked,
        out_layout: Layout::Blocked,
    }
}

/// `[N, C, voxels]` as `[N, C/16, voxels, 16]`.
fn to_blocked(x: &[f32], channels: usize, voxels: usize) -> Vec<f32> {
    let (batch, blocks) = (x.len() / channels / voxels, channels.div_ceil(16));
    let mut out = vec![0.0; batch * blocks * voxels * 16];
    for (at, v) in x.iter().enumerate() {
        let (n, c, i) = (at / voxels / channels, at / voxels % channels, at % voxels);
        out[((n * blocks + c / 16) * voxels + i) * 16 + c % 16] = *v;
    }
    out
}

/// The inverse of [`to_blocked`]; all other lanes must be zero.
fn from_blocked(x: &[f32], channels: usize, voxels: usize) -> Vec<f32> {
    let (blocks, mut out) = (channels.div_ceil(16), Vec::new());
    let batch = x.len() / (blocks * voxels * 16);
    for at in 0..batch * channels * voxels {
        let (n, c, i) = (at / voxels / channels, at / voxels % channels, at % voxels);
        out.push(x[((n * blocks + c / 16) * voxels + i) * 16 + c % 16]);
    }
    assert!(
        to_blocked(&out, channels, voxels).iter().zip(x).all(|(a, b)| a.to_bits() == b.to_bits() || a == b)
    );
    out
}

/// Sums in 64 bits, and sums of the magnitudes of their terms.
struct Sums {
    value: Vec<f64>,
    magnitude: Vec<f64>,
}

impl Sums {
    fn zero(len: usize) -> Self {
        Self { value: vec![0.0; len], magnitude: vec![0.0; len] }
    }

    fn add(&mut self, at: usize, term: f64) {
        self.value[at] += term;
        self.magnitude[at] += term.abs();
    }

    fn check(&self, found: &[f32], what: &str) {
        assert_eq!(found.len(), self.value.len(), "{what}");
        let largest = self.value.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        for (at, (f, v)) in found.iter().zip(&self.value).enumerate() {
            let error = (f64::from(*f) - v).abs();
            assert!(error <= OF_LARGEST * largest, "{what}: {f} for {v} at {at}, largest {largest}");
            let terms = self.magnitude[at];
            // A few border voxels have few terms, while their tile's other voxels have all.
            assert!(
                error <= OF_TERMS * terms.max(0.3 * largest),
                "{what}: {f} for {v} at {at}, terms {terms}"
            );
        }
    }
}

/// Calls `visit(x, w, y)` with the indices of every product in the convolution's definition.
fn products(s: &Conv3d, mut visit: impl FnMut(usize, usize, usize)) {
    let [d, h, w] = s.input;
    for n in 0..s.batch {
        for o in 0..s.out_channels {
            for i in 0..s.in_channels {
                for v in 0..d * h * w {
                    let (zd, zh, zw) = (v / (h * w), v / w % h, v % w);
                    for t in 0..27 {
                        let (a, b, c) = (zd + t / 9, zh + t / 3 % 3, zw + t % 3);
                        if (1..=d).contains(&a) && (1..=h).contains(&b) && (1..=w).contains(&c) {
                            let x = (((n * s.in_channels + i) * d + a - 1) * h + b - 1) * w + c - 1;
                            visit(
                                x,
                                (o * s.in_channels + i) * 27 + t,
                                (n * s.out_channels + o) * d * h * w + v,
                            );
                        }
                    }
                }
            }
        }
    }
}

/// Applies the epilogue to sums over `channels`.
fn finish(sums: &mut Sums, channels: usize, voxels: usize, epilogue: &Epilogue<'_>) {
    for at in 0..sums.value.len() {
        let (n, c, i) = (at / voxels / channels, at / voxels % channels, at % voxels);
        let (mut v, mut m) = (sums.value[at], sums.magnitude[at]);
        if let Some(scale) = epilogue.scale {
            let s = f64::from(scale[n * channels + c]);
            (v, m) = (v * s, m * s.abs());
        }
        for term in [epilogue.field.map(|f| f[n * voxels + i]), epilogue.bias.map(|b| b[c])] {
            let term = f64::from(term.unwrap_or(0.0));
            (v, m) = (v + term, m + term.abs());
        }
        if let Some(gain) = epilogue.lrelu {
            v = if v < 0.0 { 0.2 * v } else { v } * f64::from(gain);
            m *= f64::from(gain);
        }
        (sums.value[at], sums.magnitude[at]) = (v, m);
    }
}

/// All three operations of one shape; `options` has a bit for each scale and each part of the epilogue.
fn check(isa: Isa, s: &Conv3d, options: usize) {
    let what = format!("{isa:?} {s:?} options {options:06b}");
    let (inputs, outputs, voxels) = (s.in_channels, s.out_channels, s.input.iter().product::<usize>());
    let (x, g) = (random(s.batch * s.in_channels * voxels, 1), random(s.batch * s.out_channels * voxels, 3));
    let w = random(s.weight_len(), 2);
    let on = |bit: usize, values: Vec<f32>| (options >> bit & 1 == 1).then_some(values);
    let x_scale = on(0, random(s.batch * inputs, 4));
    let g_scale = on(1, random(s.batch * outputs, 5));
    let scaled = |x: &[f32], scale: &Option<Vec<f32>>| -> Vec<f64> {
        let factor = |at: usize| scale.as_ref().map_or(1.0, |s| f64::from(s[at / voxels]));
        x.iter().enumerate().map(|(at, v)| f64::from(*v) * factor(at)).collect()
    };
    let (xs, gs) = (scaled(&x, &x_scale), scaled(&g, &g_scale));
    let mut y = Sums::zero(g.len());
    let mut gx = Sums::zero(x.len());
    let mut gw = Sums::zero(w.len());
    products(s, |xi, wi, yi| {
        y.add(yi, xs[xi] * f64::from(w[wi]));
        gx.add(xi, gs[yi] * f64::from(w[wi]));
        gw.add(wi, xs[xi] * gs[yi]);
    });

    let (xl, gl) = (to_blocked(&x, inputs, voxels), to_blocked(&g, outputs, voxels));
    let field = on(3, random(s.batch * voxels, 7));
    let lrelu = (options >> 5 & 1 == 1).then_some(1.4);
    for (transposed, sums, sources, targets) in
        [(false, &mut y, inputs, outputs), (true, &mut gx, outputs, inputs)]
    {
        assert!(sources > 0);
        let scale = on(2, random(s.batch * targets, 6));
        let bias = on(4, random(targets, 8));
        let epilogue =
            Epilogue { scale: scale.as_deref(), field: field.as_deref(), bias: bias.as_deref(), lrelu };
        finish(sums, targets, voxels, &epilogue);
        let found = match transposed {
            false => conv3d_on(isa, s, &xl, &w, x_scale.as_deref(), &epilogue),
            true => conv3d_input_grad_on(isa, s, &gl, &w, g_scale.as_deref(), &epilogue),
        };
        sums.check(&from_blocked(&found, targets, voxels), &format!("{what} transposed {transposed}"));
    }
    let found = conv3d_weight_grad_on(isa, s, &xl, &gl, x_scale.as_deref(), g_scale.as_deref());
    gw.check(&found, &format!("{what} weights"));
}

#[test]
fn grids_of_every_kind_match_float64_sums() {
    for isa in Isa::available() {
        for (i, (batch, channels, dims)) in [
            (1, (16, 16), [4, 4, 4]),
            (2, (3, 5), [5, 6, 7]),
            (1, (17, 33), [1, 1, 1]),
            (3, (2, 18), [1, 5, 9]),
            (5, (20, 1), [2, 3, 1]),
            (2, (5, 4), [7, 1, 2]),
            (1, (33, 40), [5, 6, 5]),
            (4, (1, 2), [3, 9, 11]),
            (1, (2, 3), [3, 2, 101]),
            (1, (1, 3), [2, 3, 260]),
            (1, (70, 50), [4, 5, 6]),
        ]
        .into_iter()
        .enumerate()
        {
            check(isa, &shape(batch, channels, dims), [0, 0b111111, 0b010101, 0b101010][i % 4]);
        }
    }
}

#[test]
fn channels_of_every_count_match_float64_sums() {
    for isa in Isa::available() {
        for channels in 1..=33 {
            let other = channels * 7 % 33 + 1;
            check(isa, &shape(1 + channels % 5, (channels, other), [3, 2, 3]), channels % 64);
        }
    }
}

#[test]
fn scales_and_epilogues_match_in_every_combination() {
    for options in 0..64 {
        check(Isa::available()[0], &shape(2, (18, 17), [3, 4, 5]), options);
    }
}

#[test]
fn threads_change_no_bit() {
    let s = shape(2, (20, 33), [7, 12, 30]);
    let voxels = s.input.iter().product::<usize>();
    let x = to_blocked(&random(s.batch * s.in_channels * voxels, 1), s.in_channels, voxels);
    let g = to_blocked(&random(s.batch * s.out_channels * voxels, 3), s.out_channels, voxels);
    let w = random(s.weight_len(), 2);
    let all = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut bits = super::conv3d_on(crate::isa(), &s, &x, &w, None, &Epilogue::default());
            bits.extend(super::conv3d_input_grad_on(crate::isa(), &s, &g, &w, None, &Epilogue::default()));
            bits.extend(super::conv3d_weight_grad_on(crate::isa(), &s, &x, &g, None, None));
            bits.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        })
    };
    let one = all(1);
    for threads in [2, 5, 16] {
        assert!(one == all(threads), "{threads} threads");
    }
}

#[test]
fn wide_layers_stay_accurate() {
    check(Isa::available()[0], &shape(1, (160, 144), [5, 8, 6]), 0b000011);
}

#[test]
fn large_grids_suit_and_small_or_flat_ones_do_not() {
    let layer = |channels, batch, input| shape(batch, (channels, channels), input);
    for s in [
        layer(16, 1, [64; 3]),
        layer(64, 4, [4; 3]),
        layer(16, 1, [40, 48, 40]),
        layer(128, 1, [8; 3]),
        layer(256, 4, [8; 3]),
    ] {
        assert!(suits(&s), "{s:?}");
    }
    for s in [layer(128, 1, [4; 3]), layer(32, 1, [5, 6, 5]), layer(64, 8, [1, 64, 64]), layer(4, 1, [64; 3])]
    {
        assert!(!suits(&s), "{s:?}");
    }
    let large = layer(32, 1, [32; 3]);
    assert!(!suits(&Conv3d { stride: [2; 3], ..large }));
    assert!(!suits(&Conv3d { padding: [0; 3], ..large }));
    assert!(!suits(&Conv3d { kernel: [1; 3], padding: [0; 3], ..large }));
    assert!(!suits(&Conv3d { in_layout: Layout::Plain, ..large }));
}
