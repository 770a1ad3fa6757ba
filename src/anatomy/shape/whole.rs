//! Largest components and filled holes of masks.

use ndarray::Array3;

use super::{Connectivity, components};

/// The largest connected component of a mask `[D, H, W]` (6 neighbours) with its holes filled ([`filled`]); empty for
/// an empty mask.
pub fn whole(mask: &Array3<bool>) -> Array3<bool> {
    filled(&components(mask, Connectivity::Faces).mask(0))
}

/// A mask `[D, H, W]` with its holes filled: the background (6 neighbours) that is not connected to the border of the
/// grid.
pub fn filled(mask: &Array3<bool>) -> Array3<bool> {
    let outside = components(&mask.mapv(|inside| !inside), Connectivity::Faces);
    let components = outside.labels();
    let (d, h, w) = mask.dim();
    let mut reached = vec![false; outside.components.len() + 1];
    for ((z, y, x), &component) in components.indexed_iter() {
        let border = z == 0 || y == 0 || x == 0 || z + 1 == d || y + 1 == h || x + 1 == w;
        reached[component as usize] |= border && component > 0;
    }
    components.mapv(|component| !reached[component as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ball(mask: &mut Array3<bool>, centre: [f64; 3], radius: f64, value: bool) {
        for ((z, y, x), inside) in mask.indexed_iter_mut() {
            let far = [z, y, x].iter().zip(centre).map(|(&at, c)| (at as f64 - c).powi(2)).sum::<f64>();
            if far <= radius * radius {
                *inside = value;
            }
        }
    }

    #[test]
    fn a_hole_is_filled_a_speck_goes_and_a_ball_stays() {
        let mut plain = Array3::from_elem((20, 22, 24), false);
        ball(&mut plain, [9.0, 10.0, 10.0], 7.0, true);
        assert_eq!(whole(&plain), plain);
        let mut broken = plain.clone();
        ball(&mut broken, [9.0, 10.0, 12.0], 2.0, false);
        broken[[18, 20, 22]] = true;
        // A hole that a speck of the mask lies in.
        broken[[9, 10, 12]] = true;
        assert_eq!(whole(&broken), plain);
        // What opens to the border is no hole.
        broken.slice_mut(ndarray::s![9, 10, 12..]).fill(false);
        assert!(!whole(&broken)[[9, 10, 13]]);
        let nothing = Array3::from_elem((3, 3, 3), false);
        assert_eq!(whole(&nothing), nothing);
    }
}
