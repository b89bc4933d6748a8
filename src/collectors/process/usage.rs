//! What every Unix tells of a process: `getrusage`, `getrlimit`, `sysconf`.
//!
//! No crate of ours has these without `unsafe`: `rustix` has no `getrusage`, and reading context switches from `/proc`
//! would be a file for each thread, with those of threads that are gone lost. Each function below is one call that
//! writes into a value of its own, which lives on the stack, and is read only if the call says that it did.
#![expect(unsafe_code, reason = "three calls of the system, each argued below")]

use super::Process;
use std::{mem::MaybeUninit, time::Duration};

pub(super) fn read(to: &mut Process) {
    if let Some(usage) = usage() {
        to.cpu = Some(time(usage.ru_utime) + time(usage.ru_stime));
        to.minor_faults = u64::try_from(usage.ru_minflt).ok();
        to.major_faults = u64::try_from(usage.ru_majflt).ok();
        to.voluntary_switches = u64::try_from(usage.ru_nvcsw).ok();
        to.involuntary_switches = u64::try_from(usage.ru_nivcsw).ok();
    }
    to.max_fds = max_fds();
}

fn time(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

fn usage() -> Option<libc::rusage> {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the pointer is to a whole `rusage` that this function owns; the call writes to nothing else.
    let result = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    // SAFETY: zero says that the call has filled all of it.
    (result == 0).then(|| unsafe { usage.assume_init() })
}

fn max_fds() -> Option<u64> {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: the pointer is to a whole `rlimit` that this function owns; the call writes to nothing else.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, limit.as_mut_ptr()) };
    // SAFETY: zero says that the call has filled all of it.
    let limit = (result == 0).then(|| unsafe { limit.assume_init() })?;
    #[cfg_attr(
        any(target_os = "linux", target_os = "macos"),
        expect(clippy::useless_conversion, reason = "signed on some systems")
    )]
    let soft = u64::try_from(limit.rlim_cur).ok();
    soft.filter(|_| limit.rlim_cur != libc::RLIM_INFINITY)
}

/// A number of the system that does not change while it runs.
#[cfg(target_os = "linux")]
pub(super) fn constant(name: libc::c_int) -> Option<u64> {
    // SAFETY: takes and gives numbers only.
    let value = unsafe { libc::sysconf(name) };
    u64::try_from(value).ok().filter(|value| *value > 0)
}
