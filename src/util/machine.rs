//! What the system says of this process's memory. Linux only; elsewhere nothing is known.

/// Bytes of the machine's memory that the process has.
#[cfg(target_os = "linux")]
pub(crate) fn resident_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// Bytes that the process's control group may have: the least of its own limit and those above it.
#[cfg(target_os = "linux")]
pub(crate) fn limit_bytes() -> Option<usize> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let unified = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let limits = unified.into_iter().flat_map(|path| {
        let root = std::path::Path::new("/sys/fs/cgroup");
        let own = root.join(path.trim_start_matches('/'));
        let above: Vec<_> = own
            .ancestors()
            .take_while(|at| at.starts_with(root))
            .collect();
        let read = |at: &&std::path::Path| limit(&at.join("memory.max"));
        above.iter().filter_map(read).collect::<Vec<_>>()
    });
    let old = limit(std::path::Path::new(
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ));
    limits.chain(old).min()
}

/// A limit as a file has it. What no machine has is none.
#[cfg(target_os = "linux")]
fn limit(file: &std::path::Path) -> Option<usize> {
    let text = std::fs::read_to_string(file).ok()?;
    let bytes: usize = text.trim().parse().ok()?;
    (bytes < 1 << 50).then_some(bytes)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn resident_bytes() -> Option<usize> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn limit_bytes() -> Option<usize> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_some_memory() {
        let rss = resident_bytes().unwrap();
        assert!((1 << 20..1 << 40).contains(&rss), "{rss}");
    }

    #[test]
    fn a_limit_is_a_number_and_no_limit_is_none() {
        let file = std::env::temp_dir().join(format!("recall-limit-{}", std::process::id()));
        for (text, expected) in [
            ("268435456\n", Some(268_435_456)),
            ("max\n", None),
            ("9223372036854771712\n", None),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(limit(&file), expected);
        }
        std::fs::remove_file(&file).unwrap();
        assert_eq!(limit(&file), None);
    }
}
