//! Single convolutions and their gradients.

use std::hint::black_box;

use serde::Deserialize;
use voxgan::ops::cpu::{Conv3d, Epilogue, Form, Layout, Volumes, to_blocked};
use voxgan::random::{Purpose, normal, stream};

/// A convolution with stride one that keeps the grid.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Case {
    what: What,
    batch: usize,
    #[serde(rename = "in")]
    inputs: usize,
    #[serde(rename = "out")]
    outputs: usize,
    /// `[D, H, W]`.
    grid: [usize; 3],
    /// Size of the kernel along each axis.
    kernel: usize,
    /// The form that networks take, unless told otherwise.
    form: Option<Wanted>,
}

/// The convolution itself, or one of its gradients.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Forward,
    InputGrad,
    WeightGrad,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    Direct,
}

/// The case's operands, drawn from N(0, 1), as networks hold them, and a call that computes it once.
pub fn prepare(case: &Case) -> impl Fn() + use<> {
    let Case { what, batch, inputs, outputs, grid, kernel, form } = *case;
    let voxels: usize = grid.iter().product();
    let draw = |sample: u64, n: usize| normal(&mut stream(0, 0, 0, sample, Purpose::Weights), n);
    let volumes = |sample: u64, channels: usize| {
        let shape = Volumes { layout: Layout::of(channels), batch, channels, voxels };
        let planes = draw(sample, batch * channels * voxels);
        match shape.layout {
            Layout::Plain => planes,
            Layout::Blocked => to_blocked(batch, channels, voxels, &planes),
        }
    };
    let (x, weight, g) = (volumes(0, inputs), draw(1, outputs * inputs * kernel.pow(3)), volumes(2, outputs));
    let shape = Conv3d {
        batch,
        in_channels: inputs,
        out_channels: outputs,
        input: grid,
        kernel: [kernel; 3],
        stride: [1; 3],
        padding: [kernel / 2; 3],
        in_layout: Layout::of(inputs),
        out_layout: Layout::of(outputs),
    };
    let form = form.map_or(Form::of(&shape), |Wanted::Direct| Form::Direct);
    move || {
        black_box(match what {
            What::Forward => form.conv3d(&shape, &x, &weight, None, &Epilogue::default()),
            What::InputGrad => form.conv3d_input_grad(&shape, &g, &weight, None, &Epilogue::default()),
            What::WeightGrad => form.conv3d_weight_grad(&shape, &x, &g, None, None),
        });
    }
}
