//! Credentials that run out while a watch goes on: tokens of pods live for an hour, those of a login for minutes.
//!
//! Input: an answer 401. Output: a client with what the kubeconfig, its files and its plugin say now. Context and server stay
//! what they were: a kubeconfig that leads elsewhere by now is no reason to show another cluster.

use crate::access::{Access, Timeouts};
use crate::config::{Asking, build, configuration};
use crate::error::{AccessError, Place};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two renewals: a plugin must not be run without end for an account that is gone.
const PAUSE: Duration = Duration::from_secs(10);

/// The client of now, and how often it was made anew.
pub(crate) struct Current(Mutex<(kube::Client, u64)>);

impl Current {
    pub(crate) fn new(kube: kube::Client) -> Self {
        Self(Mutex::new((kube, 0)))
    }

    /// A handle; all of them share connections.
    pub(crate) fn client(&self) -> kube::Client {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Counts renewals.
    pub(crate) fn generation(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn replace(&self, kube: kube::Client) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *current = (kube, current.1 + 1);
    }
}

/// How to get credentials again.
pub(crate) struct Renewal {
    access: Access,
    place: Place,
    /// When it was last tried. Held while it is tried, so that many requests that fail at one moment renew once.
    last: tokio::sync::Mutex<Option<Instant>>,
}

impl Renewal {
    pub(crate) fn new(access: &Access, place: &Place) -> Self {
        let mut access = access.clone();
        if !place.files.is_empty() {
            // Whoever changes the current context meanwhile means other commands.
            access.context = Some(place.context.clone());
        }
        Self { access, place: place.clone(), last: tokio::sync::Mutex::new(None) }
    }

    /// Makes a client with credentials of now; nothing to do if that has been done since the client of `generation`.
    ///
    /// # Errors
    /// There are none to be had, or they were had a moment ago.
    pub(crate) async fn renew(
        &self,
        current: &Current,
        generation: u64,
        timeouts: Timeouts,
    ) -> Result<(), AccessError> {
        let mut last = self.last.lock().await;
        if current.generation() != generation {
            return Ok(());
        }
        let refused = || AccessError::Unauthorized { place: self.place.clone() };
        if last.is_some_and(|at| at.elapsed() < PAUSE) {
            return Err(refused());
        }
        *last = Some(Instant::now());
        let access = self.access.clone();
        // Plugins and files may keep a thread for a while; each has its bound.
        let found = tokio::task::spawn_blocking(move || configuration(&access, Asking::Never)).await;
        let (config, place) = found.map_err(|e| AccessError::Host { why: e.to_string() })??;
        if place.server != self.place.server {
            return Err(refused());
        }
        current.replace(build(config, &place, timeouts)?);
        Ok(())
    }
}
