//! Convolution and its gradients against float64 sums, against their adjoints, and against each other.

use super::forward::{conv3d_input_grad_on, conv3d_on};
use super::weight_grad::conv3d_weight_grad_on;
use crate::lanes::Isa;
use crate::lanes::LANES;
use crate::layout::Layout;
use crate::passes::epilogue::Epilogue;
use crate::shape::Conv3d;

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
        in_layout: Layout::Plain,
        out_layout: Layout::Plain,
    };
    let mut shapes = vec![
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
        shape(1, (16, 16), [5, 4, 40], [3; 3], [1; 3], [1; 3]),
        shape(1, (16, 3), [20, 18, 16], [3; 3], [1; 3], [1; 3]),
        shape(1, (2, 17), [17, 35, 17], [3; 3], [2; 3], [0; 3]),
        shape(2, (48, 40), [1, 6, 8], [1; 3], [1; 3], [0; 3]),
        shape(1, (20, 18), [2, 3, 4], [3, 1, 2], [2, 1, 2], [2, 0, 1]),
    ];
    // Every number of channels on either side, with every kernel and stride along W.
    for c in 1..=33 {
        let (kernel, stride) = (1 + c % 3, 1 + c / 3 % 2);
        shapes.push(shape(
            1,
            (c, 34 - c),
            [2, 3, 5 + c % 4],
            [2, 3, kernel],
            [1, 1, stride],
            [0, 1, kernel / 2],
        ));
    }
    shapes
}

/// Every combination of layouts of the two sides.
fn layouts(s: Conv3d) -> impl Iterator<Item = Conv3d> {
    let both = [Layout::Plain, Layout::Blocked];
    both.into_iter().flat_map(move |i| both.map(|o| Conv3d { in_layout: i, out_layout: o, ..s }))
}

/// `x` `[N, C, voxels]` in a layout.
fn laid_out(x: &[f32], layout: Layout, batch: usize, channels: usize) -> Vec<f32> {
    let voxels = x.len() / batch / channels;
    let mut y = vec![0.0; layout.len(batch, channels, voxels)];
    for (at, value) in x.iter().enumerate() {
        y[place(at, layout, channels, voxels)] = *value;
    }
    y
}

/// Where element `at` of `[N, C, voxels]` lies in a layout.
fn place(at: usize, layout: Layout, channels: usize, voxels: usize) -> usize {
    let (v, c, n) = (at % voxels, at / voxels % channels, at / voxels / channels);
    match layout {
        Layout::Plain => at,
        Layout::Blocked => ((n * channels.div_ceil(LANES) + c / LANES) * voxels + v) * LANES + c % LANES,
    }
}

/// `[N, C, voxels]` from a layout, whose lanes beyond C must be zero.
fn planes(x: &[f32], layout: Layout, batch: usize, channels: usize, voxels: usize) -> Vec<f32> {
    assert_eq!(x.len(), layout.len(batch, channels, voxels));
    let y: Vec<f32> =
        (0..batch * channels * voxels).map(|at| x[place(at, layout, channels, voxels)]).collect();
    let (kept, all) = (y.iter().filter(|v| **v != 0.0).count(), x.iter().filter(|v| **v != 0.0).count());
    assert_eq!(kept, all, "lanes beyond the channels are not zero");
    y
}

/// Sums and sums of magnitudes of the convolution and its gradients, each tensor in planes, scaled where asked.
struct Expected {
    y: [Vec<f64>; 2],
    gx: [Vec<f64>; 2],
    gw: [Vec<f64>; 2],
}

/// The operands in planes.
struct Operands {
    x: Vec<f32>,
    w: Vec<f32>,
    g: Vec<f32>,
    /// `[N, I]` and `[N, O]`.
    x_scale: Vec<f32>,
    g_scale: Vec<f32>,
}

impl Operands {
    fn new(s: &Conv3d) -> Self {
        let s = Conv3d { in_layout: Layout::Plain, out_layout: Layout::Plain, ..*s };
        Self {
            x: random(s.input_len(), 1),
            w: random(s.weight_len(), 2),
            g: random(s.output_len(), 3),
            x_scale: random(s.batch * s.in_channels, 4),
            g_scale: random(s.batch * s.out_channels, 5),
        }
    }

