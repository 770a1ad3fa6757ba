//! The epilogue of a layer: pointwise operations on its sums, alone or at the end of another operation.

use super::instances::instances;
use super::volumes::Volumes;
use crate::lanes::{Isa, LANES, Lanes, isa};
use crate::layout::Layout;
use crate::layout::{Shared, filled};
use rayon::iter::ParallelIterator;

/// Slope of the leaky ReLU below zero.
pub const SLOPE: f32 = 0.2;

/// The operations on each output value `v` before it is written, in this order, each optional: `v·scale[n, o]`,
/// `+ field[n, voxel]`, `+ bias[o]`, `lrelu(v)·gain` with slope 0.2 below zero.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// Factor of each channel, `[N, O]`.
    pub scale: Option<&'a [f32]>,
    /// The field that is added to all channels, `[N, D', H', W']`.
    pub field: Option<&'a [f32]>,
    /// Bias of each channel, `[O]`.
    pub bias: Option<&'a [f32]>,
    /// Gain after the leaky ReLU; `None` for no activation.
    pub lrelu: Option<f32>,
}

/// Applies `epilogue` to volumes `x` of the layout and size of `shape`, with O channels.
///
/// # Panics
/// If `x` or a part of the epilogue has the wrong number of elements.
pub fn epilogue(shape: &Volumes, x: &[f32], epilogue: &Epilogue) -> Vec<f32> {
    epilogue_on(isa(), shape, x, epilogue)
}

pub(crate) fn epilogue_on(isa: Isa, shape: &Volumes, x: &[f32], epilogue: &Epilogue) -> Vec<f32> {
    shape.check("epilogue: x", x.len(), shape.floats());
    epilogue.check(shape);
    let fill = |out: Shared| {
        shape.tiles().for_each(|tile| {
            for group in 0..shape.groups() {
                let range = shape.range(tile, group);
                // SAFETY: this range of the output is this job's alone, and all of it is written.
                let to = unsafe { out.slice(range.clone()) };
                let terms = Terms::new(shape, epilogue, tile.n, group);
                let field = epilogue.field.map(|field| &field[shape.field(tile)]);
                let finish = terms.as_ref().map(|terms| Finish { terms, layout: shape.layout, field });
                combine(isa, &[(&x[range], 1.0)], to, finish);
            }
        });
    };
    // SAFETY: the tiles cover every voxel, the groups every channel.
    unsafe { filled(x.len(), fill) }
}

impl Epilogue<'_> {
    /// Panics if a part has the wrong number of elements for an output of this shape.
    pub(crate) fn check(&self, shape: &Volumes) {
        let check = |name: &str, part: Option<&[f32]>, expected| {
            if let Some(part) = part {
                shape.check(name, part.len(), expected);
            }
        };
        check("epilogue: scale", self.scale, shape.batch * shape.channels);
        check("epilogue: field", self.field, shape.batch * shape.voxels);
        check("epilogue: bias", self.bias, shape.channels);
    }

    /// Whether it leaves every value as it is.
    pub(crate) fn is_empty(&self) -> bool {
        self.scale.is_none() && self.field.is_none() && self.bias.is_none() && self.lrelu.is_none()
    }
}

/// What one group of channels of one volume goes through, by lane; the field apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub scale: [f32; LANES],
    pub bias: [f32; LANES],
    /// One in the lanes of channels, zero beyond them, where the field must not go.
    pub field: [f32; LANES],
    pub slope: f32,
    pub gain: f32,
}

impl Terms {
    /// None if the epilogue is empty.
    pub fn new(shape: &Volumes, epilogue: &Epilogue, n: usize, group: usize) -> Option<Self> {
        let channels = shape.channels;
        let real = shape.layout == Layout::Plain || channels >= (group + 1) * LANES;
        (!epilogue.is_empty()).then(|| Self {
            scale: epilogue
                .scale
                .map_or([1.0; LANES], |scale| shape.spread(&scale[n * channels..][..channels], group)),
            bias: epilogue.bias.map_or([0.0; LANES], |bias| shape.spread(bias, group)),
            field: std::array::from_fn(
                |lane| if real || group * LANES + lane < channels { 1.0 } else { 0.0 },
            ),
            slope: epilogue.lrelu.map_or(1.0, |_| SLOPE),
            gain: epilogue.lrelu.unwrap_or(1.0),
        })
    }
}

/// The end of a [`combine`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finish<'a> {
    pub terms: &'a Terms,
    pub layout: Layout,
    /// One number for each voxel that is written.
    pub field: Option<&'a [f32]>,
}

