//! Adam over named tensors; its state is saved under the names of the parameters.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use rayon::prelude::*;

use super::parameters::{Named, replace, tensors};

/// Step size and decays (Kingma & Ba 2015).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamConfig {
    /// Step size.
    pub learning_rate: f64,
    /// Decay of the first and the second moment.
    pub betas: [f64; 2],
    /// Added to the root of the second moment before the division.
    pub epsilon: f64,
}

impl AdamConfig {
    /// The settings corrected for a regulariser that runs every k = `interval` steps as a step of its own (StyleGAN2,
    /// appendix B, lazy regularisation): with c = k/(k + 1), the step size times c and the decays to the power c.
    /// Unchanged for 0.
    #[must_use]
    pub fn lazy(self, interval: usize) -> Self {
        if interval == 0 {
            return self;
        }
        let c = interval as f64 / (interval + 1) as f64;
        Self { learning_rate: self.learning_rate * c, betas: self.betas.map(|beta| beta.powf(c)), ..self }
    }
}

/// The optimiser's state: for each parameter the moments of its gradient and the number of its steps.
#[derive(Clone, Debug)]
pub struct Adam<B: AutodiffBackend> {
    config: AdamConfig,
    /// Number of steps of each parameter; a parameter without a gradient does not step.
    pub steps: BTreeMap<String, u64>,
    /// First moments.
    pub first: Named<B::InnerBackend>,
    /// Second moments.
    pub second: Named<B::InnerBackend>,
}

impl<B: AutodiffBackend> Adam<B> {
    /// An optimiser without steps and moments.
    pub fn new(config: AdamConfig) -> Self {
        Self { config, steps: BTreeMap::new(), first: Named::new(), second: Named::new() }
    }

    /// Sets the step size from the next step on.
    pub fn set_learning_rate(&mut self, learning_rate: f64) {
        self.config.learning_rate = learning_rate;
    }

    /// The module after one step along `gradients` (see [`super::parameters::gradients`]); names that it lacks are
    /// ignored.
    pub fn step<M: Module<B>>(&mut self, module: M, gradients: &Named<B::InnerBackend>) -> M {
        let mut values = tensors(&module);
        let moves: Vec<_> = gradients
            .iter()
            .filter_map(|(name, gradient)| {
                let steps = self.steps.entry(name.clone()).or_insert(0);
                let values = values.remove(name)?.inner();
                *steps += 1;
                let moments = [self.first.remove(name), self.second.remove(name)];
                Some((name.clone(), values, gradient.clone(), moments, *steps))
            })
            .collect();
        drop(values);
        let config = self.config;
        let moved: Vec<_> = moves
            .into_par_iter()
            .map(|(name, values, gradient, moments, steps)| {
                (name, config.update(values, gradient, moments, steps))
            })
            .collect();
        let mut next = Named::<B::InnerBackend>::new();
        for (name, Update { values, first, second }) in moved {
            self.first.insert(name.clone(), first);
            self.second.insert(name.clone(), second);
            next.insert(name, values);
        }
        replace(module, |name, values: Tensor<B, 1>| match next.remove(name) {
            Some(next) => Tensor::from_inner(next),
            None => values,
        })
    }
}

/// A parameter and its moments after a step.
struct Update<B: Backend> {
    values: Tensor<B, 1>,
    first: Tensor<B, 1>,
    second: Tensor<B, 1>,
}

impl AdamConfig {
    /// Step number `steps` of one parameter.
    fn update<B: Backend>(
        &self,
        values: Tensor<B, 1>,
        gradient: Tensor<B, 1>,
        [first, second]: [Option<Tensor<B, 1>>; 2],
        steps: u64,
    ) -> Update<B> {
        let Self { learning_rate, betas: [beta1, beta2], epsilon } = *self;
        let fade = |old: Option<Tensor<B, 1>>, new: Tensor<B, 1>, beta: f64| match old {
            Some(old) if beta > 0.0 => old * beta + new * (1.0 - beta),
            _ => new * (1.0 - beta),
        };
        let second = fade(second, gradient.clone().powi_scalar(2), beta2);
        let first = fade(first, gradient, beta1);
        let correction = |beta: f64| 1.0 - beta.powi(i32::try_from(steps).unwrap_or(i32::MAX));
        let size = (second.clone() / correction(beta2)).sqrt() + epsilon;
        let values = values - first.clone() * (learning_rate / correction(beta1)) / size;
        Update { values, first, second }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::{Autodiff, Flex};
    use burn::module::{Param, ParamId};

    #[derive(Module, Debug)]
    struct Point<B: Backend> {
        x: Param<Tensor<B, 1>>,
    }

    /// Three steps from (1, −2) along given gradients, by the formulas of the paper in float64.
    #[test]
    fn steps_follow_the_papers_formulas() {
        type B = Autodiff<Flex>;
        let config = AdamConfig { learning_rate: 0.1, betas: [0.5, 0.99], epsilon: 1e-8 };
        let device = Default::default();
        let x = Tensor::<B, 1>::from_data([1.0, -2.0], &device).require_grad();
        let mut point = Point { x: Param::initialized(ParamId::new(), x) };
        let mut adam = Adam::<B>::new(config);
        let gradients = [[0.3, -0.1], [0.2, 0.4], [-0.5, 0.25]];
        let (mut expected, mut m, mut v) = ([1.0, -2.0], [0.0; 2], [0.0; 2]);
        for (t, gradient) in gradients.into_iter().enumerate() {
            point = adam.step(point, &Named::from([("x".into(), Tensor::from_data(gradient, &device))]));
            for i in 0..2 {
                m[i] = 0.5 * m[i] + 0.5 * gradient[i];
                v[i] = 0.99 * v[i] + 0.01 * gradient[i] * gradient[i];
                let power = t as i32 + 1;
                let (m, v) = (m[i] / (1.0 - 0.5f64.powi(power)), v[i] / (1.0 - 0.99f64.powi(power)));
                expected[i] -= 0.1 * m / (v.sqrt() + 1e-8);
            }
        }
        let found = point.x.val().into_data().to_vec::<f32>().unwrap();
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} for {expected}");
        }
    }

    #[test]
    fn lazy_correction_keeps_the_decay_over_one_cycle() {
        let config = AdamConfig { learning_rate: 0.002, betas: [0.0, 0.99], epsilon: 1e-8 };
        let lazy = config.lazy(16);
        // Sixteen main steps and one regularising step together decay as sixteen steps did.
        assert!((lazy.betas[1].powi(17) - 0.99f64.powi(16)).abs() < 1e-12);
        assert!((lazy.learning_rate * 17.0 - 0.002 * 16.0).abs() < 1e-15);
        assert_eq!(config.lazy(0), config);
    }
}