    fn expected(&self, s: &Conv3d, scaled: bool) -> Expected {
        let two = |len: usize| [vec![0.0; len], vec![0.0; len]];
        let mut e = Expected { y: two(self.g.len()), gx: two(self.x.len()), gw: two(self.w.len()) };
        let per = |x: &[f32], scale: &[f32]| -> Vec<f64> {
            let run = x.len() / scale.len();
            x.iter()
                .enumerate()
                .map(|(i, x)| *x as f64 * if scaled { scale[i / run] as f64 } else { 1.0 })
                .collect()
        };
        let (x, g) = (per(&self.x, &self.x_scale), per(&self.g, &self.g_scale));
        let add = |sums: &mut [Vec<f64>; 2], at: usize, product: f64| {
            sums[0][at] += product;
            sums[1][at] += product.abs();
        };
        products(s, |xi, wi, yi| {
            let w = self.w[wi] as f64;
            add(&mut e.y, yi, x[xi] * w);
            add(&mut e.gx, xi, g[yi] * w);
            add(&mut e.gw, wi, g[yi] * x[xi]);
        });
        e
    }
}

/// What an epilogue over `[N, channels, voxels]` makes of sums and their magnitudes.
fn finished(e: &Epilogue<'_>, sums: &[Vec<f64>; 2], channels: usize, voxels: usize) -> [Vec<f64>; 2] {
    let each = |at: usize, magnitudes: bool| {
        let (v, row) = (at % voxels, at / voxels);
        let part =
            |value: Option<f64>| value.map_or(0.0, |value| if magnitudes { value.abs() } else { value });
        let scale = e.scale.map_or(1.0, |s| s[row] as f64);
        let y = part(Some(sums[magnitudes as usize][at] * scale))
            + part(e.field.map(|f| f[row / channels * voxels + v] as f64))
            + part(e.bias.map(|b| b[row % channels] as f64));
        e.lrelu.map_or(y, |gain| if y < 0.0 { 0.2 * y } else { y } * gain as f64)
    };
    [false, true].map(|magnitudes| (0..sums[0].len()).map(|at| each(at, magnitudes)).collect())
}

