//! Samples at any points of a grid: interpolation from it, and its transpose, which spreads them onto it.
//!
//! Points are sorted into tiles of whole rows. A tile is worked on in a buffer of its own that holds the places beyond
//! its border too, so that no index wraps in the inner loop. Spread tiles are added to the grid colour by colour, and
//! tiles of a colour touch different rows: no sum depends on the number of threads.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use ndarray::ArrayView2;
use rayon::prelude::*;

use super::kaiser_bessel::Table;
use crate::acquisition::Complex32;

/// Rows of a tile along H where the grid is flat, and along D and H where it is not.
const TILE: [usize; 2] = [16, 8];

/// Interpolation between the places of a periodic grid `[D, H, W]` (in C order) at a fixed set of points.
pub trait Gridding: Send + Sync {
    /// The value of `grid` at every point, in the order in which the points were given.
    fn interpolate(&self, grid: &[Complex32]) -> Vec<Complex32>;

    /// The transpose of [`Gridding::interpolate`]: every sample spread onto a grid of zeros.
    fn spread(&self, samples: &[Complex32]) -> Vec<Complex32>;

    /// For every point the first place along D, H and W that it is interpolated from; and the weights of that and the
    /// following places, the kernel's width of them for each of D, H and W in turn. Those of D are 1, 0, … where the
    /// grid is flat.
    fn places(&self) -> (Vec<[usize; 3]>, Vec<f32>);
}

/// A gridding with a kernel of `width` places for `points` `[samples, 3]`, which are positions along (D, H, W) on the
/// grid in places; a grid with one place along D is flat. `None` for a width that is not 3 to 8.
pub fn gridding(
    grid: [usize; 3],
    points: ArrayView2<f64>,
    width: usize,
    oversampling: f64,
) -> Option<Box<dyn Gridding>> {
    Some(match width {
        3 => Box::new(Tiled::<3>::new(grid, points, oversampling)),
        4 => Box::new(Tiled::<4>::new(grid, points, oversampling)),
        5 => Box::new(Tiled::<5>::new(grid, points, oversampling)),
        6 => Box::new(Tiled::<6>::new(grid, points, oversampling)),
        7 => Box::new(Tiled::<7>::new(grid, points, oversampling)),
        8 => Box::new(Tiled::<8>::new(grid, points, oversampling)),
        _ => return None,
    })
}

/// A point in its tile.
#[derive(Clone, Copy)]
struct Point {
    /// Its number in the order given.
    number: u32,
    /// The first place that it is interpolated from.
    first: [u32; 3],
    /// How far that is from the kernel's border.
    fraction: [f32; 3],
}

/// Rows of the grid that are worked on together, and their points.
struct Tile {
    /// Along D and H.
    rows: [Range<usize>; 2],
    points: Range<usize>,
}

/// Points sorted into tiles, for a kernel `W` places wide.
struct Tiled<const W: usize> {
    grid: [usize; 3],
    table: Table<W>,
    points: Vec<Point>,
    /// Where each point, in the order given, stands in `points`.
    position: Vec<u32>,
    /// Tiles with points by colour: those of one touch different rows.
    colours: Vec<Vec<Tile>>,
}

impl<const W: usize> Tiled<W> {
    fn new(grid: [usize; 3], points: ArrayView2<f64>, oversampling: f64) -> Self {
        let flat = grid[0] == 1;
        let bounds = [if flat { vec![0, 1] } else { bounds(grid[0], TILE[1]) }, {
            bounds(grid[1], if flat { TILE[0] } else { TILE[1] })
        }];
        let columns = bounds[1].len() - 1;
        let tile_of = |first: [u32; 3]| {
            let along =
                |axis: usize| bounds[axis].partition_point(|&start| start <= first[axis] as usize) - 1;
            along(0) * columns + along(1)
        };
        let mut sorted: Vec<(usize, Point)> = points
            .outer_iter()
            .zip(0..)
            .map(|(at, number)| {
                let (mut first, mut fraction) = ([0; 3], [0.0; 3]);
                for axis in if flat { 1..3 } else { 0..3 } {
                    let start = at[axis] - 0.5 * W as f64;
                    let place = start.ceil();
                    first[axis] = place.rem_euclid(grid[axis] as f64) as u32;
                    fraction[axis] = (place - start) as f32;
                }
                let point = Point { number, first, fraction };
                (tile_of(first), point)
            })
            .collect();
        sorted.par_sort_by_key(|(tile, point)| (*tile, point.first, point.number));
        let mut position = vec![0; sorted.len()];
        for ((_, point), at) in sorted.iter().zip(0..) {
            position[point.number as usize] = at;
        }
        let mut colours: Vec<Vec<Tile>> = (0..9).map(|_| Vec::new()).collect();
        let mut end = 0;
        for same in sorted.chunk_by(|(a, _), (b, _)| a == b) {
            let (row, column) = (same[0].0 / columns, same[0].0 % columns);
            let rows = [bounds[0][row]..bounds[0][row + 1], bounds[1][column]..bounds[1][column + 1]];
            let points = end..end + same.len();
            end = points.end;
            colours[3 * colour(row, bounds[0].len() - 1) + colour(column, columns)]
                .push(Tile { rows, points });
        }
        let points = sorted.into_iter().map(|(_, point)| point).collect();
        Self { grid, table: Table::new(oversampling), points, position, colours }
    }

    /// Places along D that a point is interpolated from.
    fn deep(&self) -> usize {
        if self.grid[0] == 1 { 1 } else { W }
    }

