//! Initial values: normal draws from a counter-based stream, one stream a parameter.

use burn::module::{Param, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use crate::random::{Purpose, normal, stream};

/// Draws the parameters of a network, each from a stream of its own: (run seed, number of the draw).
#[derive(Debug)]
pub struct Init {
    seed: u64,
    drawn: u64,
}

impl Init {
    /// The initial values of the network with this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// A trainable parameter of this shape from N(0, `deviation`²).
    pub fn normal<B: Backend, const R: usize>(
        &mut self,
        shape: [usize; R],
        deviation: f64,
        device: &B::Device,
    ) -> Param<Tensor<B, R>> {
        let mut values =
            normal(&mut stream(self.seed, 0, 0, self.drawn, Purpose::Weights), shape.iter().product());
        self.drawn += 1;
        values.iter_mut().for_each(|v| *v *= deviation as f32);
        parameter(Tensor::from_data(TensorData::new(values, shape), device))
    }

    /// A trainable parameter of this shape, all `value`.
    pub fn constant<B: Backend, const R: usize>(
        &mut self,
        shape: [usize; R],
        value: f64,
        device: &B::Device,
    ) -> Param<Tensor<B, R>> {
        parameter(Tensor::full(shape, value, device))
    }

    /// A buffer of this shape from N(0, `deviation`²): saved and averaged with the parameters, but not trained.
    pub fn buffer<B: Backend, const R: usize>(
        &mut self,
        shape: [usize; R],
        deviation: f64,
        device: &B::Device,
    ) -> Param<Tensor<B, R>> {
        self.normal(shape, deviation, device).set_require_grad(false)
    }
}

fn parameter<B: Backend, const R: usize>(tensor: Tensor<B, R>) -> Param<Tensor<B, R>> {
    Param::initialized(ParamId::new(), tensor.require_grad())
}
