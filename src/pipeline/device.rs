//! The device that a job computes on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[cfg(not(feature = "cuda"))]
use crate::error::Error;
use crate::error::Result;

/// `cpu`, `cuda` or `cuda:N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Device {
    /// The CPU.
    #[default]
    Cpu,
    /// An NVIDIA GPU by its number.
    Cuda(usize),
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.split_once(':') {
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda(0)),
            Some(("cuda", number)) => {
                number.parse().map(Self::Cuda).map_err(|_| format!("`{number}` is no card's number"))
            }
            _ => Err("expected cpu, cuda or cuda:N".into()),
        }
    }
}

impl TryFrom<String> for Device {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        text.parse()
    }
}

impl From<Device> for String {
    fn from(device: Device) -> Self {
        device.to_string()
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => write!(f, "cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl Device {
    /// The device of a rank of several: on each machine ranks take cards in a row, from the one that is named on; of as
    /// many as `CUDA_VISIBLE_DEVICES` shows, where it is set.
    #[must_use]
    pub fn of_rank(self, local_rank: usize) -> Self {
        let shown = std::env::var("CUDA_VISIBLE_DEVICES").ok().map(|list| list.split(',').count());
        match self {
            Self::Cuda(first) => Self::Cuda((first + local_rank) % shown.unwrap_or(usize::MAX)),
            other => other,
        }
    }

    /// Whether this program and this machine can use the device.
    ///
    /// # Errors
    /// [`Error::Device`] naming what is missing and what to do.
    pub fn check(self) -> Result<()> {
        match self {
            Self::Cpu => Ok(()),
            #[cfg(feature = "cuda")]
            Self::Cuda(number) => crate::ops::cuda::check(number),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda(_) => Err(Error::Device {
                device: self.to_string(),
                problem: "this program was built without CUDA".into(),
                advice: "build it with `cargo install --path . --features cuda`, or use --device cpu".into(),
            }),
        }
    }
}

/// Runs `$body` with the type `$backend` and the value `$device` of the chosen device.
macro_rules! on_device {
    ($choice:expr, |$backend:ident, $device:ident| $body:expr) => {{
        let choice: $crate::pipeline::Device = $choice;
        choice.check()?;
        match choice {
            #[cfg(feature = "cuda")]
            $crate::pipeline::Device::Cuda(number) => {
                type $backend = burn::backend::Cuda;
                let $device = burn::backend::cuda::CudaDevice::new(number);
                $body
            }
            _ => {
                type $backend = burn::backend::Flex;
                let $device = burn::backend::flex::FlexDevice;
                $body
            }
        }
    }};
}
pub(crate) use on_device;
