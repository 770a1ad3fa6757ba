//! The device that a job computes on.

mod fits;
mod found;

use std::fmt;
use std::str::FromStr;

use arrayvec::ArrayString;
use serde::{Deserialize, Serialize};

use crate::error::Result;
pub(crate) use fits::ready;
pub use found::Found;

/// `cpu`; `auto`; `cuda` or `cuda:N`; `gpu`, `vulkan` or `metal`, each also with `:N` or `:NAME`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Device {
    /// The CPU.
    #[default]
    Cpu,
    /// The best card that program and machine have; the CPU where there is none.
    Auto,
    /// An NVIDIA GPU by its number.
    Cuda(usize),
    /// A card that Vulkan or Metal reaches.
    Gpu(Api, Which),
}

/// The way to a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// The one that there is: Metal on macOS, elsewhere Vulkan.
    Any,
    /// Vulkan.
    Vulkan,
    /// Metal.
    Metal,
}

/// Longest name of a card in bytes.
const NAME_MAX: usize = 64;

/// A card among those of an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// By its number among the real cards, from 0 on, the best first.
    Number(usize),
    /// By a part of its name, in any case of letters; so alone is a program that stands for a card chosen.
    Named(ArrayString<NAME_MAX>),
}

/// What a text for a device may be.
const FORMS: &str =
    "cpu, auto, cuda, cuda:N, gpu, gpu:N, or vulkan or metal with a number or a card's name behind";

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (kind, which) = match text.split_once(':') {
            Some((kind, which)) => (kind, Some(which)),
            None => (text, None),
        };
        let api = match (kind, which) {
            ("cpu", None) => return Ok(Self::Cpu),
            ("auto", None) => return Ok(Self::Auto),
            ("cuda", None) => return Ok(Self::Cuda(0)),
            ("cuda", Some(number)) => {
                return number.parse().map(Self::Cuda).map_err(|_| format!("`{number}` is no card's number"));
            }
            ("gpu", _) => Api::Any,
            ("vulkan", _) => Api::Vulkan,
            ("metal", _) => Api::Metal,
            _ => return Err(format!("expected {FORMS}")),
        };
        let which = match which {
            None => Which::Number(0),
            Some("") => return Err("expected a number or a name behind the colon".into()),
            Some(which) => match which.parse() {
                Ok(number) => Which::Number(number),
                Err(_) => Which::Named(
                    ArrayString::from(which)
                        .map_err(|_| format!("a part of a card's name has at most {NAME_MAX} letters"))?,
                ),
            },
        };
        Ok(Self::Gpu(api, which))
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
            Self::Auto => write!(f, "auto"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Gpu(api, which) => write!(f, "{api}:{which}"),
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "gpu",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
        })
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Named(name) => write!(f, "{name}"),
        }
    }
}

impl Device {
    /// Whether this program and this machine can use the device.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) naming what is missing and what to do.
    pub fn check(self) -> Result<()> {
        self.find().map(drop)
    }

    /// The device of a rank of several: on each machine ranks take cards in a row, from the one that is numbered on; of NVIDIA's as
    /// many as `CUDA_VISIBLE_DEVICES` shows, where it is set.
    #[must_use]
    pub fn of_rank(self, local_rank: usize) -> Self {
        let shown = std::env::var("CUDA_VISIBLE_DEVICES").ok().map(|list| list.split(',').count());
        match self {
            Self::Cuda(first) => Self::Cuda((first + local_rank) % shown.unwrap_or(usize::MAX)),
            Self::Gpu(api, Which::Number(first)) => Self::Gpu(api, Which::Number(first + local_rank)),
            other => other,
        }
    }

    /// The device as records name it, such as `cpu` or `vulkan:AMD Radeon RX 7900 XTX`.
    ///
    /// # Errors
    /// As [`Device::check`].
    pub fn name(self) -> Result<String> {
        Ok(self.find()?.name())
    }
}

/// Runs `$body` with the type `$backend` and the value `$device` of the chosen device.
macro_rules! on_device {
    ($choice:expr, |$backend:ident, $device:ident| $body:expr) => {{
        let choice: $crate::pipeline::Device = $choice;
        match choice.find()? {
            #[cfg(feature = "cuda")]
            $crate::pipeline::Found::Cuda(number) => {
                type $backend = burn::backend::Cuda;
                let $device = burn::backend::cuda::CudaDevice::new(number);
                $body
            }
            #[cfg(feature = "wgpu")]
            $crate::pipeline::Found::Gpu(card) => {
                type $backend = burn::backend::Wgpu;
                let $device = card.device;
                $body
            }
            $crate::pipeline::Found::Cpu => {
                type $backend = burn::backend::Flex;
                let $device = burn::backend::flex::FlexDevice;
                $body
            }
        }
    }};
}
pub(crate) use on_device;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_what_its_text_says() {
        for text in ["cpu", "auto", "cuda:0", "cuda:12", "gpu:0", "vulkan:1", "metal:0", "vulkan:llvmpipe"] {
            assert_eq!(text.parse::<Device>().unwrap().to_string(), text);
        }
        let number = |api| Device::Gpu(api, Which::Number(0));
        assert_eq!("gpu".parse(), Ok(number(Api::Any)));
        assert_eq!("metal".parse(), Ok(number(Api::Metal)));
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
        for wrong in ["", "tpu", "cpu:0", "auto:1", "cuda:x", "vulkan:", &format!("gpu:{}", "x".repeat(65))] {
            assert!(wrong.parse::<Device>().is_err(), "{wrong}");
        }
    }
}
