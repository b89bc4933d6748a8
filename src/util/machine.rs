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

/// Bytes that a control group may have of memory, and those that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryGroup {
    pub(crate) limit: usize,
    pub(crate) used: usize,
}

/// The group of the process that has the least limit: its own, or one above it.
#[cfg(target_os = "linux")]
pub(crate) fn memory_group() -> Option<MemoryGroup> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    tightest(&groups, std::path::Path::new("/sys/fs/cgroup"))
}

/// As lines of `/proc/self/cgroup` and the files below `root` have it. In a container the path may be that of the host, of which only
/// the root is to be seen, and is the container's own.
#[cfg(target_os = "linux")]
fn tightest(groups: &str, root: &std::path::Path) -> Option<MemoryGroup> {
    let old = root.join("memory");
    let all = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let path = path.trim_start_matches('/');
        if controllers.is_empty() {
            Some((root, root.join(path), ["memory.max", "memory.current"]))
        } else if controllers.split(',').any(|one| one == "memory") {
            let files = ["memory.limit_in_bytes", "memory.usage_in_bytes"];
            Some((&*old, old.join(path), files))
        } else {
            None
        }
    });
    let limits = all.flat_map(|(top, own, [limit, used])| {
        let within = own.ancestors().take_while(|at| at.starts_with(top));
        let read = |at: &std::path::Path| {
            let limit = bytes(&at.join(limit)).filter(|limit| *limit < 1 << 50)?;
            let used = bytes(&at.join(used))?;
            Some(MemoryGroup { limit, used })
        };
        within.filter_map(read).collect::<Vec<_>>()
    });
    limits.min_by_key(|group| group.limit)
}

/// A number as a file has it. A limit that no machine has, or `max`, is none.
#[cfg(target_os = "linux")]
fn bytes(file: &std::path::Path) -> Option<usize> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Bytes that the process's control group may have.
pub(crate) fn limit_bytes() -> Option<usize> {
    memory_group().map(|group| group.limit)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn resident_bytes() -> Option<usize> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn memory_group() -> Option<MemoryGroup> {
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

    /// A directory that is gone with the test.
    struct Scratch(std::path::PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = format!("recall-groups-{name}-{}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }

        fn write(&self, file: &str, text: &str) {
            let file = self.0.join(file);
            let made = file.parent().map(std::fs::create_dir_all);
            assert!(matches!(made, Some(Ok(()))), "{made:?}");
            std::fs::write(file, text).expect("a file in a directory of the test's own");
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn group(limit: usize, used: usize) -> MemoryGroup {
        MemoryGroup { limit, used }
    }

    #[test]
    fn the_least_limit_above_a_process_counts() {
        let root = Scratch::new("new");
        let lines = "1:cpu:/elsewhere\n0::/system.slice/shop.service\n";
        assert_eq!(tightest(lines, &root.0), None);
        root.write("system.slice/shop.service/memory.max", "max\n");
        root.write("system.slice/shop.service/memory.current", "300\n");
        assert_eq!(tightest(lines, &root.0), None, "no limit is none");
        root.write("system.slice/memory.max", "4000\n");
        root.write("system.slice/memory.current", "2000\n");
        assert_eq!(tightest(lines, &root.0), Some(group(4000, 2000)));
        root.write("system.slice/shop.service/memory.max", "1000\n");
        assert_eq!(tightest(lines, &root.0), Some(group(1000, 300)));
        // A container sees its own group at the root, by whatever path the host knows it.
        root.write("memory.max", "500\n");
        root.write("memory.current", "400\n");
        assert_eq!(tightest("0::/not/here\n", &root.0), Some(group(500, 400)));
        assert_eq!(tightest("0::/../outside\n", &root.0), Some(group(500, 400)));
    }

    #[test]
    fn older_systems_have_a_hierarchy_of_their_own_for_memory() {
        let root = Scratch::new("old");
        let lines = "4:cpuacct,memory:/jobs/7\n3:cpuset:/jobs/8\n0::/\n";
        root.write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        root.write("memory/memory.usage_in_bytes", "9000\n");
        assert_eq!(tightest(lines, &root.0), None);
        root.write("memory/jobs/7/memory.limit_in_bytes", "268435456\n");
        root.write("memory/jobs/7/memory.usage_in_bytes", "1048576\n");
        assert_eq!(
            tightest(lines, &root.0),
            Some(group(268_435_456, 1_048_576))
        );
        for odd in ["", ":", "x", "4:memory", "0:::::\n"] {
            let _ = tightest(odd, &root.0);
        }
    }
}
