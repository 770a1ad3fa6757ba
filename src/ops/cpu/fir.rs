//! Up- and downsampling along one axis with a four-tap filter (upfirdn).

use super::lanes::{Isa, isa};
use super::layout::{Shared, filled, split_columns};
use rayon::prelude::*;

/// Floats that one job produces, about.
const JOB: usize = 1 << 14;

/// Upsamples, filters and downsamples `x` of size `dims` along `axis`; returns the result and its length on that axis.
///
/// Each sample is followed by `up − 1` zeros, `pad.0` zeros go in front and `pad.1` behind (negative numbers crop),
/// and `y[o] = Σ_t taps[t] · z[o·down + t]`, so the length becomes `(len·up + pad.0 + pad.1 − 4) / down + 1`.
/// The adjoint is the same operation with `up` and `down` exchanged, the taps reversed, `3 − pad.0` in front, and
/// behind whatever restores the length.
///
/// # Panics
/// If `x` does not have `dims` elements, `axis` is not 2, 3 or 4, a factor is zero, or nothing would be left.
pub fn fir(
    x: &[f32],
    dims: [usize; 5],
    axis: usize,
    up: usize,
    down: usize,
    pad: (isize, isize),
    taps: &[f32; 4],
) -> (Vec<f32>, usize) {
    fir_on(isa(), x, dims, axis, Rates { up, down, pad, taps: *taps })
}

/// What is done along the axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    pub up: usize,
    pub down: usize,
    pub pad: (isize, isize),
    pub taps: [f32; 4],
}

pub(super) fn fir_on(isa: Isa, x: &[f32], dims: [usize; 5], axis: usize, rates: Rates) -> (Vec<f32>, usize) {
    assert_eq!(
        x.len(),
        dims.iter().product::<usize>(),
        "fir: x has the wrong number of elements for {dims:?}"
    );
    assert!((2..5).contains(&axis) && rates.up > 0 && rates.down > 0, "fir: axis {axis}, {rates:?}");
    let len = dims[axis];
    let room = (len * rates.up) as isize + rates.pad.0 + rates.pad.1 - 4;
    assert!(room >= 0, "fir: {len} samples leave nothing after {rates:?}");
    let out_len = room as usize / rates.down + 1;
    let inner: usize = dims[axis + 1..].iter().product();
    let outer: usize = dims[..axis].iter().product();
    let out = if inner == 1 && rates.up <= 2 && rates.down <= 2 {
        along_rows(isa, x, (outer, len, out_len), rates)
    } else {
        across_rows(isa, x, (outer, len, inner, out_len), rates)
    };
    (out, out_len)
}

/// The samples that output `o` sums, each with its tap.
fn terms(o: usize, len: usize, rates: Rates) -> impl Iterator<Item = (usize, f32)> {
    (0..4).filter_map(move |t| {
        let z = (o * rates.down + t) as isize - rates.pad.0;
        let (sample, zero) = (z.div_euclid(rates.up as isize), z.rem_euclid(rates.up as isize) != 0);
        (!zero && (0..len as isize).contains(&sample)).then_some((sample as usize, rates.taps[t]))
    })
}

/// Each output is a weighted sum of whole runs of `inner` samples.
fn across_rows(isa: Isa, x: &[f32], sizes: (usize, usize, usize, usize), rates: Rates) -> Vec<f32> {
    let (outer, len, inner, out_len) = sizes;
    let table: Vec<Vec<(usize, f32)>> = (0..out_len).map(|o| terms(o, len, rates).collect()).collect();
    let (runs, per_job) = (outer * out_len, (JOB / inner.max(1)).max(1));
    let fill = |out: Shared| {
        (0..runs.div_ceil(per_job)).into_par_iter().for_each(|job| {
            let mine = job * per_job..((job + 1) * per_job).min(runs);
            // SAFETY: these runs of the output are this job's alone, and all of them are written.
            let out =
                unsafe { std::slice::from_raw_parts_mut(out.at(mine.start * inner), mine.len() * inner) };
            for (run, to) in mine.zip(out.chunks_exact_mut(inner)) {
                let from = &x[run / out_len * len * inner..][..len * inner];
                let mut sources = [(&from[..0], 0.0); 4];
                let terms = &table[run % out_len];
                for (source, &(sample, tap)) in sources.iter_mut().zip(terms) {
                    *source = (&from[sample * inner..][..inner], tap);
                }
                weighted_sum(isa, &sources[..terms.len()], to);
            }
        });
    };
    // SAFETY: the jobs cover every run.
    unsafe { filled(runs * inner, fill) }
}

