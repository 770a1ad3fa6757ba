//! What a mask leaves of an acquisition.

use std::fmt;

use ndarray::{Array3, Axis as Along};

use super::Axis;

/// What a mask leaves of the places that were measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Left {
    /// Accelerations, places over samples: of the data, of the mask, and of what both have.
    pub accelerations: [f64; 3],
    /// The readout, if the mask takes a part of one: a scanner measures each whole.
    pub cut_readout: Option<Axis>,
}

impl Left {
    /// What `mask` leaves of `measured`, both `[D, H, W]`, where the readout runs along this axis, if that is known.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn of(measured: &Array3<bool>, mask: &Array3<bool>, readout: Option<Axis>) -> Self {
        assert_eq!(measured.dim(), mask.dim(), "places of two shapes");
        let mut both = measured.clone();
        both.zip_mut_with(mask, |measured, &kept| *measured &= kept);
        let acceleration = |of: &Array3<bool>| of.len() as f64 / of.iter().filter(|&&on| on).count() as f64;
        let cut = |axis: &Axis| {
            let along = Along(*axis as usize);
            let mut lines = measured.lanes(along).into_iter().zip(both.lanes(along));
            lines.any(|(before, after)| after.iter().any(|&on| on) && before != after)
        };
        Self { accelerations: [measured, mask, &both].map(acceleration), cut_readout: readout.filter(cut) }
    }
}

/// A line for each thing that a reader should know; nothing of a mask of whole readouts over data that are whole.
impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [data, mask, both] = self.accelerations;
        if data > 1.0 {
            write!(
                f,
                "the data are undersampled already, {data:.2}-fold; with the mask, {mask:.2}-fold, {both:.2}-fold in all"
            )?;
        }
        if let Some(axis) = self.cut_readout {
            let start = if data > 1.0 { "\n" } else { "" };
            write!(
                f,
                "{start}the mask takes parts of readouts, along {axis:?}, which a scanner measures whole"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accelerations_combine_and_cut_readouts_are_seen() {
        let of = |keeps: fn(usize, usize) -> bool| Array3::from_shape_fn((1, 12, 8), |(_, h, w)| keeps(h, w));
        let (all, rows, columns) = (of(|_, _| true), of(|h, _| h % 2 == 0), of(|_, w| w % 4 == 0));
        let found = Left::of(&all, &rows, Some(Axis::W));
        assert_eq!(found, Left { accelerations: [1.0, 2.0, 2.0], cut_readout: None });
        assert_eq!(found.to_string(), "");
        assert_eq!(Left::of(&all, &rows, Some(Axis::H)).cut_readout, Some(Axis::H));
        // Not known.
        assert_eq!(Left::of(&all, &columns, None).cut_readout, None);
        // Every third row of every second: neither product nor maximum, by what is there.
        let thirds = of(|h, _| h % 3 == 0);
        let text = Left::of(&rows, &thirds, Some(Axis::W)).to_string();
        assert!(text.contains("2.00-fold") && text.contains("3.00-fold, 6.00-fold in all"), "{text}");
        // A readout of which the data have but a part, as with a partial echo, is not cut by keeping all of that.
        let echo = of(|_, w| w > 1);
        assert_eq!(Left::of(&echo, &rows, Some(Axis::W)).cut_readout, None);
        let text = Left::of(&echo, &columns, Some(Axis::W)).to_string();
        assert!(text.contains("\nthe mask takes parts of readouts, along W"), "{text}");
    }
}