    /// The weights of a point along D, H and W.
    #[inline]
    fn weights(&self, point: &Point) -> [[f32; W]; 3] {
        let mut weights = point.fraction.map(|fraction| self.table.weights(fraction));
        if self.grid[0] == 1 {
            weights[0] = std::array::from_fn(|t| if t == 0 { 1.0 } else { 0.0 });
        }
        weights
    }

    /// The size of a tile's buffer: its rows and what its points reach beyond them.
    fn reach(&self, tile: &Tile) -> [usize; 3] {
        [tile.rows[0].len() + self.deep() - 1, tile.rows[1].len() + W - 1, self.grid[2] + W - 1]
    }

    /// The rows of a tile's buffer: which row of the grid each is.
    fn rows(&self, tile: &Tile) -> impl Iterator<Item = usize> {
        let [deep, high, _] = self.reach(tile);
        let ([d, h, _], starts) = (self.grid, [tile.rows[0].start, tile.rows[1].start]);
        (0..deep).flat_map(move |i| (0..high).map(move |j| (starts[0] + i) % d * h + (starts[1] + j) % h))
    }

    /// Where in a tile's buffer the rows of places start that a point is interpolated from, each with its weight.
    #[inline]
    fn starts(
        &self,
        tile: &Tile,
        point: &Point,
        [deep, high]: [[f32; W]; 2],
    ) -> impl Iterator<Item = (usize, f32)> {
        let [_, rows, length] = self.reach(tile);
        let [d, h, w] = point.first.map(|place| place as usize);
        let first = ((d - tile.rows[0].start) * rows + h - tile.rows[1].start) * length + w;
        (0..self.deep())
            .flat_map(move |i| (0..W).map(move |j| (first + (i * rows + j) * length, deep[i] * high[j])))
    }
}

/// Where tiles of at least `least` places start and end.
fn bounds(length: usize, least: usize) -> Vec<usize> {
    let count = (length / least).max(1);
    (0..=count).map(|tile| tile * length / count).collect()
}

/// Neighbours have different colours, the last tile and the first too.
fn colour(tile: usize, count: usize) -> usize {
    if count % 2 == 1 && count > 1 && tile == count - 1 { 2 } else { tile % 2 }
}

impl<const W: usize> Gridding for Tiled<W> {
    fn interpolate(&self, grid: &[Complex32]) -> Vec<Complex32> {
        let length = self.grid[2];
        let mut sorted = vec![Complex32::ZERO; self.points.len()];
        let mut tiles: Vec<&Tile> = self.colours.iter().flatten().collect();
        tiles.sort_by_key(|tile| tile.points.start);
        let mut rest = &mut sorted[..];
        let mut work = Vec::with_capacity(tiles.len());
        for tile in tiles {
            let (values, behind) = rest.split_at_mut(tile.points.len());
            work.push((tile, values));
            rest = behind;
        }
        work.into_par_iter().for_each_init(Vec::new, |buffer: &mut Vec<Complex32>, (tile, values)| {
            buffer.clear();
            for row in self.rows(tile) {
                let row = &grid[row * length..(row + 1) * length];
                buffer.extend(row.iter().cycle().take(length + W - 1));
            }
            for (value, point) in values.iter_mut().zip(&self.points[tile.points.clone()]) {
                let [deep, high, wide] = self.weights(point);
                let mut sums = [Complex32::ZERO; W];
                for (start, weight) in self.starts(tile, point, [deep, high]) {
                    let row = &buffer[start..start + W];
                    (0..W).for_each(|t| sums[t] += row[t] * weight);
                }
                *value = (0..W).map(|t| sums[t] * wide[t]).sum();
            }
        });
        self.position.par_iter().map(|&at| sorted[at as usize]).collect()
    }

    fn spread(&self, samples: &[Complex32]) -> Vec<Complex32> {
        let length = self.grid[2];
        let mut grid = vec![Complex32::ZERO; self.grid.iter().product()];
        // Tiles of a colour share no row: a lock is never waited for.
        let rows: Vec<_> = grid.chunks_mut(length).map(Mutex::new).collect();
        for tiles in &self.colours {
            tiles.par_iter().for_each_init(Vec::new, |buffer: &mut Vec<Complex32>, tile| {
                buffer.clear();
                buffer.resize(self.reach(tile).iter().product(), Complex32::ZERO);
                for point in &self.points[tile.points.clone()] {
                    let [deep, high, wide] = self.weights(point);
                    let sample = samples[point.number as usize];
                    let sample = wide.map(|weight| sample * weight);
                    for (start, weight) in self.starts(tile, point, [deep, high]) {
                        let row = &mut buffer[start..start + W];
                        (0..W).for_each(|t| row[t] += sample[t] * weight);
                    }
                }
                for (row, part) in self.rows(tile).zip(buffer.chunks(length + W - 1)) {
                    let mut row = rows[row].lock().unwrap_or_else(PoisonError::into_inner);
                    for part in part.chunks(length) {
                        row.iter_mut().zip(part).for_each(|(to, from)| *to += from);
                    }
                }
            });
        }
        drop(rows);
        grid
    }

    fn places(&self) -> (Vec<[usize; 3]>, Vec<f32>) {
        let points = self.position.iter().map(|&at| &self.points[at as usize]);
        points.map(|point| (point.first.map(|place| place as usize), self.weights(point))).fold(
            (Vec::new(), Vec::new()),
            |(mut firsts, mut all), (first, weights)| {
                firsts.push(first);
                all.extend(weights.as_flattened());
                (firsts, all)
            },
        )
    }
}
