//! The allocator's one knob: giving memory back.
//!
//! Knows nothing of who used it. The binary's allocator keeps freed memory for a while, which is right while serving
//! and wrong after the start, when what loading needed will not be needed again.

/// Gives memory that was freed back to the operating system. Does nothing where another allocator is used.
pub fn give_back() {
    #[expect(unsafe_code, reason = "a call into the allocator that takes and gives no pointer")]
    // SAFETY: `mi_collect` may be called at any time from any thread; it touches the allocator's own free lists only.
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
}
