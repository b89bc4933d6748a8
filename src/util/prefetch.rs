//! Asks for memory before it is read, where it is known long ahead what will be.
//!
//! Unsafe code on the way of ticks and exposition, for no more than an instruction. Loads would do, too: but a load that has to
//! wait keeps the processor from what comes some hundred instructions after it, and a hint does not. `DESIGN.md` has what it is
//! worth.
#![allow(
    unsafe_code,
    reason = "the instruction has no safe name in the standard library; no `expect`, as models and other processors have none of it"
)]

use std::ptr;

/// Bytes that come together.
const LINE: usize = 64;

/// Has all lines of a value brought near, without waiting for them. Hints: nothing but time depends on them. On processors
/// that are not named here they do nothing.
#[inline(always)]
pub(crate) fn prefetch<T: ?Sized>(value: &T) {
    let first = ptr::from_ref(value).cast::<u8>();
    let size = size_of_val(value);
    for offset in (0..size).step_by(LINE) {
        hint(first.wrapping_add(offset));
    }
    // A word that lies where words do is on one line; whatever else may reach into one more.
    if size > align_of_val(value) {
        hint(first.wrapping_add(size - 1));
    }
}

#[inline(always)]
fn hint(at: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(any(miri, loom))))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86_64 has the instruction. It changes nothing that a program can see, and no address is wrong for it;
        // this one is even in a value.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
    #[cfg(all(
        target_arch = "aarch64",
        target_pointer_width = "64",
        not(any(miri, loom))
    ))]
    {
        // SAFETY: as above; no register, flag, stack or memory is read or written, as far as a program can tell.
        unsafe {
            std::arch::asm!(
                "prfm pldl1keep, [{at}]",
                at = in(reg) at.addr(),
                options(nomem, nostack, preserves_flags),
            );
        }
    }
    // Where there is none.
    let _ = at;
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn hints_leave_what_they_point_at_as_it_was() {
        let values: Vec<u64> = (0..100).collect();
        prefetch(&values);
        prefetch(&*values);
        prefetch::<[u64]>(&[]);
        prefetch(&());
        values.iter().for_each(prefetch);
        assert!(values.iter().copied().eq(0..100));
    }
}
