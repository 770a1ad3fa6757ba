//! Parity: the relative errors of the outputs of a fixture.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use serde::Serialize;

use super::{Fixture, authors_name, load_weights};
use crate::error::Result;
use crate::gan::{Discriminator, Generator, Truncation, image_gradient, loss, path_gradient};
use crate::nn::Noise;
use crate::nn::parameters::gradients;
use crate::ops::{VolumeOps, backward};

/// Largest relative error of mapping, images, logits, losses and first-order gradients.
pub const TOLERANCE_FIRST: f64 = 1e-5;
/// Largest relative error of the R1 and path-length penalties and their gradients.
pub const TOLERANCE_SECOND: f64 = 1e-4;
/// A gradient is compared relative to at least this part of the whole gradient's norm.
const GRADIENT_FLOOR: f64 = 1e-3;

/// The largest error among the arrays of a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The fixture's key, or its prefix where there is one for each parameter.
    pub group: String,
    /// Number of arrays compared.
    pub arrays: usize,
    /// ‖ours − theirs‖ / ‖theirs‖, the largest of the group.
    pub error: f64,
    /// The key of the array with this error.
    pub worst: String,
    /// The largest error that passes.
    pub tolerance: f64,
}

impl Row {
    /// Whether the error is within the tolerance (a NaN is not).
    pub fn passes(&self) -> bool {
        self.error <= self.tolerance
    }
}

/// Computes all outputs of `fixture` on `device` and compares them.
///
/// # Errors
/// As [`super::load_weights`], and for arrays of the fixture that are missing.
pub fn check<A>(fixture: &Fixture, device: &A::Device) -> Result<Vec<Row>>
where
    A: AutodiffBackend + VolumeOps,
    A::InnerBackend: VolumeOps,
{
    let _tape = crate::ops::tape();
    let ours = outputs::<A>(fixture, device)?;
    let theirs = &fixture.weights.arrays;
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for (key, (_, expected)) in theirs {
        let pinned =
            ["io.ws", "io.img", "io.logits", "loss", "r1.", "pl."].iter().any(|p| key.starts_with(p));
        if !pinned || key == "pl.y" || key == "pl.mean" {
            continue;
        }
        let group = key.find(".dparam.").map_or(key.clone(), |end| key[..end + 7].to_string());
        let mut size = norm(expected);
        if group != *key {
            let whole =
                theirs.iter().filter(|(k, _)| k.starts_with(&group)).map(|(_, (_, v))| norm(v).powi(2));
            size = size.max(GRADIENT_FLOOR * whole.sum::<f64>().sqrt());
        }
        let error = match ours.get(key) {
            Some(values) if values.len() == expected.len() => {
                distance(values, expected) / size.max(f64::MIN_POSITIVE)
            }
            // A parameter that the loss does not reach has no gradient of ours and a zero one of theirs.
            None if group != *key => norm(expected) / size.max(f64::MIN_POSITIVE),
            _ => f64::NAN,
        };
        let second = (key.starts_with("r1.") && key != "r1.grad_x") || key.starts_with("pl.");
        let tolerance = if second { TOLERANCE_SECOND } else { TOLERANCE_FIRST };
        let row = rows.entry(group.clone()).or_insert(Row {
            group,
            arrays: 0,
            error: 0.0,
            worst: key.clone(),
            tolerance,
        });
        row.arrays += 1;
        if error.is_nan() || error > row.error {
            (row.error, row.worst) = (error, key.clone());
        }
    }
    Ok(rows.into_values().collect())
}

