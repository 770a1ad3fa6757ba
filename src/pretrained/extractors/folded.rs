//! A convolution and the batch normalisation after it as one convolution.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use crate::error::{Error, Result};
use crate::pretrained::Weights;

/// Weight and bias of a convolution over R − 2 axes.
#[derive(Clone, Debug)]
pub struct Folded<B: Backend, const R: usize> {
    /// `[O, I, …]`.
    pub weight: Tensor<B, R>,
    /// `[O]`.
    pub bias: Tensor<B, 1>,
}

impl<B: Backend, const R: usize> Folded<B, R> {
    /// The convolution `{conv}.weight`, without a bias of its own, followed by the batch normalisation `{norm}.…` with
    /// its running statistics: γ·(w ∗ x − μ)/√(σ² + ε) + β.
    ///
    /// # Errors
    /// [`Error::File`] naming an array that is missing, of another rank or of another number of channels.
    pub fn read(weights: &Weights, conv: &str, norm: &str, epsilon: f64, device: &B::Device) -> Result<Self> {
        let name = format!("{conv}.weight");
        let (shape, kernel) = weights.array(&name)?;
        let advice = "give the state_dict of this network";
        let Ok(dims) = <[usize; R]>::try_from(shape.as_slice()) else {
            let (expected, found) = (format!("{R} axes"), format!("shape {shape:?}"));
            return Err(Error::file(&weights.path, name, expected, found, advice));
        };
        let outputs = dims[0];
        let norms = ["weight", "bias", "running_mean", "running_var"].map(|kind| format!("{norm}.{kind}"));
        for norm in &norms {
            let (shape, _) = weights.array(norm)?;
            if *shape != [outputs] {
                let (expected, found) = (format!("shape [{outputs}]"), format!("{shape:?}"));
                return Err(Error::file(&weights.path, norm, expected, found, advice));
            }
        }
        let [gamma, beta, mean, variance] = norms.map(|norm| &weights.arrays[&norm].1);
        let factor = |o: usize| f64::from(gamma[o]) / (f64::from(variance[o]) + epsilon).sqrt();
        let per_output = kernel.len() / outputs.max(1);
        let kernel: Vec<f32> = kernel
            .iter()
            .enumerate()
            .map(|(at, &w)| (f64::from(w) * factor(at / per_output)) as f32)
            .collect();
        let bias: Vec<f32> =
            (0..outputs).map(|o| (f64::from(beta[o]) - f64::from(mean[o]) * factor(o)) as f32).collect();
        Ok(Self {
            weight: Tensor::from_data(TensorData::new(kernel, dims), device),
            bias: Tensor::from_data(TensorData::new(bias, [outputs]), device),
        })
    }

    /// Number of input channels.
    pub fn inputs(&self) -> usize {
        self.weight.dims()[1]
    }

    /// Number of output channels.
    pub fn outputs(&self) -> usize {
        self.weight.dims()[0]
    }
}
