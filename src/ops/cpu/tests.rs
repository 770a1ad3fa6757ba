//! The kernels against float64 sums, against their adjoints, and against each other.

use super::fir::{Rates, fir_on};
use super::forward::{conv3d_input_grad_on, conv3d_on};
use super::weight_grad::conv3d_weight_grad_on;
use super::{Conv3d, Isa};

/// Numbers in [−1, 1) from a 64-bit linear congruential generator.
fn random(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Calls `visit(x, w, y)` with the indices of every product in the convolution's definition.
fn products(s: &Conv3d, mut visit: impl FnMut(usize, usize, usize)) {
    let ([kd, kh, kw], [d, h, w], [od, oh, ow]) = (s.kernel, s.input, s.output());
    let inside = |o: usize, k: usize, a: usize| {
        (o * s.stride[a] + k).checked_sub(s.padding[a]).filter(|i| *i < s.input[a])
    };
    for n in 0..s.batch {
        for o in 0..s.out_channels {
            for i in 0..s.in_channels {
                for t in 0..kd * kh * kw {
                    let wi = (o * s.in_channels + i) * kd * kh * kw + t;
                    let (td, th, tw) = (t / (kh * kw), t / kw % kh, t % kw);
                    for v in 0..od * oh * ow {
                        let (zd, zh, zw) = (v / (oh * ow), v / ow % oh, v % ow);
                        if let (Some(a), Some(b), Some(c)) =
                            (inside(zd, td, 0), inside(zh, th, 1), inside(zw, tw, 2))
                        {
                            let xi = (((n * s.in_channels + i) * d + a) * h + b) * w + c;
                            visit(xi, wi, (n * s.out_channels + o) * od * oh * ow + v);
                        }
                    }
                }
            }
        }
    }
}

/// Largest error of `found` relative to the sum of magnitudes, elementwise.
fn worst(found: &[f32], sum: &[f64], size: &[f64]) -> f64 {
    assert_eq!(found.len(), sum.len());
    found
        .iter()
        .zip(sum)
        .zip(size)
        .map(|((f, s), m)| (*f as f64 - s).abs() / m.max(1e-30))
        .fold(0.0, f64::max)
}

/// Odd and even grids, depth one, thin and wide layers, every stride and margin.
fn shapes() -> Vec<Conv3d> {
    let shape = |batch, (in_channels, out_channels), input, kernel, stride, padding| Conv3d {
        batch,
        in_channels,
        out_channels,
        input,
        kernel,
        stride,
        padding,
    };
    vec![
        shape(1, (1, 16), [5, 6, 7], [3; 3], [1; 3], [1; 3]),
        shape(2, (16, 1), [5, 6, 5], [3; 3], [1; 3], [1; 3]),
        shape(2, (5, 7), [3, 6, 32], [3; 3], [1; 3], [1; 3]),
        shape(1, (3, 19), [2, 6, 47], [3; 3], [1; 3], [1; 3]),
        shape(1, (33, 17), [4, 4, 4], [3; 3], [1; 3], [1; 3]),
        shape(5, (3, 5), [5, 6, 5], [3; 3], [1; 3], [1; 3]),
        shape(2, (7, 20), [3, 5, 27], [3; 3], [1; 3], [0, 1, 2]),
        shape(2, (5, 9), [3, 4, 50], [3; 3], [1; 3], [2, 0, 1]),
        shape(3, (17, 33), [6, 7, 9], [3; 3], [2; 3], [1; 3]),
        shape(2, (16, 32), [9, 8, 11], [3; 3], [2; 3], [0; 3]),
        shape(1, (4, 18), [8, 6, 10], [3; 3], [2; 3], [0; 3]),
        shape(2, (6, 3), [7, 8, 9], [3; 3], [1, 2, 2], [1, 0, 0]),
        shape(2, (6, 3), [7, 8, 9], [3; 3], [2, 2, 1], [0, 0, 1]),
        shape(1, (19, 3), [7, 8, 6], [3; 3], [1, 2, 1], [1; 3]),
        shape(4, (12, 13), [1, 9, 8], [1, 3, 3], [1; 3], [0, 1, 1]),
        shape(2, (3, 16), [1, 9, 11], [1, 3, 3], [1, 2, 2], [0; 3]),
        shape(2, (3, 4), [1, 1, 13], [1, 1, 3], [1; 3], [0, 0, 1]),
        shape(2, (3, 4), [13, 1, 1], [3, 1, 1], [1; 3], [1, 0, 0]),
        shape(2, (1, 33), [4, 6, 8], [1; 3], [1; 3], [0; 3]),
        shape(3, (31, 1), [8, 8, 8], [1; 3], [1; 3], [0; 3]),
        shape(2, (9, 10), [5, 3, 7], [1; 3], [1; 3], [0; 3]),
        shape(2, (5, 4), [5, 4, 7], [1; 3], [2; 3], [0; 3]),
        shape(1, (2, 3), [4, 5, 6], [2; 3], [2; 3], [0; 3]),
        shape(1, (2, 3), [4, 5, 6], [2, 1, 2], [1; 3], [1; 3]),
        shape(1, (2, 3), [1, 1, 1], [3; 3], [1; 3], [1; 3]),
        shape(1, (2, 3), [1, 2, 1], [1; 3], [2; 3], [0; 3]),
        shape(1, (2, 2), [2, 12, 100], [3; 3], [1; 3], [1; 3]),
        shape(1, (2, 2), [3, 9, 101], [3; 3], [2; 3], [1; 3]),
    ]
}

#[test]
fn convolution_and_gradients_match_float64_sums() {
    for isa in Isa::available() {
        for s in shapes() {
            let (x, w, g) = (random(s.input_len(), 1), random(s.weight_len(), 2), random(s.output_len(), 3));
            let (mut y, mut gx, mut gw) = (vec![0.0; g.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
            let (mut ys, mut gxs, mut gws) = (y.clone(), gx.clone(), gw.clone());
            products(&s, |xi, wi, yi| {
                let (xv, wv, gv) = (x[xi] as f64, w[wi] as f64, g[yi] as f64);
                y[yi] += xv * wv;
                ys[yi] += (xv * wv).abs();
                gx[xi] += gv * wv;
                gxs[xi] += (gv * wv).abs();
                gw[wi] += gv * xv;
                gws[wi] += (gv * xv).abs();
            });
            let errors = [
                worst(&conv3d_on(isa, &s, &x, &w), &y, &ys),
                worst(&conv3d_input_grad_on(isa, &s, &g, &w), &gx, &gxs),
                worst(&conv3d_weight_grad_on(isa, &s, &x, &g), &gw, &gws),
            ];
            assert!(errors.iter().all(|e| *e <= 1e-6), "{isa:?} {s:?}: {errors:?}");
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| *a as f64 * *b as f64).sum()
}

#[test]
fn gradients_are_adjoints() {
    for isa in Isa::available() {
        for s in shapes() {
            let (x, w, g) = (random(s.input_len(), 4), random(s.weight_len(), 5), random(s.output_len(), 6));
            let y = conv3d_on(isa, &s, &x, &w);
            let forward = dot(&y, &g);
            let size = (dot(&y, &y) * dot(&g, &g)).sqrt().max(1e-30);
            let by_input = dot(&x, &conv3d_input_grad_on(isa, &s, &g, &w));
            let by_weight = dot(&w, &conv3d_weight_grad_on(isa, &s, &x, &g));
            assert!((forward - by_input).abs() <= 1e-6 * size, "{isa:?} {s:?}: {forward} {by_input}");
            assert!((forward - by_weight).abs() <= 1e-6 * size, "{isa:?} {s:?}: {forward} {by_weight}");
        }
    }
}

#[test]
fn strided_convolution_ignores_the_odd_last_row() {
    // 8 and 7 voxels give the same three outputs at stride 2; the eighth has no gradient.
    let s = Conv3d { input: [1, 1, 8], kernel: [1, 1, 3], ..conv(1, 1, [1, 1, 8], [1, 1, 2]) };
    let gx = conv3d_input_grad_on(super::isa(), &s, &[1.0, 10.0, 100.0], &[1.0, 2.0, 3.0]);
    assert_eq!(s.output(), [1, 1, 3]);
    assert_eq!(gx, [1.0, 2.0, 13.0, 20.0, 130.0, 200.0, 300.0, 0.0]);
}

fn conv(in_channels: usize, out_channels: usize, input: [usize; 3], stride: [usize; 3]) -> Conv3d {
    Conv3d { batch: 1, in_channels, out_channels, input, kernel: [3; 3], stride, padding: [0; 3] }
}

#[test]
fn threads_change_no_bit() {
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let all = |s: &Conv3d| {
        let (x, w, g) = (random(s.input_len(), 7), random(s.weight_len(), 8), random(s.output_len(), 9));
        let dims = [s.batch, s.in_channels, s.input[0], s.input[1], s.input[2]];
        let filter = Rates { up: 2, down: 1, pad: (2, 1), taps: [0.25, 0.75, 0.75, 0.25] };
        let mut bits = super::conv3d(s, &x, &w);
        bits.extend(super::conv3d_input_grad(s, &g, &w));
        bits.extend(super::conv3d_weight_grad(s, &x, &g));
        bits.extend((2..5).flat_map(|axis| fir_on(super::isa(), &x, dims, axis, filter).0));
        bits.into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    for s in shapes().into_iter().chain([Conv3d { padding: [1; 3], ..conv(20, 18, [17, 20, 30], [1; 3]) }]) {
        let one = pool(1).install(|| all(&s));
        for threads in [2, 5] {
            assert!(one == pool(threads).install(|| all(&s)), "{threads} threads: {s:?}");
        }
    }
}

#[test]
fn fir_matches_its_definition_and_its_adjoint() {
    let taps = [0.3, -0.7, 1.1, 0.2];
    for isa in Isa::available() {
        for (dims, axis) in [
            ([2, 3, 5, 4, 7], 2),
            ([2, 3, 5, 6, 1], 3),
            ([1, 2, 3, 4, 9], 3),
            ([1, 2, 3, 2, 33], 4),
            ([1, 1, 1, 3, 4], 4),
        ] {
            for (up, down) in [(1, 1), (2, 1), (1, 2), (2, 2), (3, 2), (1, 3)] {
                for pad in [(0, 0), (1, 2), (2, 1), (3, 3), (-1, 2), (4, -1)] {
                    let (len, inner) = (dims[axis], dims[axis + 1..].iter().product::<usize>());
                    let outer: usize = dims[..axis].iter().product();
                    let size = (len * up) as isize + pad.0 + pad.1;
                    if size < 4 {
                        continue;
                    }
                    let x = random(outer * len * inner, 10);
                    let (y, out_len) = fir_on(isa, &x, dims, axis, Rates { up, down, pad, taps });
                    assert_eq!(out_len, (size as usize - 4) / down + 1);
                    assert_eq!(y.len(), outer * out_len * inner);
                    for (at, found) in y.iter().enumerate() {
                        let (n, o, i) = (at / inner / out_len, at / inner % out_len, at % inner);
                        let sample = |t: usize| {
                            let z = (o * down + t) as isize - pad.0;
                            let s = z / up as isize;
                            let hit = z >= 0 && z % up as isize == 0 && s < len as isize;
                            if hit { x[(n * len + s as usize) * inner + i] as f64 } else { 0.0 }
                        };
                        let expected: f64 = (0..4).map(|t| taps[t] as f64 * sample(t)).sum();
                        assert!(
                            (*found as f64 - expected).abs() < 1e-6,
                            "{isa:?} {dims:?} {axis} {up} {down} {pad:?}"
                        );
                    }
                    let g = random(y.len(), 11);
                    let mut out_dims = dims;
                    out_dims[axis] = out_len;
                    let front = 3 - pad.0;
                    // The upsampled gradient has out_len·down samples; len·up − up + 1 windows of four end the support.
                    let back = (len * up - up) as isize + 4 - (out_len * down) as isize - front;
                    let reversed = Rates {
                        up: down,
                        down: up,
                        pad: (front, back),
                        taps: [taps[3], taps[2], taps[1], taps[0]],
                    };
                    let (gx, gx_len) = fir_on(isa, &g, out_dims, axis, reversed);
                    assert_eq!(gx_len, len);
                    let (a, b) = (dot(&y, &g), dot(&x, &gx));
                    assert!(
                        (a - b).abs() < 1e-5 * (1.0 + a.abs()),
                        "{isa:?} {dims:?} {axis} {up} {down} {pad:?}: {a} {b}"
                    );
                }
            }
        }
    }
}
