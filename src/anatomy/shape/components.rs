//! Connected components of masks and label maps, by runs and union–find.

use std::cmp::Reverse;
use std::ops::Range;

use ndarray::Array3;

/// Which voxels are neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connectivity {
    /// The 6 that share a face.
    Faces,
    /// The 18 that share a face or an edge.
    Edges,
    /// The 26 that share a face, an edge or a corner.
    Corners,
}

/// A connected component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component<T> {
    /// The value of its voxels.
    pub value: T,
    /// Number of its voxels.
    pub voxels: usize,
}

/// The connected components of a mask or a label map: sets of connected voxels of equal value.
#[derive(Clone, Debug)]
pub struct Components<T> {
    /// The components, the largest first; equally large ones in the order of their first voxels.
    pub components: Vec<Component<T>>,
    shape: (usize, usize, usize),
    runs: Vec<Run<T>>,
}

/// Voxels of one value side by side along W.
#[derive(Clone, Debug)]
struct Run<T> {
    row: u32,
    start: u32,
    end: u32,
    value: T,
    component: u32,
}

/// The components of equal value in `values`, `[D, H, W]`. The default value (`false`, zero) is background.
///
/// # Panics
/// If an axis, or the number of rows, is beyond `u32`.
pub fn components<T: Copy + Default + PartialEq>(
    values: &Array3<T>,
    connectivity: Connectivity,
) -> Components<T> {
    let shape = values.dim();
    let (d, h, _) = shape;
    let (mut runs, mut rows) = (Vec::new(), Vec::with_capacity(d * h + 1));
    for (row, line) in values.rows().into_iter().enumerate() {
        rows.push(runs.len());
        let row = u32::try_from(row).expect("rows within u32");
        push_runs(row, line.iter().copied(), &mut runs);
    }
    rows.push(runs.len());

    // How far a run reaches sideways to its neighbours in the row beside it, in the row above, and diagonally.
    let (beside, across) = match connectivity {
        Connectivity::Faces => (0, None),
        Connectivity::Edges => (1, Some(0)),
        Connectivity::Corners => (1, Some(1)),
    };
    let mut parents: Vec<u32> = (0..runs.len() as u32).collect();
    for z in 0..d {
        for y in 0..h {
            let earlier = [
                (y > 0).then(|| (z * h + y - 1, Some(beside))),
                (z > 0).then(|| (z.wrapping_sub(1) * h + y, Some(beside))),
                (z > 0 && y > 0).then(|| (z.wrapping_sub(1) * h + y.wrapping_sub(1), across)),
                (z > 0 && y + 1 < h).then(|| (z.wrapping_sub(1) * h + y + 1, across)),
            ];
            let here = z * h + y;
            for (other, reach) in earlier.into_iter().flatten() {
                if let Some(reach) = reach {
                    let [here, other] = [here, other].map(|row| rows[row]..rows[row + 1]);
                    unite_rows(&runs, here, other, reach, &mut parents);
                }
            }
        }
    }
    gather(shape, runs, parents)
}

fn push_runs<T: Copy + Default + PartialEq>(row: u32, line: impl Iterator<Item = T>, runs: &mut Vec<Run<T>>) {
    let (mut value, mut start, mut end) = (T::default(), 0, 0);
    let mut close = |value, start, end| {
        if value != T::default() {
            runs.push(Run { row, start, end, value, component: 0 });
        }
    };
    for next in line {
        if next != value {
            close(value, start, end);
            (value, start) = (next, end);
        }
        end += 1;
    }
    close(value, start, end);
}

/// Joins the runs of one row with those of equal value in another that overlap them, or come within `reach` of it.
fn unite_rows<T: PartialEq>(
    runs: &[Run<T>],
    here: Range<usize>,
    other: Range<usize>,
    reach: u32,
    parents: &mut [u32],
) {
    let mut first = other.start;
    for n in here {
        let run = &runs[n];
        while first < other.end && runs[first].end + reach <= run.start {
            first += 1;
        }
        let near = (first..other.end).take_while(|&m| runs[m].start < run.end + reach);
        for m in near.filter(|&m| runs[m].value == run.value) {
            let (a, b) = (root(parents, n as u32), root(parents, m as u32));
            parents[a.max(b) as usize] = a.min(b);
        }
    }
}

fn root(parents: &mut [u32], mut n: u32) -> u32 {
    while parents[n as usize] != n {
        let above = parents[parents[n as usize] as usize];
        parents[n as usize] = above;
        n = above;
    }
    n
}

