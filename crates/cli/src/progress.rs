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
        Self {
            sender: Some(sender),
            thread: Some(std::thread::spawn(move || draw(&receiver, job, PATIENCE, &mut std::io::stderr()))),
        }
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

fn draw(receiver: &Receiver<String>, mut job: String, patience: Duration, out: &mut impl Write) {
    let begun = Instant::now();
    let mut next = patience;
    let mut drawn = false;
    let mut line = |text: &str| {
        let _ = write!(out, "\r\x1b[2K{text}");
        let _ = out.flush();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(patience: Duration, lasts: Duration) -> String {
        let (sender, receiver) = channel();
        let ends = std::thread::spawn(move || {
            sender.send("reading a\u{1b}b".to_owned()).unwrap();
            std::thread::sleep(lasts);
        });
        let mut out = Vec::new();
        draw(&receiver, "connecting".to_owned(), patience, &mut out);
        ends.join().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_short_job_draws_nothing_and_a_long_one_cleans_up() {
        assert_eq!(drawn(Duration::from_secs(60), Duration::ZERO), "");
        let text = drawn(Duration::from_millis(20), Duration::from_millis(100));
        assert!(text.starts_with("\r\x1b[2Kreading a\\u{1b}b … 0s"), "{text:?}");
        assert!(text.ends_with("\r\x1b[2K"), "{text:?}");
    }
}