/// Our values of everything the fixture pins, by its keys.
fn outputs<A>(fixture: &Fixture, device: &A::Device) -> Result<BTreeMap<String, Vec<f32>>>
where
    A: AutodiffBackend + VolumeOps,
    A::InnerBackend: VolumeOps,
{
    let weights = &fixture.weights;
    let (network, dim) = (&fixture.network, fixture.condition_dim);
    let g = load_weights(Generator::<A>::init(network, dim, 0, device), weights, "G.")?;
    let d = load_weights(Discriminator::<A>::init(network, dim, 0, device), weights, "D.")?;
    let volume = |key: &str| -> Result<Tensor<A, 5>> {
        let (shape, values) = weights.array(key)?;
        let [depth, h, w] = network.shape();
        let shape = [shape[0], shape[1], depth, h, w];
        Ok(Tensor::from_data(TensorData::new(values.clone(), shape), device))
    };
    let rows = |key: &str| -> Result<Tensor<A, 2>> {
        let (shape, values) = weights.array(key)?;
        Ok(Tensor::from_data(TensorData::new(values.clone(), [shape[0], shape[1]]), device))
    };
    let (z, real) = (rows("io.z")?, volume("io.real")?);
    let condition = if dim > 0 { Some(rows("io.c")?) } else { None };
    let mut out = BTreeMap::new();

    let ws = g.styles(z.clone(), condition.clone(), Truncation::OFF);
    let image = |ws: Tensor<A, 3>, noise: Noise| g.synthesis.forward(ws, noise);
    let fake = image(ws.clone(), Noise::Const).detach();
    out.insert("io.ws".into(), host(ws.clone()));
    out.insert("io.img_noise_const".into(), host(fake.clone()));
    out.insert("io.img_noise_none".into(), host(image(ws.clone(), Noise::None)));
    for key in weights.arrays.keys() {
        if let Some((kind, psi)) =
            key.split_once("_psi").and_then(|(kind, psi)| Some((kind, psi.parse().ok()?)))
        {
            let truncated = g.styles(z.clone(), condition.clone(), Truncation { psi, cutoff: None });
            let values = if kind == "io.ws" { host(truncated) } else { host(image(truncated, Noise::Const)) };
            out.insert(key.clone(), values);
        }
    }
    out.insert("io.logits_real".into(), host(d.forward(real.clone(), condition.clone())));
    out.insert("io.logits_fake".into(), host(d.forward(fake.clone(), condition.clone())));

    let r1 = image_gradient(&d, real.clone(), condition.clone(), |x| x);
    let penalty = loss::squared_norms(r1.gradient.clone());
    out.insert("r1.grad_x".into(), host(r1.gradient));
    out.insert("r1.penalty".into(), host(penalty.clone()));
    differentiate(&mut out, "r1.dparam.", &d, penalty.mean() * (fixture.gamma / 2.0));

    let loss_d = loss::logistic_real(d.forward(real, condition.clone()))
        + loss::logistic_fake(d.forward(fake, condition.clone()));
    out.insert("loss.D".into(), host(loss_d.clone()));
    differentiate(&mut out, "lossD.dparam.", &d, loss_d);

    let fake = g.forward(z, condition.clone(), Truncation::OFF, Noise::Const);
    let loss_g = loss::logistic_real(d.clone().no_grad().forward(fake, condition));
    out.insert("loss.G".into(), host(loss_g.clone()));
    differentiate(&mut out, "lossG.dparam.", &g, loss_g);

    let lengths = loss::path_lengths(path_gradient(&g.synthesis, ws, volume("pl.y")?, Noise::Const));
    let mean = f64::from(weights.array("pl.mean")?.1[0]);
    let penalty = (lengths.clone() - mean).powi_scalar(2);
    out.insert("pl.lengths".into(), host(lengths));
    out.insert("pl.penalty".into(), host(penalty.clone()));
    differentiate(&mut out, "pl.dparam.", &g, penalty.mean() * fixture.path_length_weight);
    Ok(out)
}

/// Adds the gradient of `loss` in every parameter of `module`, by the authors' names behind `prefix`.
fn differentiate<A: AutodiffBackend>(
    out: &mut BTreeMap<String, Vec<f32>>,
    prefix: &str,
    module: &impl Module<A>,
    loss: Tensor<A, 1>,
) {
    for (path, gradient) in gradients(module, &backward(&loss)) {
        out.insert(format!("{prefix}{}", authors_name(&path)), host(gradient));
    }
}

fn host<B: Backend, const R: usize>(x: Tensor<B, R>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}

fn norm(x: &[f32]) -> f64 {
    x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}

fn distance(x: &[f32], y: &[f32]) -> f64 {
    x.iter().zip(y).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>().sqrt()
}