/// Numbers the components by size. A root is the first run of its component, so that it comes before the others.
fn gather<T: Copy>(
    shape: (usize, usize, usize),
    mut runs: Vec<Run<T>>,
    mut parents: Vec<u32>,
) -> Components<T> {
    let mut components: Vec<Component<T>> = Vec::new();
    for n in 0..runs.len() {
        let root = root(&mut parents, n as u32) as usize;
        if root == n {
            runs[n].component = components.len() as u32;
            components.push(Component { value: runs[n].value, voxels: 0 });
        } else {
            runs[n].component = runs[root].component;
        }
        components[runs[n].component as usize].voxels += (runs[n].end - runs[n].start) as usize;
    }
    let mut order: Vec<usize> = (0..components.len()).collect();
    order.sort_by_key(|&n| Reverse(components[n].voxels));
    let mut rank = vec![0; order.len()];
    order.iter().enumerate().for_each(|(place, &n)| rank[n] = place as u32);
    runs.iter_mut().for_each(|run| run.component = rank[run.component as usize]);
    Components { components: order.iter().map(|&n| components[n]).collect(), shape, runs }
}

impl<T: Copy + PartialEq> Components<T> {
    /// Numbers of voxels of the components of this value, the largest first.
    pub fn sizes_of(&self, value: T) -> Vec<usize> {
        self.components
            .iter()
            .filter(|component| component.value == value)
            .map(|component| component.voxels)
            .collect()
    }

    /// The mask `[D, H, W]` of the component with this index in [`Components::components`], 0 being the largest; empty
    /// for an index beyond them.
    pub fn mask(&self, component: usize) -> Array3<bool> {
        self.painted(|number| number == component)
    }

    /// The number of each voxel's component, `[D, H, W]`: 1 for the largest, 0 for the background.
    pub fn labels(&self) -> Array3<u32> {
        self.painted(|number| number as u32 + 1)
    }

    fn painted<U: Clone + Default>(&self, colour: impl Fn(usize) -> U) -> Array3<U> {
        let (d, h, w) = self.shape;
        let mut voxels = vec![U::default(); d * h * w];
        for run in &self.runs {
            let row = run.row as usize * w;
            voxels[row + run.start as usize..row + run.end as usize].fill(colour(run.component as usize));
        }
        Array3::from_shape_vec(self.shape, voxels).expect("as many voxels as the shape says")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_by_face_edge_and_corner() {
        let mut mask = Array3::from_elem((4, 4, 4), false);
        for at in [[0, 0, 0], [0, 0, 1], [0, 1, 2], [1, 2, 3], [3, 0, 0]] {
            mask[at] = true;
        }
        let sizes = |connectivity| components(&mask, connectivity).sizes_of(true);
        assert_eq!(sizes(Connectivity::Faces), [2, 1, 1, 1]);
        assert_eq!(sizes(Connectivity::Edges), [3, 1, 1]);
        assert_eq!(sizes(Connectivity::Corners), [4, 1]);
        let found = components(&mask, Connectivity::Corners);
        let largest = found.mask(0);
        assert!(largest[[1, 2, 3]] && !largest[[3, 0, 0]]);
        assert_eq!(found.labels()[[3, 0, 0]], 2);
        assert_eq!(found.mask(2).iter().filter(|&&on| on).count(), 0);
        assert!(components(&Array3::<u8>::zeros((2, 0, 3)), Connectivity::Faces).components.is_empty());
    }

    /// Numbers of `scipy.ndimage.label` 1.15 on each value in turn (tests/fixtures/volumes/shape.py).
    #[test]
    fn pieces_of_a_label_map_agree_with_scipy() {
        let values = super::super::configurations::tests::pattern((13, 17, 19)).mapv(|n| (n % 4) as u8);
        for (connectivity, expected) in [
            (Connectivity::Faces, PIECES[0]),
            (Connectivity::Edges, PIECES[1]),
            (Connectivity::Corners, PIECES[2]),
        ] {
            let found = components(&values, connectivity);
            for value in 1..4u8 {
                let sizes = found.sizes_of(value);
                let (components, largest, second) = expected[usize::from(value) - 1];
                assert_eq!(
                    (sizes.len(), sizes[0], sizes.get(1).copied().unwrap_or(0)),
                    (components, largest, second)
                );
            }
        }
    }

    /// By connectivity and value: number of components, voxels of the largest and of the second.
    const PIECES: [[(usize, usize, usize); 3]; 3] = [
        [(382, 26, 25), (357, 44, 38), (412, 10, 7)],
        [(28, 1001, 4), (13, 1174, 4), (66, 620, 12)],
        [(8, 1036, 4), (2, 1190, 4), (20, 733, 5)],
    ];
}
