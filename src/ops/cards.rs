//! The graphics cards that Vulkan (on macOS, Metal) reaches, with their memory and limits.

#![allow(unsafe_code)] // A card's memory is read from the driver's own description: wgpu does not tell it.

use burn::backend::wgpu::WgpuDevice;
use burn::backend::wgpu::graphics::{AutoGraphicsApi, GraphicsApi};
use futures_lite::future::block_on;
use wgpu::{Adapter, Backend, DeviceType, Features, Instance, InstanceDescriptor};

/// A graphics card, or a program that stands for one.
#[derive(Clone, Debug)]
pub struct Card {
    /// As the driver tells it.
    pub name: String,
    /// `vulkan` or `metal`.
    pub api: &'static str,
    /// Whether it is a program on the CPU.
    pub software: bool,
    /// Its memory; none where the driver does not tell it.
    pub memory_bytes: Option<u64>,
    /// The largest tensor.
    pub tensor_bytes: u64,
    /// Whether it computes in float16.
    pub float16: bool,
    /// How burn knows it.
    pub device: WgpuDevice,
}

/// The API through which this program reaches cards: `vulkan` or `metal`.
pub fn api() -> &'static str {
    match AutoGraphicsApi::backend() {
        Backend::Metal => "metal",
        _ => "vulkan",
    }
}

/// All of them, the best first: cards of their own, those in a processor, virtual ones, then programs.
pub fn cards() -> Vec<Card> {
    let backend = AutoGraphicsApi::backend();
    let description =
        InstanceDescriptor { backends: backend.into(), ..InstanceDescriptor::new_without_display_handle() };
    let adapters = block_on(Instance::new(description).enumerate_adapters(backend.into()));
    let of = |kind: DeviceType| {
        adapters.iter().filter(move |adapter| adapter.get_info().device_type == kind).enumerate()
    };
    let cards = of(DeviceType::DiscreteGpu).map(|(n, it)| card(it, WgpuDevice::DiscreteGpu(n)));
    let cards =
        cards.chain(of(DeviceType::IntegratedGpu).map(|(n, it)| card(it, WgpuDevice::IntegratedGpu(n))));
    let cards = cards.chain(of(DeviceType::VirtualGpu).map(|(n, it)| card(it, WgpuDevice::VirtualGpu(n))));
    // burn knows the first alone.
    cards.chain(of(DeviceType::Cpu).take(1).map(|(_, it)| card(it, WgpuDevice::Cpu))).collect()
}

fn card(adapter: &Adapter, device: WgpuDevice) -> Card {
    let limits = adapter.limits();
    Card {
        name: adapter.get_info().name,
        api: api(),
        software: device == WgpuDevice::Cpu,
        memory_bytes: memory(adapter),
        tensor_bytes: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
        float16: adapter.features().contains(Features::SHADER_F16),
        device,
    }
}

/// The largest heap of a card's own memory.
#[cfg(not(target_os = "macos"))]
fn memory(adapter: &Adapter) -> Option<u64> {
    // Bit 0 of a heap's flags, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT.
    const DEVICE_LOCAL: u32 = 1;
    // SAFETY: nothing is destroyed: the instance is asked for the description of one of its cards, while both live.
    let heaps = unsafe {
        let card = adapter.as_hal::<wgpu::hal::api::Vulkan>()?;
        let instance = card.shared_instance().raw_instance();
        instance.get_physical_device_memory_properties(card.raw_physical_device())
    };
    let heaps = heaps.memory_heaps.iter().take(heaps.memory_heap_count as usize);
    heaps.filter(|heap| heap.flags.as_raw() & DEVICE_LOCAL != 0).map(|heap| heap.size).max()
}

/// Metal shares the machine's memory.
#[cfg(target_os = "macos")]
fn memory(_: &Adapter) -> Option<u64> {
    None
}
