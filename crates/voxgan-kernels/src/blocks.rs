//! An allocator that reuses the memory of volumes for the next volume of the same size.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::{Mutex, PoisonError};

/// Smaller requests go to the system as they are.
const LARGE: usize = 1 << 18;
/// Blocks begin at a cache line, so that no vector of sixteen floats lies across two.
const ALIGN: usize = 64;
/// Sizes are rounded up to an eighth of a power of two, so that nearly equal ones can take each other's place.
const STEPS: usize = 8;
/// So much may wait even where blocks of other sizes are asked for, so that a network's blocks of all sizes find room.
const SPARE: usize = 96 << 20;
/// Blocks that can wait for reuse at once.
const SLOTS: usize = 512;

/// The system's allocator with a cache of freed blocks of 256 KiB and more for the next request of their size.
///
/// A network's volumes are of few sizes and short-lived. Systems map memory of that size page by page, zeroed, and
/// unmap it when it is freed: at 64³ that is nearly half of a generator's time. Cached and used blocks together do not
/// exceed the largest use so far by more than 96 MiB, or a sixteenth of it if that is more. Programs install it by
///
/// ```
/// #[global_allocator]
/// static BLOCKS: voxgan_kernels::Blocks = voxgan_kernels::Blocks::new();
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Blocks(Mutex<Waiting>);

#[derive(Debug)]
struct Waiting {
    /// Address and size, in the order in which they were freed.
    blocks: [(usize, usize); SLOTS],
    count: usize,
    /// Bytes that wait, that are in use, and that were in use at most.
    waiting: usize,
    used: usize,
    most: usize,
}

impl Blocks {
    /// An allocator with an empty cache.
    pub const fn new() -> Self {
        let blocks = [(0, 0); SLOTS];
        Self(Mutex::new(Waiting { blocks, count: 0, waiting: 0, used: 0, most: 0 }))
    }
}

impl Default for Blocks {
    fn default() -> Self {
        Self::new()
    }
}

/// How much more than was in use at most may be held: as much again of little, a sixteenth of much.
fn spare(most: usize) -> usize {
    (most / 16).max(most.min(SPARE))
}

impl Waiting {
    /// The block freed last that has this size.
    fn take(&mut self, size: usize) -> Option<usize> {
        let at = self.blocks[..self.count].iter().rposition(|(_, other)| *other == size)?;
        Some(self.remove(at))
    }

    /// Takes out block number `at`.
    fn remove(&mut self, at: usize) -> usize {
        let (address, size) = self.blocks[at];
        self.blocks.copy_within(at + 1..self.count, at);
        self.count -= 1;
        self.waiting -= size;
        address
    }

    /// Gives blocks back to the system, longest waiting first, until there is room for `size` more bytes.
    fn make_room(&mut self, size: usize) {
        let most = self.most.max(self.used + size);
        let allowed = most + spare(most);
        while self.count > 0 && self.used + self.waiting + size > allowed {
            let size = self.blocks[0].1;
            let address = self.remove(0);
            // SAFETY: the block came from the system with this layout and is in no one's hands.
            unsafe { System.dealloc(address as *mut u8, class(size)) }
        }
    }
}

/// Has the system map each large block by itself, so that one given back leaves the process. (The GNU allocator raises
/// its threshold as blocks are freed, and then cuts volumes out of a heap that only grows.)
fn map_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        static DONE: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
        if !DONE.swap(true, std::sync::atomic::Ordering::Relaxed) {
            // SAFETY: mallopt takes two numbers and changes no block that is in use.
            unsafe {
                libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE as libc::c_int);
                libc::mallopt(libc::M_TRIM_THRESHOLD, (64 * LARGE) as libc::c_int);
            }
        }
    }
}

/// The layout of a block of a size that was rounded.
fn class(size: usize) -> Layout {
    Layout::from_size_align(size, ALIGN).expect("sizes that were requested before")
}

