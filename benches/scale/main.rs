//! The sum of gradients over ranks, as training does it: `mpirun -n 2 scale` prints a line of JSON a size.

use std::time::Instant;

use burn::backend::Flex;
use burn::tensor::Tensor;
use voxgan::nn::parameters::Named;
use voxgan::train::Group;

/// Numbers of parameters.
const SIZES: [usize; 5] = [1 << 12, 1 << 16, 1 << 20, 1 << 22, 1 << 24];
/// Sums of each size; the fastest counts.
const TIMES: usize = 5;

fn main() {
    let group = Group::of_launcher().expect("a group of ranks");
    for size in SIZES {
        let tensor = Tensor::<Flex, 1>::ones([size], &Default::default());
        let network = Named::from([("parameters".to_string(), tensor)]);
        let (mut whole, mut collective) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..TIMES {
            group.barrier().expect("all are here");
            group.exchanged();
            let began = Instant::now();
            let sum = group.sum_gradients(&network, network.clone(), &mut []).expect("a sum");
            whole = whole.min(began.elapsed().as_secs_f64());
            collective = collective.min(group.exchanged().as_secs_f64());
            let first = sum["parameters"].clone().narrow(0, 0, 1).into_scalar();
            assert_eq!(first, group.size() as f32);
        }
        if group.is_first() {
            let ranks = group.size();
            println!(
                "{{\"ranks\": {ranks}, \"parameters\": {size}, \"seconds\": {whole:.6}, \"collective\": {collective:.6}}}"
            );
        }
    }
}
