//! Smooth shapes as signed distances in millimetres, below zero inside, exact to first order at the surface: the parts
//! of the brain phantom.

/// A point or a vector, `(x, y, z)` in millimetres.
pub type Point = [f32; 3];

/// Euclidean length.
pub fn length(v: Point) -> f32 {
    (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]).sqrt()
}

/// `a − b`.
pub fn minus(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

/// Sine and cosine of the angle that has this tangent.
fn of_slope(slope: f32) -> (f32, f32) {
    let cos = 1.0 / (1.0 + slope * slope).sqrt();
    (slope * cos, cos)
}

/// An ellipsoid, turned about x (its length along y rises or falls) and then about z.
#[derive(Clone, Copy, Debug)]
pub struct Blob {
    pub centre: Point,
    pub radii: Point,
    /// Slope of its length from y towards z: the tangent of the angle.
    pub pitch: f32,
    /// Slope from x towards y.
    pub yaw: f32,
}

impl Blob {
    /// An ellipsoid along the axes.
    pub const fn new(centre: Point, radii: Point) -> Self {
        Self { centre, radii, pitch: 0.0, yaw: 0.0 }
    }

    /// This ellipsoid with these slopes; see the fields.
    pub const fn turned(self, pitch: f32, yaw: f32) -> Self {
        Self { pitch, yaw, ..self }
    }

    /// This ellipsoid with radii times `factor`.
    pub fn grown(self, factor: f32) -> Self {
        Self { radii: self.radii.map(|r| r * factor), ..self }
    }

    /// The signed distance of a point from the surface, in millimetres; negative inside.
    pub fn distance(&self, p: Point) -> f32 {
        let v = minus(p, self.centre);
        let least = self.radii[0].min(self.radii[1]).min(self.radii[2]);
        let greatest = self.radii[0].max(self.radii[1]).max(self.radii[2]);
        let away = length(v) - greatest;
        if away > greatest {
            return away; // far off, how far exactly is of no matter
        }
        let v = self.unturned(v);
        let u = [v[0] / self.radii[0], v[1] / self.radii[1], v[2] / self.radii[2]];
        let slope = length([u[0] / self.radii[0], u[1] / self.radii[1], u[2] / self.radii[2]]);
        let g = length(u);
        if slope * least < 1e-3 { -least } else { g * (g - 1.0) / slope }
    }

    fn unturned(&self, v: Point) -> Point {
        if self.pitch == 0.0 && self.yaw == 0.0 {
            return v;
        }
        let (sin, cos) = of_slope(self.yaw);
        let v = [cos * v[0] + sin * v[1], cos * v[1] - sin * v[0], v[2]];
        let (sin, cos) = of_slope(self.pitch);
        [v[0], cos * v[1] + sin * v[2], cos * v[2] - sin * v[1]]
    }
}

/// The distance to a tube through `knots`, each `[x, y, z, radius]`, the radius linear between them; radii times
/// `scale`.
pub fn tube(p: Point, knots: &[[f32; 4]], scale: f32) -> f32 {
    knots.windows(2).fold(f32::INFINITY, |nearest, ends| {
        let [a, b] = [ends[0], ends[1]];
        let axis = [b[0] - a[0], b[1] - a[1], b[2] - a[2]];
        let v = [p[0] - a[0], p[1] - a[1], p[2] - a[2]];
        let dot = |u: Point, v: Point| u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
        let t = (dot(v, axis) / dot(axis, axis)).clamp(0.0, 1.0);
        let off = [v[0] - t * axis[0], v[1] - t * axis[1], v[2] - t * axis[2]];
        nearest.min(length(off) - scale * (a[3] + t * (b[3] - a[3])))
    })
}

/// The union of two shapes, smoothed over about `k` millimetres where they meet.
pub fn union(a: f32, b: f32, k: f32) -> f32 {
    let overlap = (k - (a - b).abs()).max(0.0) / k;
    a.min(b) - 0.25 * k * overlap * overlap
}

/// The difference of `a` and `b`, smoothed over about `k` millimetres.
pub fn without(a: f32, b: f32, k: f32) -> f32 {
    -union(-a, b, k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_zero_on_the_surface_and_rise_by_one_a_millimetre() {
        let blob = Blob::new([3.0, -2.0, 1.0], [10.0, 20.0, 15.0])
            .turned(20f32.to_radians().tan(), -30f32.to_radians().tan());
        // A point of the unit sphere, taken through radii, pitch and yaw.
        for u in [[0.6f32, 0.48, 0.64], [-0.8, 0.0, 0.6], [0.0, 1.0, 0.0]] {
            let v = [u[0] * 10.0, u[1] * 20.0, u[2] * 15.0];
            let (s, c) = 20f32.to_radians().sin_cos();
            let v = [v[0], c * v[1] - s * v[2], s * v[1] + c * v[2]];
            let (s, c) = (-30f32).to_radians().sin_cos();
            let p = [3.0 + c * v[0] - s * v[1], -2.0 + s * v[0] + c * v[1], 1.0 + v[2]];
            assert!(blob.distance(p).abs() < 1e-4, "{}", blob.distance(p));
            let slope = [0, 1, 2].map(|a| {
                let mut q = p;
                q[a] += 0.01;
                (blob.distance(q) - blob.distance(p)) / 0.01
            });
            assert!((length(slope) - 1.0).abs() < 0.01, "{slope:?}");
        }
        let knots = [[0.0, 0.0, 0.0, 2.0], [10.0, 0.0, 0.0, 4.0]];
        assert_eq!(tube([5.0, 7.0, 0.0], &knots, 1.0), 4.0);
        assert_eq!(tube([-5.0, 0.0, 0.0], &knots, 2.0), 1.0);
        assert!(
            union(0.0, 0.0, 4.0) == -1.0 && union(1.0, 9.0, 4.0) == 1.0 && without(-3.0, 5.0, 2.0) == -3.0
        );
    }
}
