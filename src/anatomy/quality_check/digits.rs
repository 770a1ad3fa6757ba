//! Numbers in sentences, with as many digits as their comparison needs.

/// Most digits after the point that a number is given: enough to tell any two numbers apart.
const MOST: usize = 17;

/// `value` with at least `digits` digits after the point and as many more as make it differ from `bound`, as `value`
/// does. Where both are equal or either is no number, `digits` of them.
pub(super) fn beside(value: f64, bound: f64, digits: usize) -> String {
    told_apart(value, digits, |shown| shown.partial_cmp(&bound) == value.partial_cmp(&bound))
}

/// The same for numbers of either sign, with it, whose size is beyond `bound`.
pub(super) fn signed_beside(value: f64, bound: f64, digits: usize) -> String {
    let size = beside(value.abs(), bound, digits);
    let sign = if value.is_sign_negative() { '-' } else { '+' };
    if value.is_nan() { size } else { format!("{sign}{size}") }
}

/// Two numbers with as many digits as make the first differ from the second.
pub(super) fn both_beside(one: f64, other: f64, digits: usize) -> [String; 2] {
    let enough = |n: &usize| one == other || format!("{one:.n$}") != format!("{other:.n$}");
    let digits = (digits..MOST).find(enough).unwrap_or(MOST);
    [one, other].map(|number| format!("{number:.digits$}"))
}

fn told_apart(value: f64, digits: usize, right: impl Fn(f64) -> bool) -> String {
    let shown = |n: usize| format!("{value:.n$}");
    let enough = |n: &usize| !value.is_finite() || shown(*n).parse().is_ok_and(&right);
    shown((digits..MOST).find(enough).unwrap_or(MOST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_breach_is_never_rounded_away() {
        for (value, bound, digits, expected) in [
            (0.9497, 0.95, 3, "0.9497"),
            (0.94, 0.95, 3, "0.940"),
            (0.949_999_99, 0.95, 3, "0.94999999"),
            (2.004, 2.0, 2, "2.004"),
            (2.04, 2.0, 1, "2.04"),
            (2.06, 2.0, 1, "2.1"),
            // A bound with more digits than are shown.
            (0.9651, 0.9652, 3, "0.965"),
            (0.965_24, 0.9652, 3, "0.96524"),
            (0.95, 0.95, 3, "0.950"),
            (f64::NAN, 0.95, 3, "NaN"),
            (f64::INFINITY, 2.0, 2, "inf"),
        ] {
            assert_eq!(beside(value, bound, digits), expected);
        }
        assert_eq!(signed_beside(-2.004, 2.0, 1), "-2.004");
        assert_eq!(signed_beside(5.2, 2.0, 1), "+5.2");
        assert_eq!(both_beside(0.9501, 0.9498, 3), ["0.9501", "0.9498"]);
        assert_eq!(both_beside(0.97, 0.6, 3), ["0.970", "0.600"]);
        assert_eq!(both_beside(0.5, 0.5, 3), ["0.500", "0.500"]);
    }

    proptest! {
        #[test]
        fn what_is_shown_lies_on_the_same_side(value in 0.0..3.0f64, off in -1e-9..1e-9f64, digits in 0..5usize) {
            for bound in [value + off, value + 1e4 * off, value + 1e8 * off] {
                let shown: f64 = beside(value, bound, digits).parse().unwrap();
                prop_assert_eq!(shown.partial_cmp(&bound), value.partial_cmp(&bound));
            }
        }
    }
}
