//! Numbers in arguments, such as `64,64,32`, `3` or `0.5,1`, and the names of axes.

use std::str::FromStr;

use clap::ValueEnum;

use crate::volume::Axis;

/// An axis, in small letters or in capitals.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum AxisName {
    #[value(alias = "W")]
    W,
    #[value(alias = "H")]
    H,
    #[value(alias = "D")]
    D,
}

impl From<AxisName> for Axis {
    fn from(name: AxisName) -> Self {
        match name {
            AxisName::W => Self::W,
            AxisName::H => Self::H,
            AxisName::D => Self::D,
        }
    }
}

/// Numbers between commas.
///
/// # Errors
/// The part that is no number of this kind.
pub fn numbers<T: FromStr>(text: &str) -> Result<Vec<T>, String> {
    let number =
        |part: &str| part.trim().parse().map_err(|_| format!("{part:?} is not a number of the right kind"));
    text.split(',').map(number).collect()
}

/// Two numbers.
pub fn two<T: FromStr>(text: &str) -> Result<[T; 2], String> {
    numbers(text)?.try_into().map_err(|_| "expected two numbers, such as 0,99".to_string())
}

/// Three numbers.
pub fn three<T: FromStr>(text: &str) -> Result<[T; 3], String> {
    numbers(text)?.try_into().map_err(|_| "expected three numbers, such as 64,64,64".to_string())
}

/// Three numbers, or one that stands for all three.
pub fn one_or_three<T: FromStr + Copy>(text: &str) -> Result<[T; 3], String> {
    match numbers(text)?[..] {
        [one] => Ok([one; 3]),
        [x, y, z] => Ok([x, y, z]),
        _ => Err("expected one number or three, such as 3 or 1,1,3".into()),
    }
}

/// The shape of a plane, whose third number is 1, or of a volume.
pub fn two_or_three(text: &str) -> Result<[usize; 3], String> {
    match numbers(text)?[..] {
        [w, h] => Ok([w, h, 1]),
        [w, h, d] => Ok([w, h, d]),
        _ => Err("expected two numbers or three, such as 256,256".into()),
    }
}

/// The ends of a range; one number is a range of its own.
pub fn range<T: FromStr + Copy + PartialOrd>(text: &str) -> Result<[T; 2], String> {
    match numbers(text)?[..] {
        [one] => Ok([one, one]),
        [low, high] if low <= high => Ok([low, high]),
        _ => Err("expected one number, or two that rise, such as 1,3".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_each_kind() {
        assert_eq!(three("64, 48,1"), Ok([64, 48, 1]));
        assert_eq!((one_or_three("3"), one_or_three("1,1,2.5")), (Ok([3.0; 3]), Ok([1.0, 1.0, 2.5])));
        assert_eq!(two("0,99.9"), Ok([0.0, 99.9]));
        assert_eq!((two_or_three("8,6"), two_or_three("8,6,4")), (Ok([8, 6, 1]), Ok([8, 6, 4])));
        assert_eq!((range("4"), range("4,10"), range("-1,1")), (Ok([4, 4]), Ok([4, 10]), Ok([-1, 1])));
        for wrong in ["64", "64,64", "64,64,-1", "64,64,x", "64,64,1.5", ""] {
            assert!(three::<usize>(wrong).is_err(), "{wrong}");
        }
        assert!(
            one_or_three::<f64>("1,2").is_err() && two::<f64>("5").is_err() && range::<f64>("2,1").is_err()
        );
        assert!(two_or_three("8").is_err() && range::<f64>("1,2,3").is_err());
    }
}
