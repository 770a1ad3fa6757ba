//! Exact optimal transport between two groups: the least total cost of moving the subjects of one onto those of the
//! other.
//!
//! Groups of unequal size share out their mass: each of `n` subjects holds `m / g` units and each of `m` has room for
//! `n / g`, with `g` their greatest common divisor. The units are sent along shortest paths with potentials (Tomizawa
//! 1971, Edmonds and Karp 1972), which for equal sizes is the Hungarian method. Entropic transport (Sinkhorn) would be
//! faster and inexact; the crates that solve this problem exactly count in whole numbers or are under the GPL.

use nalgebra::DMatrix;

/// A shortest path to a subject with room left.
struct Path {
    /// Where it ends.
    end: usize,
    /// The source by which each target was reached.
    via: Vec<usize>,
    /// The target by which each source but the first was reached.
    back: Vec<usize>,
}

/// Mass on its way from `n` sources to `m` targets.
struct Plan<'a> {
    /// Cost of a unit, `[sources, targets]`, none below zero.
    costs: &'a DMatrix<f64>,
    /// Units sent, `[sources, targets]`.
    flow: DMatrix<usize>,
    /// The sources that send anything to each target.
    senders: Vec<Vec<usize>>,
    /// Units that each target still takes.
    room: Vec<usize>,
    /// Potentials of sources and targets: `cost − source − target` is nowhere negative, and zero where mass flows.
    source: Vec<f64>,
    target: Vec<f64>,
}

/// The least mean cost of moving sources onto targets, all of one mass, for `costs` of `[sources, targets]` that are
/// finite and not negative. Exact up to rounding; O(n m (n + m)) for equal sizes.
pub(super) fn least_cost(costs: &DMatrix<f64>) -> f64 {
    let (n, m) = costs.shape();
    let divisor = greatest_common_divisor(n, m);
    let (supply, room) = (m / divisor, n / divisor);
    let mut plan = Plan {
        costs,
        flow: DMatrix::zeros(n, m),
        senders: vec![Vec::new(); m],
        room: vec![room; m],
        source: vec![0.0; n],
        target: vec![0.0; m],
    };
    for first in 0..n {
        let mut left = supply;
        while left > 0 {
            left -= plan.send(first, left);
        }
    }
    let total = plan.flow.iter().zip(costs).map(|(&units, cost)| units as f64 * cost).sum::<f64>();
    total / (n * supply) as f64
}

impl Plan<'_> {
    /// Sends up to `left` units from the source `first` along one shortest path; returns how many.
    fn send(&mut self, first: usize, left: usize) -> usize {
        let Path { end, via, back } = self.shortest_path(first);
        let mut amount = left.min(self.room[end]);
        let mut target = end;
        while via[target] != first {
            let source = via[target];
            target = back[source];
            amount = amount.min(self.flow[(source, target)]);
        }
        self.room[end] -= amount;
        let mut target = end;
        loop {
            let source = via[target];
            if self.flow[(source, target)] == 0 {
                self.senders[target].push(source);
            }
            self.flow[(source, target)] += amount;
            if source == first {
                return amount;
            }
            target = back[source];
            self.flow[(source, target)] -= amount;
            if self.flow[(source, target)] == 0 {
                self.senders[target].retain(|&sender| sender != source);
            }
        }
    }

    /// Dijkstra's search from `first` over costs less potentials, forward along any pair and back along those with
    /// flow; then the potentials that make the path's own costs zero.
    fn shortest_path(&mut self, first: usize) -> Path {
        let (n, m) = self.costs.shape();
        let mut distance = vec![f64::INFINITY; m];
        let mut via = vec![first; m];
        let mut back = vec![usize::MAX; n];
        let mut open: Vec<usize> = (0..m).collect();
        let mut reached: Vec<(usize, f64)> = vec![(first, 0.0)];
        let mut closed: Vec<usize> = Vec::new();
        let mut expanded = 0;
        let end = loop {
            for &(source, so_far) in &reached[expanded..] {
                for &target in &open {
                    let step = self.costs[(source, target)] - self.source[source] - self.target[target];
                    if so_far + step < distance[target] {
                        distance[target] = so_far + step;
                        via[target] = source;
                    }
                }
            }
            expanded = reached.len();
            let nearest = (0..open.len())
                .min_by(|&a, &b| distance[open[a]].total_cmp(&distance[open[b]]))
                .expect("there is as much room as mass");
            let target = open.swap_remove(nearest);
            closed.push(target);
            if self.room[target] > 0 {
                break target;
            }
            for &sender in &self.senders[target] {
                if sender != first && back[sender] == usize::MAX {
                    back[sender] = target;
                    reached.push((sender, distance[target]));
                }
            }
        };
        let length = distance[end];
        reached.iter().for_each(|&(source, so_far)| self.source[source] += length - so_far);
        closed.iter().for_each(|&target| self.target[target] -= length - distance[target]);
        Path { end, via, back }
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::{Sample, wasserstein};
    use super::*;

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