/// The axis is the last one. Output `period·q + r` sums samples `base + step·q`, so each residue r is a weighted sum of
/// shifted runs of the row, once the row has margins and, where the step is two, its even samples stand before its odd ones.
fn along_rows(isa: Isa, x: &[f32], (rows, len, out_len): (usize, usize, usize), rates: Rates) -> Vec<f32> {
    let Rates { up, down, pad, taps } = rates;
    let (period, step) = if up == down { (1, 1) } else { (up, down) };
    let count = out_len.div_ceil(period);
    // (tap, base) of each residue; bases count from the row's first sample and may be negative.
    let residues: Vec<Vec<(f32, isize)>> = (0..period)
        .map(|r| {
            let z = |t: usize| (r * down + t) as isize - pad.0;
            let hits = (0..4).filter(|t| z(*t).rem_euclid(up as isize) == 0);
            hits.map(|t| (taps[t], z(t).div_euclid(up as isize))).collect()
        })
        .collect();
    let bases = || residues.iter().flatten().map(|(_, base)| *base);
    let front = bases().map(|b| -b).max().unwrap_or(0).max(0) as usize;
    let reach = bases().max().unwrap_or(0).max(0) as usize + (count - 1) * step + 1;
    let size = front + reach.max(len);
    let half = size.div_ceil(2);
    let place = |base: isize| match (base + front as isize) as usize {
        at if step == 2 => at % 2 * half + at / 2,
        at => at,
    };
    let per_job = (JOB / len.max(out_len)).max(1);
    let fill = |out: Shared| {
        (0..rows.div_ceil(per_job)).into_par_iter().for_each(|job| {
            let mine = job * per_job..((job + 1) * per_job).min(rows);
            // SAFETY: these rows of the output are this job's alone, and all of them are written.
            let out =
                unsafe { std::slice::from_raw_parts_mut(out.at(mine.start * out_len), mine.len() * out_len) };
            let (mut row, mut phases) = (vec![0.0; 2 * half], vec![0.0; period * count]);
            for (i, to) in mine.zip(out.chunks_exact_mut(out_len)) {
                let from = &x[i * len..][..len];
                match step {
                    1 => row[front..][..len].copy_from_slice(from),
                    _ => split_columns(from, front, &mut row, half),
                }
                let runs = phases.chunks_exact_mut(count).zip(&residues);
                for (run, residue) in runs {
                    let mut sources = [(&row[..0], 0.0); 4];
                    for (source, &(tap, base)) in sources.iter_mut().zip(residue) {
                        *source = (&row[place(base)..][..count], tap);
                    }
                    let run = if period == 1 { &mut to[..] } else { run };
                    weighted_sum(isa, &sources[..residue.len()], run);
                }
                if period == 2 {
                    let (even, odd) = phases.split_at(count);
                    let mut pairs = to.chunks_exact_mut(2);
                    for ((pair, a), b) in pairs.by_ref().zip(even).zip(odd) {
                        (pair[0], pair[1]) = (*a, *b);
                    }
                    if let [last] = pairs.into_remainder() {
                        *last = even[count - 1];
                    }
                }
            }
        });
    };
    // SAFETY: the jobs cover every row.
    unsafe { filled(rows * out_len, fill) }
}

/// `to = Σ factor · source`, summed from left to right.
fn weighted_sum(isa: Isa, sources: &[(&[f32], f32)], to: &mut [f32]) {
    match isa {
        // SAFETY: the instruction set was found on this processor.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx2 => unsafe { weighted_sum_avx2(sources, to) },
        Isa::Portable => weighted_sum_inline(sources, to),
    }
}

/// # Safety
/// The processor must have AVX2, as every one with AVX-512 has.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn weighted_sum_avx2(sources: &[(&[f32], f32)], to: &mut [f32]) {
    weighted_sum_inline(sources, to);
}

#[inline(always)]
fn weighted_sum_inline(sources: &[(&[f32], f32)], to: &mut [f32]) {
    match *sources {
        [] => to.fill(0.0),
        [(a, ka)] => {
            for (y, a) in to.iter_mut().zip(a) {
                *y = ka * a;
            }
        }
        [(a, ka), (b, kb)] => {
            for ((y, a), b) in to.iter_mut().zip(a).zip(b) {
                *y = ka * a + kb * b;
            }
        }
        [(a, ka), (b, kb), (c, kc)] => {
            for (((y, a), b), c) in to.iter_mut().zip(a).zip(b).zip(c) {
                *y = ka * a + kb * b + kc * c;
            }
        }
        [(a, ka), (b, kb), (c, kc), (d, kd)] => {
            for ((((y, a), b), c), d) in to.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *y = ka * a + kb * b + kc * c + kd * d;
            }
        }
        _ => unreachable!("the filter has four taps"),
    }
}