/// The size to which a large request is rounded; none if it is not for us.
fn rounded(layout: Layout) -> Option<usize> {
    if layout.size() < LARGE || layout.align() > ALIGN {
        return None;
    }
    let step = layout.size().next_power_of_two() / (2 * STEPS);
    layout.size().checked_next_multiple_of(step).filter(|size| *size <= isize::MAX as usize / 2)
}

// SAFETY: a block is handed out to one owner at a time, with the size of its class, which depends on the layout alone and
// is at least what was asked for; everything else is the system's.
unsafe impl GlobalAlloc for Blocks {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(size) = rounded(layout) else {
            // SAFETY: the caller vouches for the layout.
            return unsafe { System.alloc(layout) };
        };
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = waiting.take(size);
        if kept.is_none() {
            waiting.make_room(size);
        }
        let block = match kept {
            Some(address) => address as *mut u8,
            None => {
                map_large_blocks();
                // SAFETY: the size is not zero.
                unsafe { System.alloc(class(size)) }
            }
        };
        if !block.is_null() {
            waiting.used += size;
            waiting.most = waiting.most.max(waiting.used);
        }
        block
    }

    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        let Some(size) = rounded(layout) else {
            // SAFETY: the caller vouches for address and layout.
            return unsafe { System.dealloc(address, layout) };
        };
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.used -= size;
        if waiting.count == SLOTS {
            let (size, oldest) = (waiting.blocks[0].1, waiting.remove(0));
            // SAFETY: the block came from the system with this layout and is in no one's hands.
            unsafe { System.dealloc(oldest as *mut u8, class(size)) }
        }
        let at = waiting.count;
        waiting.blocks[at] = (address as usize, size);
        waiting.count += 1;
        waiting.waiting += size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 4).unwrap()
    }

    #[test]
    fn a_freed_block_is_the_next_of_its_size_and_lies_at_a_cache_line() {
        let blocks = Blocks::new();
        for size in [LARGE, LARGE + 4, 17_825_792] {
            // SAFETY: the sizes are not zero; every block is freed once with its layout.
            unsafe {
                let a = blocks.alloc(layout(size));
                let b = blocks.alloc(layout(size));
                assert!((a as usize).is_multiple_of(ALIGN) && a != b);
                a.write_bytes(7, size);
                blocks.dealloc(a, layout(size));
                let c = blocks.alloc(layout(size));
                assert_eq!(a, c);
                blocks.dealloc(b, layout(size));
                blocks.dealloc(c, layout(size));
            }
        }
    }

    #[test]
    fn what_waits_and_what_is_used_stay_within_the_most_that_was_used() {
        let blocks = Blocks::new();
        let mut held: Vec<(*mut u8, Layout)> = Vec::new();
        let mut state = 1u64;
        for _ in 0..4000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = (state >> 33) as usize;
            // SAFETY: as above.
            unsafe {
                if held.len() < 20 && !number.is_multiple_of(3) {
                    let layout = layout(LARGE + number % 5 * 300_000);
                    let block = blocks.alloc(layout);
                    block.write(1);
                    block.add(layout.size() - 1).write(1);
                    held.push((block, layout));
                } else if !held.is_empty() {
                    let (block, layout) = held.swap_remove(number % held.len());
                    blocks.dealloc(block, layout);
                }
            }
            let waiting = blocks.0.lock().unwrap();
            let sizes = held.iter().map(|(_, layout)| rounded(*layout).unwrap()).sum::<usize>();
            assert_eq!(waiting.used, sizes);
            assert!(waiting.used + waiting.waiting <= waiting.most + spare(waiting.most));
        }
        // SAFETY: as above.
        held.into_iter().for_each(|(block, layout)| unsafe { blocks.dealloc(block, layout) });
    }

    #[test]
    fn small_and_strictly_aligned_requests_are_the_systems() {
        assert_eq!(rounded(layout(LARGE - 1)), None);
        assert_eq!(rounded(Layout::from_size_align(LARGE, 128).unwrap()), None);
        assert_eq!(rounded(layout(LARGE)), Some(LARGE));
        assert_eq!(rounded(layout(LARGE + 1)), Some(LARGE + LARGE / 8));
    }
}