#[test]
fn convolution_and_gradients_match_float64_sums() {
    for (number, plain) in shapes().into_iter().enumerate() {
        let operands = Operands::new(&plain);
        let (ins, outs): (usize, usize) = (plain.input.iter().product(), plain.output().iter().product());
        for scaled in [false, true] {
            let e = operands.expected(&plain, scaled);
            let (x_scale, g_scale) =
                (scaled.then_some(&operands.x_scale[..]), scaled.then_some(&operands.g_scale[..]));
            for (turn, s) in layouts(plain).enumerate() {
                // Parts of the epilogue on and off by turns: none, all, and the combinations in between.
                let parts = [0, 15, number + turn][(number + turn + scaled as usize) % 3];
                let on = |bit: usize| parts >> bit & 1 == 1;
                let (n, i, o) = (s.batch, s.in_channels, s.out_channels);
                let [scale, field, bias] =
                    [n * i.max(o), n * ins.max(outs), i.max(o)].map(|len| random(len, 6));
                let epilogue = |channels: usize, voxels: usize| Epilogue {
                    scale: on(0).then_some(&scale[..n * channels]),
                    field: on(1).then_some(&field[..n * voxels]),
                    bias: on(2).then_some(&bias[..channels]),
                    lrelu: on(3).then_some(1.5),
                };
                let (x, g) =
                    (laid_out(&operands.x, s.in_layout, n, i), laid_out(&operands.g, s.out_layout, n, o));
                for isa in Isa::available() {
                    let y = conv3d_on(isa, &s, &x, &operands.w, x_scale, &epilogue(o, outs));
                    let gx = conv3d_input_grad_on(isa, &s, &g, &operands.w, g_scale, &epilogue(i, ins));
                    let gw = conv3d_weight_grad_on(isa, &s, &x, &g, x_scale, g_scale);
                    let [ey, em] = finished(&epilogue(o, outs), &e.y, o, outs);
                    let [ex, exm] = finished(&epilogue(i, ins), &e.gx, i, ins);
                    let errors = [
                        worst(&planes(&y, s.out_layout, n, o, outs), &ey, &em),
                        worst(&planes(&gx, s.in_layout, n, i, ins), &ex, &exm),
                        worst(&gw, &e.gw[0], &e.gw[1]),
                    ];
                    assert!(errors.iter().all(|e| *e <= 1e-6), "{isa:?} {s:?} {scaled} {parts}: {errors:?}");
                }
            }
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| *a as f64 * *b as f64).sum()
}

#[test]
fn gradients_are_adjoints() {
    let none = Epilogue::default();
    for isa in Isa::available() {
        for s in shapes().into_iter().flat_map(layouts) {
            let operands = Operands::new(&s);
            let x = laid_out(&operands.x, s.in_layout, s.batch, s.in_channels);
            let g = laid_out(&operands.g, s.out_layout, s.batch, s.out_channels);
            let y = conv3d_on(isa, &s, &x, &operands.w, None, &none);
            let forward = dot(&y, &g);
            let size = (dot(&y, &y) * dot(&g, &g)).sqrt().max(1e-30);
            let by_input = dot(&x, &conv3d_input_grad_on(isa, &s, &g, &operands.w, None, &none));
            let by_weight = dot(&operands.w, &conv3d_weight_grad_on(isa, &s, &x, &g, None, None));
            assert!((forward - by_input).abs() <= 1e-6 * size, "{isa:?} {s:?}: {forward} {by_input}");
            assert!((forward - by_weight).abs() <= 1e-6 * size, "{isa:?} {s:?}: {forward} {by_weight}");
        }
    }
}

#[test]
fn strided_convolution_ignores_the_odd_last_row() {
    // 8 and 7 voxels give the same three outputs at stride 2; the eighth has no gradient.
    let s = Conv3d { input: [1, 1, 8], kernel: [1, 1, 3], ..conv(1, 1, [1, 1, 8], [1, 1, 2]) };
    let gx = conv3d_input_grad_on(
        crate::isa(),
        &s,
        &[1.0, 10.0, 100.0],
        &[1.0, 2.0, 3.0],
        None,
        &Epilogue::default(),
    );
    assert_eq!(s.output(), [1, 1, 3]);
    assert_eq!(gx, [1.0, 2.0, 13.0, 20.0, 130.0, 200.0, 300.0, 0.0]);
}

fn conv(in_channels: usize, out_channels: usize, input: [usize; 3], stride: [usize; 3]) -> Conv3d {
    let (in_layout, out_layout) = (Layout::Plain, Layout::Plain);
    let (kernel, padding) = ([3; 3], [0; 3]);
    Conv3d { batch: 1, in_channels, out_channels, input, kernel, stride, padding, in_layout, out_layout }
}

#[test]
fn threads_change_no_bit() {
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let none = Epilogue::default();
    let all = |s: &Conv3d| {
        let operands = Operands::new(s);
        let x = laid_out(&operands.x, s.in_layout, s.batch, s.in_channels);
        let g = laid_out(&operands.g, s.out_layout, s.batch, s.out_channels);
        let mut bits = super::conv3d_on(crate::isa(), s, &x, &operands.w, Some(&operands.x_scale), &none);
        bits.extend(super::conv3d_input_grad_on(
            crate::isa(),
            s,
            &g,
            &operands.w,
            Some(&operands.g_scale),
            &none,
        ));
        bits.extend(super::conv3d_weight_grad_on(crate::isa(), s, &x, &g, Some(&operands.x_scale), None));
        bits.into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    let large = Conv3d { padding: [1; 3], ..conv(20, 18, [17, 20, 30], [1; 3]) };
    for s in shapes().into_iter().chain([large]).flat_map(layouts) {
        let one = pool(1).install(|| all(&s));
        for threads in [2, 5] {
            assert!(one == pool(threads).install(|| all(&s)), "{threads} threads: {s:?}");
        }
    }
}
