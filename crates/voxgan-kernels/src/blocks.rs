//! An allocator that reuses the memory of volumes for the next volume of the same size.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
///
/// A process that was forked has the system's allocator: whoever held the cache at that moment may not live on there.
#[derive(Debug)]
pub struct Blocks {
    waiting: Mutex<Waiting>,
    /// The process that uses it; none yet if 0.
    process: AtomicU32,
}

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
        let waiting = Mutex::new(Waiting { blocks, count: 0, waiting: 0, used: 0, most: 0 });
        Self { waiting, process: AtomicU32::new(0) }
    }

    /// The cache; none in a process that was forked from the one that uses it.
    fn waiting(&self) -> Option<MutexGuard<'_, Waiting>> {
        let this = std::process::id();
        match self.process.compare_exchange(0, this, Ordering::Relaxed, Ordering::Relaxed) {
            Err(first) if first != this => None,
            _ => Some(self.waiting.lock().unwrap_or_else(PoisonError::into_inner)),
        }
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
            // SAFETY: the block came from the system with this size and is in no one's hands.
            unsafe { unmap(address as *mut u8, size) }
        }
    }
}

/// A block of the system: mapped by itself, so that one given back leaves the process. (The GNU allocator cuts volumes out of a
/// heap that only grows once it has seen a few freed.) Null if there is no memory.
#[cfg(unix)]
fn map(size: usize) -> *mut u8 {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping touches none that there is.
    let block = unsafe { libc::mmap(std::ptr::null_mut(), size, access, kind, -1, 0) };
    if block == libc::MAP_FAILED { std::ptr::null_mut() } else { block.cast() }
}

/// Gives a block back.
///
/// # Safety
/// The block came from [`map`] with this size, and is in no one's hands.
#[cfg(unix)]
unsafe fn unmap(address: *mut u8, size: usize) {
    // SAFETY: a whole mapping that the caller vouches for.
    unsafe { libc::munmap(address.cast(), size) };
}

/// A block of the system. Null if there is no memory.
#[cfg(not(unix))]
fn map(size: usize) -> *mut u8 {
    // SAFETY: the size is not zero.
    unsafe { System.alloc(class(size)) }
}

/// Gives a block back.
///
/// # Safety
/// The block came from [`map`] with this size, and is in no one's hands.
#[cfg(not(unix))]
unsafe fn unmap(address: *mut u8, size: usize) {
    // SAFETY: the caller vouches for it.
    unsafe { System.dealloc(address, class(size)) }
}

/// The layout of a block of a size that was rounded.
#[cfg(not(unix))]
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
        let Some(mut waiting) = self.waiting() else { return map(size) };
        let kept = waiting.take(size);
        if kept.is_none() {
            waiting.make_room(size);
        }
        let block = match kept {
            Some(address) => address as *mut u8,
            None => map(size),
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
        let Some(mut waiting) = self.waiting() else {
            // SAFETY: the block came from the system with this size and is in no one's hands.
            return unsafe { unmap(address, size) };
        };
        waiting.used -= size;
        if waiting.count == SLOTS {
            let (size, oldest) = (waiting.blocks[0].1, waiting.remove(0));
            // SAFETY: the block came from the system with this size and is in no one's hands.
            unsafe { unmap(oldest as *mut u8, size) }
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
            let waiting = blocks.waiting.lock().unwrap();
            let sizes = held.iter().map(|(_, layout)| rounded(*layout).unwrap()).sum::<usize>();
            assert_eq!(waiting.used, sizes);
            assert!(waiting.used + waiting.waiting <= waiting.most + spare(waiting.most));
        }
        // SAFETY: as above.
        held.into_iter().for_each(|(block, layout)| unsafe { blocks.dealloc(block, layout) });
    }

    #[test]
    #[cfg(unix)]
    fn a_forked_process_allocates_while_the_cache_is_held() {
        let blocks = Blocks::new();
        // SAFETY: the size is not zero; the block is freed once in each process. The child makes system calls alone.
        unsafe {
            let block = blocks.alloc(layout(LARGE));
            let held = blocks.waiting.lock().unwrap();
            let child = libc::fork();
            if child == 0 {
                let other = blocks.alloc(layout(LARGE));
                other.write_bytes(1, LARGE);
                blocks.dealloc(other, layout(LARGE));
                blocks.dealloc(block, layout(LARGE));
                libc::_exit(7);
            }
            let mut status = 0;
            let ended = (0..500).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(10));
                libc::waitpid(child, &mut status, libc::WNOHANG) == child
            });
            if !ended {
                libc::kill(child, libc::SIGKILL);
                libc::waitpid(child, &mut status, 0);
            }
            assert!(ended && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7, "{status}");
            drop(held);
            blocks.dealloc(block, layout(LARGE));
        }
    }

    #[test]
    fn small_and_strictly_aligned_requests_are_the_systems() {
        assert_eq!(rounded(layout(LARGE - 1)), None);
        assert_eq!(rounded(Layout::from_size_align(LARGE, 128).unwrap()), None);
        assert_eq!(rounded(layout(LARGE)), Some(LARGE));
        assert_eq!(rounded(layout(LARGE + 1)), Some(LARGE + LARGE / 8));
    }
}