instances! {
    /// `to = Σ tap · source` over up to four sources as long as `to`, from left to right, then `finish`. Where it has
    /// one, `to` must begin with a group's first lane.
    fn combine<L>(sources: &[(&[f32], f32)], to: &mut [f32], finish: Option<Finish<'_>>) {
        match *sources {
            [] => combined::<L, 0>([], to, finish),
            [a] => combined::<L, 1>([a], to, finish),
            [a, b] => combined::<L, 2>([a, b], to, finish),
            [a, b, c] => combined::<L, 3>([a, b, c], to, finish),
            [a, b, c, d] => combined::<L, 4>([a, b, c, d], to, finish),
            _ => unreachable!("the filter has four taps"),
        }
    }
}

#[inline(always)]
fn combined<L: Lanes, const K: usize>(
    sources: [(&[f32], f32); K],
    to: &mut [f32],
    finish: Option<Finish<'_>>,
) {
    let len = to.len();
    let from = sources.map(|(source, _)| source[..len].as_ptr());
    let taps = sources.map(|(_, tap)| tap);
    // SAFETY: all sources have `len` floats, a field one for each voxel among them.
    unsafe {
        match finish {
            None => {
                for i in (0..len / LANES * LANES).step_by(LANES) {
                    sum::<L, K>(&from, &taps, i).store(to.as_mut_ptr().add(i));
                }
                for (i, y) in to.iter_mut().enumerate().skip(len / LANES * LANES) {
                    *y = sum_one(&from, &taps, i);
                }
            }
            Some(Finish { terms, field: None, .. }) => finished::<L, K, 0>(&from, &taps, terms, &[], to),
            Some(Finish { terms, field: Some(field), layout: Layout::Blocked }) => {
                finished::<L, K, LANES>(&from, &taps, terms, &field[..len / LANES], to);
            }
            Some(Finish { terms, field: Some(field), layout: Layout::Plain }) => {
                finished::<L, K, 1>(&from, &taps, terms, &field[..len], to);
            }
        }
    }
}

/// Sixteen neighbouring sums.
///
/// # Safety
/// To be inlined into a function compiled for `L`; the sources must have sixteen floats from `at` on.
#[inline(always)]
unsafe fn sum<L: Lanes, const K: usize>(from: &[*const f32; K], taps: &[f32; K], at: usize) -> L {
    // SAFETY: the caller vouches for the sources.
    unsafe {
        let mut sum = L::zero();
        for k in 0..K {
            sum = sum.add_scaled(&taps[k], L::load(from[k].add(at)));
        }
        sum
    }
}

/// # Safety
/// The sources must have a float there.
#[inline(always)]
unsafe fn sum_one<const K: usize>(from: &[*const f32; K], taps: &[f32; K], at: usize) -> f32 {
    // SAFETY: the caller vouches for the sources.
    (0..K).fold(0.0, |sum, k| sum + taps[k] * unsafe { *from[k].add(at) })
}

/// Sums that go through `terms`; the field has one number for each `FIELD` floats, none if that is zero.
///
/// # Safety
/// To be inlined into a function compiled for `L`; the sources must be as long as `to`.
#[inline(always)]
unsafe fn finished<L: Lanes, const K: usize, const FIELD: usize>(
    from: &[*const f32; K],
    taps: &[f32; K],
    terms: &Terms,
    field: &[f32],
    to: &mut [f32],
) {
    let whole = to.len() / LANES * LANES;
    // SAFETY: positions stay within `to`, and the field, which the caller measured by it.
    unsafe {
        let (scale, bias) = (L::load(terms.scale.as_ptr()), L::load(terms.bias.as_ptr()));
        let (slope, gain) = (L::load([terms.slope; LANES].as_ptr()), L::load([terms.gain; LANES].as_ptr()));
        let mask = L::load(terms.field.as_ptr());
        for i in (0..whole).step_by(LANES) {
            let mut v = sum::<L, K>(from, taps, i).mul(scale);
            v = match FIELD {
                0 => v,
                1 => v.add(L::load(field.as_ptr().add(i))),
                _ => v.add_scaled(field.as_ptr().add(i / LANES), mask),
            };
            v = v.add(bias);
            // A slope below one: the larger of the two is the one that the sign asks for.
            v.max(v.mul(slope)).mul(gain).store(to.as_mut_ptr().add(i));
        }
    }
    for (i, y) in to.iter_mut().enumerate().skip(whole) {
        let lane = i - whole;
        let field = if FIELD == 1 { field[i] } else { 0.0 };
        // SAFETY: the position is within `to`.
        let v = unsafe { sum_one(from, taps, i) } * terms.scale[lane] + field + terms.bias[lane];
        *y = v.max(v * terms.slope) * terms.gain;
    }
}
