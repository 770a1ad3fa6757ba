//! Exact optimal transport between two groups: the least total cost of moving the subjects of one onto those of the
//! other, by the simplex method on trees (Dantzig 1951; Ahuja, Magnanti and Orlin 1993, chapter 11).
//!
//! For groups of unequal size, each of `n` subjects has a mass of `m / g` units and each of `m` takes `n / g`, with `g`
//! their greatest common divisor. A plan is a spanning tree of pairs. A plan that is not optimal has a pair outside the
//! tree that is cheaper than the path through the tree; it replaces another pair, until there is none. Entropic
//! transport (Sinkhorn) would be inexact; the Rust crates that solve this problem have integer costs or are under the
//! GPL, and linear assignment alone needs groups of equal size.

use nalgebra::DMatrix;

/// A pair that is cheaper by less than this part of the largest cost is not.
const TOLERANCE: f64 = 1e-12;

/// A pair of a plan, and the units that it carries.
#[derive(Clone, Copy)]
struct Arc {
    source: usize,
    target: usize,
    units: usize,
}

/// A plan as a tree over the sources, nodes `0..n`, and the targets, nodes `n..n + m`.
struct Tree {
    sources: usize,
    /// Cost of a unit, `[targets, sources]`, so that those of a source lie together.
    costs: DMatrix<f64>,
    /// The `n + m − 1` pairs that carry anything.
    arcs: Vec<Arc>,
    /// The arcs of each node.
    arcs_of: Vec<Vec<usize>>,
    /// The arc towards the first node, and how many there are; of the first node, none.
    towards_root: Vec<usize>,
    depth: Vec<usize>,
    /// Such that the cost of each arc is the sum over its ends.
    potential: Vec<f64>,
}

/// The least mean cost of moving sources onto targets, all of one mass, for `costs` of `[sources, targets]` that are
/// finite and not negative. Exact up to rounding.
pub(super) fn least_cost(costs: &DMatrix<f64>) -> f64 {
    let (n, m) = costs.shape();
    let mut tree = Tree::cheapest_first(costs);
    let tolerance = TOLERANCE * costs.max();
    let mut next = 0;
    while let Some((source, target)) = tree.cheaper(next, tolerance) {
        tree.enter(source, target);
        next = source + 1;
    }
    // The best plan costs what its potentials sum up to over the mass, all of which is equal.
    let (sources, targets) = tree.potential.split_at(n);
    let cost = sources.iter().sum::<f64>() / n as f64 + targets.iter().sum::<f64>() / m as f64;
    cost.max(0.0)
}

impl Tree {
    /// The plan that uses the cheapest pairs first.
    ///
    /// Where the masses of some sources and some targets are equal, a plan is no whole tree, and the method could turn
    /// in circles. So `n + 1` small units make one, each source has one of them more, and the last target takes them
    /// (Orden 1956). They are too few to change which tree is best.
    fn cheapest_first(costs: &DMatrix<f64>) -> Self {
        let (n, m) = costs.shape();
        let divisor = greatest_common_divisor(n, m);
        let mut held = vec![m / divisor * (n + 1) + 1; n];
        let mut capacity = vec![n / divisor * (n + 1); m];
        capacity[m - 1] += n;
        let mut pairs: Vec<(usize, usize)> = (0..n).flat_map(|i| (0..m).map(move |j| (i, j))).collect();
        pairs.sort_unstable_by(|&a, &b| costs[a].total_cmp(&costs[b]));
        let mut tree = Self {
            sources: n,
            costs: costs.transpose(),
            arcs: Vec::with_capacity(n + m - 1),
            arcs_of: vec![Vec::new(); n + m],
            towards_root: vec![usize::MAX; n + m],
            depth: vec![0; n + m],
            potential: vec![0.0; n + m],
        };
        for (source, target) in pairs {
            let units = held[source].min(capacity[target]);
            if units > 0 {
                held[source] -= units;
                capacity[target] -= units;
                tree.arcs_of[source].push(tree.arcs.len());
                tree.arcs_of[n + target].push(tree.arcs.len());
                tree.arcs.push(Arc { source, target, units });
            }
        }
        tree.survey();
        tree
    }

    /// The node at the other end of an arc.
    fn across(&self, arc: usize, node: usize) -> usize {
        let Arc { source, target, .. } = self.arcs[arc];
        if node == source { self.sources + target } else { source }
    }

    /// Finds depths and potentials from the first node on.
    fn survey(&mut self) {
        let mut open = vec![0];
        while let Some(node) = open.pop() {
            for index in 0..self.arcs_of[node].len() {
                let arc = self.arcs_of[node][index];
                if arc == self.towards_root[node] {
                    continue;
                }
                let other = self.across(arc, node);
                let Arc { source, target, .. } = self.arcs[arc];
                self.towards_root[other] = arc;
                self.depth[other] = self.depth[node] + 1;
                self.potential[other] = self.costs[(target, source)] - self.potential[node];
                open.push(other);
            }
        }
    }

