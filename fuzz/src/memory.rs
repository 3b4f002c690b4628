//! How much memory a piece of work takes at once.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts what each thread holds.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn took(bytes: usize) {
    // What another thread, or an earlier measurement, has taken may be given back here.
    let held = HELD.get().wrapping_add(bytes);
    HELD.set(held);
    if held < usize::MAX / 2 {
        PEAK.set(PEAK.get().max(held));
    }
}

fn gave_back(bytes: usize) {
    HELD.set(HELD.get().wrapping_sub(bytes));
}

#[expect(unsafe_code, reason = "an allocator is unsafe to write; this one hands everything on and counts")]
// SAFETY: every call goes to the system's allocator with its arguments as they came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        gave_back(layout.size());
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // While it moves, both are there.
        took(size);
        gave_back(layout.size());
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// Runs `work`, and panics if it ever holds more than four times the input and `spare` bytes.
pub(crate) fn bounded<T>(input: &[u8], spare: usize, work: impl FnOnce() -> T) -> T {
    HELD.set(0);
    PEAK.set(0);
    let value = work();
    let (peak, limit) = (PEAK.get(), 4 * input.len() + spare);
    assert!(peak <= limit, "{peak} bytes held at once for an input of {}; at most {limit}", input.len());
    value
}
