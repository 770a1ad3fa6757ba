//! The sum of gradients over ranks.
//!
//! Here gradients leave the device, and only here: copied to the host, flattened in the order of the parameters' names
//! and summed by one collective. Between GPUs, NCCL would sum them where they are, over GPU-direct; it would stand in for
//! this function, with MPI to exchange its identifier ([`Group::broadcast`]).

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::Group;
use crate::error::Result;
use crate::nn::parameters::{Named, is_buffer};

impl Group {
    /// The sums over ranks of `gradients`, which are of parameters of a network whose parameters and buffers are
    /// `network`, and of the numbers `beside` them. A parameter has a gradient if it has one on any rank.
    ///
    /// # Errors
    /// As [`Group::sum`].
    pub fn sum_gradients<B: Backend>(
        &self,
        network: &Named<B>,
        gradients: Named<B>,
        beside: &mut [f32],
    ) -> Result<Named<B>> {
        let Some(engine) = &self.engine else { return Ok(gradients) };
        let parameters = || network.iter().filter(|(name, _)| !is_buffer(name));
        let mut flat = beside.to_vec();
        for (name, values) in parameters() {
            match gradients.get(name) {
                Some(gradient) => {
                    flat.push(1.0);
                    flat.extend(gradient.clone().into_data().iter::<f32>());
                }
                None => flat.resize(flat.len() + 1 + values.dims()[0], 0.0),
            }
        }
        self.timed(|| engine.sum_singles(&mut flat))?;
        let (sums, mut rest) = flat.split_at(beside.len());
        beside.copy_from_slice(sums);
        let mut summed = Named::new();
        for (name, values) in parameters() {
            let (gradient, after) = rest.split_at(1 + values.dims()[0]);
            rest = after;
            if gradient[0] > 0.0 {
                let data = TensorData::new(gradient[1..].to_vec(), [gradient.len() - 1]);
                summed.insert(name.clone(), Tensor::from_data(data, &values.device()));
            }
        }
        Ok(summed)
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;

    use super::super::threads::on_threads;
    use super::*;

    #[test]
    fn gradients_are_summed_by_name_where_any_rank_has_one() {
        let tensor = |values: &[f32]| Tensor::<Flex, 1>::from_data(values, &Default::default());
        let network = || {
            Named::from(
                [("a", 2), ("b", 1), ("c", 3), ("mapping.w_avg", 2)]
                    .map(|(name, length)| (name.to_string(), tensor(&vec![9.0; length]))),
            )
        };
        let found = on_threads(2, |group| {
            let rank = group.rank() as f32;
            let mut own = Named::from([("a".to_string(), tensor(&[1.0 + rank, rank]))]);
            if group.rank() == 1 {
                own.insert("c".into(), tensor(&[1.0, 2.0, 3.0]));
            }
            let mut beside = [rank, 4.0];
            let summed = group.sum_gradients(&network(), own, &mut beside).unwrap();
            let summed =
                summed.into_iter().map(|(name, values)| (name, values.into_data().to_vec::<f32>().unwrap()));
            (beside, summed.collect::<Vec<_>>())
        });
        for (beside, summed) in found {
            assert_eq!(beside, [1.0, 8.0]);
            assert_eq!(summed, [("a".into(), vec![3.0, 1.0]), ("c".into(), vec![1.0, 2.0, 3.0])]);
        }
    }
}
