//! One line on standard error while a job lasts over a second. Drawn by a thread of its own, straight to the process's
//! standard error and only if that is a terminal, so that long computations need no hooks.

use std::io::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Nothing is drawn before this.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two drawings.
const BEAT: Duration = Duration::from_millis(200);

/// A running job. The line disappears when this is dropped.
pub struct Progress {
    sender: Option<Sender<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts to watch a job, such as `reading`.
    pub fn start(shown: bool, job: &str) -> Self {
        if !shown {
            return Self { sender: None, thread: None };
        }
        let (sender, receiver) = channel();
        let job = job.to_owned();
        Self { sender: Some(sender), thread: Some(std::thread::spawn(move || draw(&receiver, job))) }
    }

    /// Says what the job is at.
    pub fn at(&self, what: impl FnOnce() -> String) {
        if let Some(sender) = &self.sender {
            // The thread only ends after the sender.
            let _ = sender.send(what());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn draw(receiver: &Receiver<String>, mut job: String) {
    let begun = Instant::now();
    let mut next = PATIENCE;
    let mut drawn = false;
    let line = |text: &str| {
        let _ = write!(std::io::stderr(), "\r\x1b[2K{text}");
        let _ = std::io::stderr().flush();
    };
    loop {
        match receiver.recv_timeout(next.saturating_sub(begun.elapsed())) {
            Ok(what) => job = what,
            Err(RecvTimeoutError::Timeout) => {
                line(&format!("{} … {}s", crate::text::clean(&job), begun.elapsed().as_secs()));
                drawn = true;
                next = begun.elapsed() + BEAT;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    if drawn {
        line("");
    }
}
