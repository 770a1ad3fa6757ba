//! A SENSE reconstruction written by hand: `cargo run --release --example sense`.

use voxgan::acquisition::coils::Birdcage;
use voxgan::acquisition::conjugate_gradient::{ConjugateGradient, Stop, Vector};
use voxgan::acquisition::fourier::Fourier;
use voxgan::acquisition::linear::norm;
use voxgan::acquisition::operators::{sampled::Sampled, sensitivities::Sensitivities};
use voxgan::acquisition::sampling::Poisson;
use voxgan::acquisition::{Complex32, ComplexArray, LinearOperator, Operator};
use voxgan::error::Result;
use voxgan::simulate::phantom::{Ellipsoids, centred_grid};

fn main() -> Result<()> {
    let phantom = Ellipsoids::shepp_logan_3d(128.0).volume(&centred_grid([64; 3], [2.0; 3])?)?;
    let truth = phantom.data.index_axis_move(ndarray::Axis(0), 0).mapv(Complex32::from).into_dyn();

    // y = P·F·S·x, of eight coils, one place in four measured; x minimises ‖Ax − y‖² + 0.001·‖x‖².
    let coils = Operator::new(Sensitivities::new(Birdcage::new(8).maps([64; 3])?));
    let fourier = Operator::new(Fourier::new(coils.output_shape(), &[1, 2, 3]));
    let mask = Poisson::new(4.0, [16, 16]).mask([64; 3], &1.into())?.sampled;
    let a = &(&Operator::new(Sampled::new(mask, 8)) * &fourier) * &coils;
    let y = &a * truth.clone();
    let normal = |x: ComplexArray| a.normal(x.clone()).plus(&1e-3, &x);
    let stop = Stop { iterations: 30, tolerance: 1e-5 };
    let zero_filled = &a.adjoint() * y;
    let x = ConjugateGradient::new(&normal, stop)
        .solve(&zero_filled, &mut |step| println!("residual {:.1e}", step.residual));

    let error = |x: &ComplexArray| 100.0 * norm(&(x - &truth)) / norm(&truth);
    println!("error: zero-filled {:.1} %, SENSE {:.1} %", error(&zero_filled), error(&x));
    Ok(())
}
