//! Notices that files changed: by looking, several times a second.
//!
//! Looking works everywhere (network file systems, bind mounts, the swapped links of a ConfigMap, editors that write beside
//! and rename, directories that go and come back), and needs no memory of what was watched. A look costs a listing and one
//! `stat` per file; the pause grows with it, so that large trees do not keep a processor busy.

use signal_hook::consts::{SIGINT, SIGTERM};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};
use watertight_ingest::{Limits, source};

/// Between two looks, at least.
const PAUSE: Duration = Duration::from_millis(200);
/// A look may take this part of the time.
const SHARE: u32 = 20;
/// Nothing changes for so long before files are read: a burst of saves is one change.
const SETTLED: Duration = Duration::from_millis(120);
/// Files that never settle are read anyway after this time.
const UNSETTLED: Duration = Duration::from_secs(2);
/// How long a signal may wait.
const SLICE: Duration = Duration::from_millis(50);

/// Watches files until it is told to stop.
pub struct Watching {
    paths: Vec<PathBuf>,
    last: Stamp,
    stop: Arc<AtomicBool>,
    cost: Duration,
}

/// What a look sees: files by name with what tells one content from another, and what cannot be listed.
#[derive(PartialEq, Eq)]
struct Stamp {
    files: Vec<(String, Option<Mark>)>,
    errors: Vec<String>,
}

/// Length, time of writing, and, where there is one, the number of the file and the time of its last change of any kind.
type Mark = (u64, Option<SystemTime>, Option<(u64, i64, i64)>);

impl Watching {
    /// Begins with files as they are. SIGINT and SIGTERM stop it from here on.
    ///
    /// # Errors
    /// The process does not get to handle signals.
    pub fn start(paths: Vec<PathBuf>) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, stop.clone())?;
        }
        let begun = Instant::now();
        let last = Stamp::of(&paths);
        Ok(Self { paths, last, stop, cost: begun.elapsed() })
    }

    /// Waits until something changed and has settled. `false`: it was told to stop.
    pub fn wait(&mut self) -> bool {
        loop {
            if !self.sleep(PAUSE.max(self.cost * SHARE)) {
                return false;
            }
            let mut now = self.look();
            if now == self.last {
                continue;
            }
            let begun = Instant::now();
            loop {
                if !self.sleep(SETTLED) {
                    return false;
                }
                let again = self.look();
                let settled = again == now;
                now = again;
                if settled || begun.elapsed() > UNSETTLED {
                    break;
                }
            }
            // Back to what it was, as after a save by way of a second file: nothing to read.
            if now != self.last {
                self.last = now;
                return true;
            }
        }
    }

    fn look(&mut self) -> Stamp {
        let begun = Instant::now();
        let stamp = Stamp::of(&self.paths);
        self.cost = begun.elapsed();
        stamp
    }

    fn sleep(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return false;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(SLICE));
        }
    }
}

impl Stamp {
    fn of(paths: &[PathBuf]) -> Self {
        let found = source::find(paths, &Limits::default());
        let mark = |place: &source::Place| {
            let meta = place.path.as_ref().and_then(|path| std::fs::metadata(path).ok());
            meta.map(|meta| (meta.len(), meta.modified().ok(), inode(&meta)))
        };
        Self {
            files: found.places.iter().map(|place| (place.name.clone(), mark(place))).collect(),
            errors: found.errors.iter().map(ToString::to_string).collect(),
        }
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
fn inode(meta: &std::fs::Metadata) -> Option<(u64, i64, i64)> {
    use std::os::unix::fs::MetadataExt;
    Some((meta.ino(), meta.ctime(), meta.ctime_nsec()))
}

#[cfg(not(unix))]
fn inode(_: &std::fs::Metadata) -> Option<(u64, i64, i64)> {
    None
}
