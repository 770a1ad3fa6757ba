//! Looking for a device: among NVIDIA's cards, and among those that Vulkan or Metal reaches.

use super::{Api, Device, Which};
use crate::error::{Error, Result};
#[cfg(feature = "wgpu")]
use crate::ops::cards::{self, Card};

/// A device that is there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Found {
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU by its number.
    #[cfg(feature = "cuda")]
    Cuda(usize),
    /// A card that Vulkan or Metal reaches.
    #[cfg(feature = "wgpu")]
    Gpu(Card),
}

impl Found {
    /// As records name it, such as `vulkan:llvmpipe (LLVM 15.0.6, 256 bits)`.
    pub fn name(&self) -> String {
        match self {
            Self::Cpu => Device::Cpu.to_string(),
            #[cfg(feature = "cuda")]
            Self::Cuda(number) => Device::Cuda(*number).to_string(),
            #[cfg(feature = "wgpu")]
            Self::Gpu(card) => format!("{}:{}", card.api, card.name),
        }
    }

    /// Bytes of the largest tensor; none without a limit of its own.
    pub fn tensor_bytes(&self) -> Option<u64> {
        match self {
            #[cfg(feature = "wgpu")]
            Self::Gpu(card) => Some(card.tensor_bytes),
            _ => None,
        }
    }

    /// Bytes of a card's memory, where they are known.
    pub fn memory_bytes(&self) -> Option<u64> {
        match self {
            #[cfg(feature = "wgpu")]
            Self::Gpu(card) => card.memory_bytes,
            _ => None,
        }
    }
}

impl Device {
    /// Looks for the device, and makes ready what all cards share.
    ///
    /// # Errors
    /// [`Error::Device`] naming what is missing and what to do.
    pub fn find(self) -> Result<Found> {
        match self {
            Self::Cpu => Ok(Found::Cpu),
            Self::Auto => {
                let found = [Self::Cuda(0), Self::Gpu(Api::Any, Which::Number(0))]
                    .into_iter()
                    .find_map(|device| device.find().ok())
                    .unwrap_or(Found::Cpu);
                tracing::info!("device auto: {}", found.name());
                Ok(found)
            }
            Self::Cuda(number) => self.nvidia(number),
            Self::Gpu(api, which) => self.card(api, which),
        }
    }

    /// That this device cannot be used.
    fn lacks(self, problem: impl Into<String>, advice: impl Into<String>) -> Error {
        Error::Device { device: self.to_string(), problem: problem.into(), advice: advice.into() }
    }

    #[cfg(feature = "cuda")]
    fn nvidia(self, number: usize) -> Result<Found> {
        crate::ops::cuda::check(number)?;
        crate::ops::cube::share_stream();
        Ok(Found::Cuda(number))
    }

    #[cfg(not(feature = "cuda"))]
    fn nvidia(self, _: usize) -> Result<Found> {
        let advice = "build it with `cargo install --path . --features cuda`, or use --device cpu";
        Err(self.lacks("this program was built without CUDA", advice))
    }

    #[cfg(not(feature = "wgpu"))]
    fn card(self, _: Api, _: Which) -> Result<Found> {
        let advice = "build it with `cargo install --path . --features wgpu`, or use --device cpu";
        Err(self.lacks("this program was built without Vulkan and Metal", advice))
    }

    #[cfg(feature = "wgpu")]
    fn card(self, api: Api, which: Which) -> Result<Found> {
        let here = cards::api();
        if api != Api::Any && api.to_string() != here {
            return Err(
                self.lacks(format!("cards are reached by {here} here"), format!("use --device {here}"))
            );
        }
        let card = choose(cards::cards(), which).map_err(|(problem, advice)| self.lacks(problem, advice))?;
        crate::ops::cube::share_stream();
        Ok(Found::Gpu(card))
    }
}

/// The card that is wanted, or what is wrong and what to do.
#[cfg(feature = "wgpu")]
fn choose(cards: Vec<Card>, which: Which) -> std::result::Result<Card, (String, String)> {
    let named =
        |cards: &[&Card]| cards.iter().map(|card| format!("`{}`", card.name)).collect::<Vec<_>>().join(", ");
    let all: Vec<&Card> = cards.iter().collect();
    if all.is_empty() {
        let advice = "install the card's driver (Debian: mesa-vulkan-drivers for AMD and Intel, NVIDIA's own for theirs), check \
                      `vulkaninfo --summary`, or use --device cpu";
        return Err((format!("no card was found by {}", cards::api()), advice.into()));
    }
    match which {
        Which::Number(number) => {
            let real: Vec<&Card> = all.iter().filter(|card| !card.software).copied().collect();
            match real.get(number) {
                Some(&card) => Ok(card.clone()),
                None if real.is_empty() => Err((
                    format!("there is no card, only {}, which is a program on the CPU", named(&all)),
                    "use --device cpu, which is faster; to try the program all the same, name it, as in --device vulkan:llvmpipe"
                        .into(),
                )),
                None => Err((
                    format!("there are {} cards: {}", real.len(), named(&real)),
                    "choose a number from 0 on, or use --device cpu".into(),
                )),
            }
        }
        Which::Named(part) => {
            let part = part.to_lowercase();
            let fitting: Vec<&Card> =
                all.iter().filter(|card| card.name.to_lowercase().contains(&part)).copied().collect();
            match fitting[..] {
                [card] => Ok(card.clone()),
                [] => Err((
                    format!("no card has `{part}` in its name; there are {}", named(&all)),
                    "choose one of them by its name or number".into(),
                )),
                _ => Err((
                    format!("several cards have `{part}` in their names: {}", named(&fitting)),
                    "choose one by its number, as `voxgan info` lists them".into(),
                )),
            }
        }
    }
}

#[cfg(all(test, feature = "wgpu"))]
mod tests {
    use burn::backend::wgpu::WgpuDevice;

    use super::*;

    fn card(name: &str, software: bool) -> Card {
        Card {
            name: name.into(),
            api: "vulkan",
            software,
            memory_bytes: Some(8 << 30),
            tensor_bytes: 2 << 30,
            float16: true,
            device: WgpuDevice::DefaultDevice,
        }
    }

    fn chosen(cards: &[Card], which: &str) -> std::result::Result<String, String> {
        let Device::Gpu(_, which) = format!("gpu:{which}").parse().unwrap() else { panic!("a card") };
        choose(cards.to_vec(), which)
            .map(|card| card.name)
            .map_err(|(problem, advice)| format!("{problem}; {advice}"))
    }

    #[test]
    fn programs_are_chosen_by_name_alone() {
        let (amd, intel) = (card("AMD Radeon RX 7900", false), card("Intel Arc A770", false));
        let program = card("llvmpipe (LLVM 15.0.6)", true);
        let all = [amd, intel, program.clone()];
        assert_eq!(chosen(&all, "1").unwrap(), "Intel Arc A770");
        assert_eq!(chosen(&all, "radeon").unwrap(), "AMD Radeon RX 7900");
        assert_eq!(chosen(&all, "llvmpipe").unwrap(), "llvmpipe (LLVM 15.0.6)");
        assert!(chosen(&all, "2").unwrap_err().contains("2 cards: `AMD"));
        assert!(chosen(&all, "a").unwrap_err().contains("several"));
        assert!(chosen(&all, "geforce").unwrap_err().contains("`Intel Arc A770`"));
        assert!(chosen(&[program], "0").unwrap_err().contains("vulkan:llvmpipe"));
        assert!(chosen(&[], "0").unwrap_err().contains("--device cpu"));
    }
}
