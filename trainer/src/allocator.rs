//! How the C library's allocator treats the buffers of tensors.

/// Lets glibc keep what a tensor has freed for the next one. By default it gives every large buffer back to the system, which then
/// clears each page again: a third of an image encoder's time on a CPU. Buffers above 32 MiB, weights mostly, still go back at once.
///
/// Call it before threads start. Elsewhere than on Linux with glibc it does nothing.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (parameter, bytes) in
        [(libc::M_MMAP_THRESHOLD, 32 << 20), (libc::M_TRIM_THRESHOLD, 256 << 20), (libc::M_TOP_PAD, 16 << 20)]
    {
        // SAFETY: mallopt takes two integers, and no other thread allocates yet. A value that it refuses changes nothing.
        unsafe { libc::mallopt(parameter, bytes) };
    }
}
