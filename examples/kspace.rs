//! The k-space of a volume's middle slice as four coils see it, for trying reconstructions:
//! `cargo run --release --example kspace -- head.nii.gz kspace.npy`.

use ndarray::{Array4, Axis, Slice};
use voxgan::acquisition::Complex32;
use voxgan::acquisition::coils::Birdcage;
use voxgan::acquisition::fourier::fft;
use voxgan::error::Result;
use voxgan::io::{npy, scan};
use voxgan::random::{Purpose, normal, stream};

fn main() -> Result<()> {
    let [Some(input), Some(output)] = [1, 2].map(|n| std::env::args().nth(n)) else {
        println!("give a volume, and a name for its k-space");
        return Ok(());
    };
    let head = scan::read(&input, &Default::default())?;
    let middle = head.dims()[2] / 2;
    let slice = head.data.slice_axis(Axis(1), Slice::from(middle..middle + 1)); // [1, 1, H, W]
    let [_, _, h, w] = [0, 1, 2, 3].map(|axis| slice.shape()[axis]);

    let maps: Array4<_> = Birdcage::new(4).maps([1, h, w])?;
    let mut kspace = (&maps * &slice.mapv(Complex32::from)).into_dyn(); // [coils, 1, H, W]
    fft(&mut kspace, &[2, 3]);
    // Noise of one part in a thousand of the brightest sample of the image.
    let sd = 1e-3 * slice.iter().copied().fold(0.0, f32::max);
    let noise = normal(&mut stream(1, 0, 0, 0, Purpose::Noise), 2 * kspace.len());
    for (sample, noise) in kspace.iter_mut().zip(noise.chunks_exact(2)) {
        sample.re += sd * noise[0];
        sample.im += sd * noise[1];
    }
    npy::write_complex(output.as_ref(), kspace.index_axis(Axis(1), 0).into_dyn())
}
