//! Gaussian blur of arrays with zeros beyond their edges.

/// Standard deviations at which the Gaussian ends.
const TRUNCATED: f64 = 3.0;

/// Weights of a Gaussian of standard deviation `sigma` voxels, of sum 1, an odd number of them.
pub fn taps(sigma: f64) -> Vec<f32> {
    let reach = (TRUNCATED * sigma + 0.5) as i32;
    let weights: Vec<f64> = (-reach..=reach).map(|x| (-0.5 * (f64::from(x) / sigma).powi(2)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| (weight / sum) as f32).collect()
}

/// Blurs a plane `[H, W]` in place; `line` is a scratch buffer.
pub fn blur_plane(plane: &mut [f32], width: usize, taps: &[f32], line: &mut Vec<f32>) {
    let reach = taps.len() / 2;
    for row in plane.chunks_exact_mut(width) {
        line.clear();
        line.resize(width + 2 * reach, 0.0);
        line[reach..reach + width].copy_from_slice(row);
        row.fill(0.0);
        for (t, &weight) in taps.iter().enumerate() {
            row.iter_mut().zip(&line[t..]).for_each(|(to, &from)| *to += weight * from);
        }
    }
    along(plane, width, taps, line);
}

/// An array of rows `row` values long, blurred across its rows in place.
fn along(values: &mut [f32], row: usize, taps: &[f32], kept: &mut Vec<f32>) {
    let reach = taps.len() / 2;
    let rows = values.len() / row;
    // The rows before this one as they were: the last `reach` of them, in a ring.
    kept.clear();
    kept.resize((reach + 1) * row, 0.0);
    for y in 0..rows {
        let slot = y % (reach + 1) * row;
        kept[slot..slot + row].copy_from_slice(&values[y * row..(y + 1) * row]);
        let (now, later) = values[y * row..].split_at_mut(row);
        now.iter_mut().for_each(|x| *x *= taps[reach]);
        for step in 1..=reach {
            let weight = taps[reach + step];
            if step <= y {
                let slot = (y - step) % (reach + 1) * row;
                now.iter_mut().zip(&kept[slot..slot + row]).for_each(|(to, from)| *to += weight * from);
            }
            if y + step < rows {
                let from = &later[(step - 1) * row..step * row];
                now.iter_mut().zip(from).for_each(|(to, from)| *to += weight * from);
            }
        }
    }
}

/// A volume `[D, H, W]` blurred in place on one thread.
pub fn blur(values: &mut [f32], shape: [usize; 3], taps: &[f32]) {
    let [_, h, w] = shape;
    let mut scratch = Vec::new();
    values.chunks_exact_mut(h * w).for_each(|plane| blur_plane(plane, w, taps, &mut scratch));
    along(values, h * w, taps, &mut scratch);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_becomes_a_product_of_gaussians() {
        let (shape, sigma) = ([9, 11, 13], 1.2);
        let at = |z: usize, y: usize, x: usize| (z * shape[1] + y) * shape[2] + x;
        let mut values = vec![0.0; shape.iter().product()];
        values[at(1, 5, 6)] = 2.0;
        let taps = taps(sigma);
        assert!((taps.iter().sum::<f32>() - 1.0).abs() < 1e-6 && taps.len() == 9);
        blur(&mut values, shape, &taps);
        let weight = |step: i64| if step.abs() <= 4 { f64::from(taps[(4 + step) as usize]) } else { 0.0 };
        for z in 0..9 {
            for y in 0..11 {
                for x in 0..13 {
                    let expected = 2.0 * weight(z as i64 - 1) * weight(y as i64 - 5) * weight(x as i64 - 6);
                    assert!((f64::from(values[at(z, y, x)]) - expected).abs() < 1e-6, "{z} {y} {x}");
                }
            }
        }
        let ratio = taps[5] / taps[4];
        assert!((f64::from(ratio) - (-0.5 / (sigma * sigma)).exp()).abs() < 1e-6);
    }
}