    /// The pair that would save most in the first source, from `next` on and round again, in which one would.
    fn cheaper(&self, next: usize, tolerance: f64) -> Option<(usize, usize)> {
        (next..next + self.sources).find_map(|source| {
            let source = source % self.sources;
            let least = self.potential[source] - tolerance;
            let costs = self.costs.column(source);
            let saved = costs.iter().zip(&self.potential[self.sources..]).map(|(cost, other)| cost - other);
            let (target, cost) = saved.enumerate().min_by(|a, b| a.1.total_cmp(&b.1))?;
            (cost < least).then_some((source, target))
        })
    }

    /// Sends as much as can be from `source` straight to `target` instead of through the tree.
    fn enter(&mut self, source: usize, target: usize) {
        // The way through the tree, from both ends to where they meet; every other arc, the first included, gives.
        let mut ends = [source, self.sources + target];
        let mut gives: Vec<usize> = Vec::new();
        let mut takes: Vec<usize> = Vec::new();
        let mut steps = [0; 2];
        while ends[0] != ends[1] {
            let side = usize::from(self.depth[ends[1]] > self.depth[ends[0]]);
            let arc = self.towards_root[ends[side]];
            if steps[side] % 2 == 0 {
                gives.push(arc)
            } else {
                takes.push(arc)
            }
            steps[side] += 1;
            ends[side] = self.across(arc, ends[side]);
        }
        let leaving = *gives.iter().min_by_key(|&&arc| self.arcs[arc].units).expect("a way has an arc");
        let units = self.arcs[leaving].units;
        gives.iter().for_each(|&arc| self.arcs[arc].units -= units);
        takes.iter().for_each(|&arc| self.arcs[arc].units += units);
        let Arc { source: from, target: to, .. } = self.arcs[leaving];
        for node in [from, self.sources + to] {
            self.arcs_of[node].retain(|&arc| arc != leaving);
        }
        for node in [source, self.sources + target] {
            self.arcs_of[node].push(leaving);
        }
        self.arcs[leaving] = Arc { source, target, units };
        self.survey();
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::{Sample, wasserstein};

    fn distances(a: &[f64], b: &[f64], power: i32) -> DMatrix<f64> {
        DMatrix::from_fn(a.len(), b.len(), |i, j| (a[i] - b[j]).abs().powi(power))
    }

    /// The least mean cost over all assignments of equal groups.
    fn by_trial(costs: &DMatrix<f64>, row: usize, taken: u32) -> f64 {
        let n = costs.nrows();
        let free = (0..n).filter(|column| taken >> column & 1 == 0);
        let rest = free.map(|column| {
            costs[(row, column)] / n as f64
                + if row + 1 < n { by_trial(costs, row + 1, taken | 1 << column) } else { 0.0 }
        });
        rest.fold(f64::INFINITY, f64::min)
    }

    proptest! {
        /// On a line the cost is the area between the distribution functions, whatever the sizes.
        #[test]
        fn on_a_line_it_is_the_area_between_the_distributions(
            a in prop::collection::vec(-9.0..9.0f64, 1..24),
            b in prop::collection::vec(-9.0..9.0f64, 1..24),
        ) {
            let area = wasserstein(&Sample::of(a.iter().copied()), &Sample::of(b.iter().copied()));
            let found = least_cost(&distances(&a, &b, 1));
            prop_assert!((found - area).abs() < 1e-9, "{found} {area}");
        }

        /// Squared distances on a line: sorted values meet, however many copies each has.
        #[test]
        fn squares_on_a_line_are_those_of_sorted_values(
            a in prop::collection::vec(-9.0..9.0f64, 1..12),
            b in prop::collection::vec(-9.0..9.0f64, 1..12),
        ) {
            let copies = |values: &[f64], each: usize| {
                let sorted = Sample::of(values.iter().copied()).values;
                sorted.into_iter().flat_map(|value| std::iter::repeat_n(value, each)).collect::<Vec<_>>()
            };
            let pairs = copies(&a, b.len()).into_iter().zip(copies(&b, a.len()));
            let squares = pairs.map(|(x, y)| (x - y) * (x - y)).sum::<f64>() / (a.len() * b.len()) as f64;
            let found = least_cost(&distances(&a, &b, 2));
            prop_assert!((found - squares).abs() < 1e-9, "{found} {squares}");
        }

        #[test]
        fn it_is_the_best_of_all_assignments(costs in prop::collection::vec(0.0..1.0f64, 36)) {
            let costs = DMatrix::from_vec(6, 6, costs);
            let (found, best) = (least_cost(&costs), by_trial(&costs, 0, 0));
            prop_assert!((found - best).abs() < 1e-12, "{found} {best}");
        }
    }

    /// Three points against four in the plane, a case without ties and with split masses. POT 0.9.7:
    /// `ot.emd2([1/3]*3, [1/4]*4, ot.dist(a, b))` = 1.5466666666666669.
    #[test]
    fn unequal_groups_in_the_plane_agree_with_pot() {
        let a = [(0.0, 0.0), (1.0, 0.2), (0.3, 2.0)];
        let b = [(0.1, 1.0), (2.0, 2.0), (-1.0, 0.4), (0.6, -0.7)];
        let costs = DMatrix::from_fn(3, 4, |i, j| {
            let ((x, y), (z, w)): ((f64, f64), (f64, f64)) = (a[i], b[j]);
            (x - z).powi(2) + (y - w).powi(2)
        });
        assert!((least_cost(&costs) - 1.546_666_666_666_666_9).abs() < 1e-12, "{}", least_cost(&costs));
    }
}
