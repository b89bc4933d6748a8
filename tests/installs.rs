//! Many threads install at once: one does, and no worker is left behind. A process of its own.

use metrics_recall::{Recall, mins, secs};
use std::{
    sync::{Barrier, mpsc},
    time::Duration,
};

#[test]
fn of_threads_that_install_at_once_one_does() {
    let start = Barrier::new(8);
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    let builder = Recall::builder().resolution(secs(60));
                    builder.retention(mins(10)).install()
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(error.is_installed(), "{error}");
    }
    metrics::counter!("n").increment(1);
    let recall = Recall::global().unwrap();
    assert_eq!(recall.counters("n").total(), Some(1));
    #[cfg(target_os = "linux")]
    {
        let workers = || {
            let tasks = std::fs::read_dir("/proc/self/task").unwrap();
            let names =
                tasks.filter_map(|t| std::fs::read_to_string(t.ok()?.path().join("comm")).ok());
            names.filter(|name| name.trim() == "recall-tick").count()
        };
        // A new thread takes its name itself.
        let (_never, wakes) = mpsc::channel::<()>();
        for _ in 0..30_000 {
            if workers() > 0 {
                break;
            }
            let _ = wakes.recv_timeout(Duration::from_millis(1));
        }
        assert_eq!(workers(), 1);
    }
    recall.shutdown();
}
