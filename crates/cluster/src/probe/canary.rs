//! The experiment: what is created in which order, and what follows from what is seen.

use super::objects::{self, PORT};
use super::{NAMESPACE, ProbeOptions};
use crate::client::{Answer, Client};
use crate::error::AccessError;
use crate::words::one_line;
use http::Method;
use serde_json::Value;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Between two looks at an object that should change.
const LOOK: Duration = Duration::from_millis(250);
/// A policy that is not in force after this is taken not to be enforced. Slow plugins take seconds.
const IN_FORCE: Duration = Duration::from_secs(20);
/// Connections tried before and after the policy until one succeeds: a server may be slower to listen than to run.
const TRIES: u32 = 5;
/// A pod that does not run after this will not run.
const TO_RUN: Duration = Duration::from_secs(60);
/// The namespace of an earlier run, or of this one, is gone after this or not at all.
const TO_GO: Duration = Duration::from_secs(90);
const POLICY: &str = "deny";
const SERVER: &str = "server";

/// What the experiment showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Open, then closed under the policy, then open again.
    Enforced { how: String, after: Duration },
    /// Open before and under the policy.
    NotEnforced { attempts: u32, during: Duration },
    /// Closed before the policy.
    NeverOpen { how: String },
    /// Closed under the policy, and after it.
    StaysClosed { how: String },
}

/// Why there is no finding.
#[derive(Debug)]
pub(super) enum Trouble {
    Access(AccessError),
    /// The server would not do something.
    Refused {
        what: String,
        why: String,
        forbidden: bool,
    },
    /// The namespace is somebody else's.
    NotOurs,
    /// A pod does not come to run.
    Stuck {
        pod: String,
        why: String,
        image: bool,
    },
    /// The namespace vanished under us.
    Gone,
    TooLong(Duration),
    Interrupted(&'static str),
}

impl From<AccessError> for Trouble {
    fn from(error: AccessError) -> Self {
        Trouble::Access(error)
    }
}

/// How one connection ended.
enum Attempt {
    Open,
    /// In the words of the client: `TIMEOUT`, `REFUSED`.
    Closed(String),
}

pub(super) struct Canary<'a> {
    client: &'a Client,
    options: &'a ProbeOptions,
    /// Marks what this run made.
    run: String,
    /// The namespace may exist.
    created: bool,
    attempts: u32,
}

impl<'a> Canary<'a> {
    pub(super) fn new(client: &'a Client, options: &'a ProbeOptions) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let run = format!("{}-{}", std::process::id(), now.as_nanos());
        Self { client, options, run, created: false, attempts: 0 }
    }

    /// Makes the namespace, after removing that of an earlier run.
    pub(super) async fn settle(&mut self, say: &mut dyn FnMut(&str)) -> Result<(), Trouble> {
        let make = objects::namespace(&self.run);
        // A second 409 is another probe that was faster.
        for _ in 0..2 {
            self.created = true;
            let answer = self.client.send(&Method::POST, objects::NAMESPACES, &make).await?;
            match answer.status {
                200 | 201 => {
                    say(&format!("probe: created namespace `{NAMESPACE}`"));
                    return Ok(());
                }
                409 => {}
                _ => {
                    // A refusal: there is nothing to clear away.
                    self.created = false;
                    return Err(refused(&format!("to create namespace `{NAMESPACE}`"), &answer));
                }
            }
            let Some(found) = self.get(&objects::namespace_path()).await? else { continue };
            if objects::is_of(&found, &self.run) {
                // Our request was answered with a failure once, and had succeeded.
                return Ok(());
            }
            if !objects::is_ours(&found) {
                return Err(Trouble::NotOurs);
            }
            say(&format!("probe: removing namespace `{NAMESPACE}` of an earlier probe"));
            self.remove(&found).await.map_err(|why| Trouble::Refused {
                what: format!("to remove namespace `{NAMESPACE}` of an earlier probe"),
                why,
                forbidden: false,
            })?;
        }
        Err(Trouble::Gone)
    }

    /// Open without a policy, closed with it, open again.
    pub(super) async fn experiment(&mut self, say: &mut dyn FnMut(&str)) -> Result<Finding, Trouble> {
        self.create_pod(SERVER, &["netexec".into(), format!("--http-port={PORT}")]).await?;
        let server = self.running(SERVER).await?;
        if let Attempt::Closed(how) = self.until_open(&server).await? {
            return Ok(Finding::NeverOpen { how });
        }
        say("probe: the connection is open; denying it");
        let began = Instant::now();
        let before = self.attempts;
        self.create(&objects::policies_path(), objects::deny(POLICY), "to create a NetworkPolicy").await?;
        let (how, after) = loop {
            match self.attempt(&server).await? {
                Attempt::Closed(how) => break (how, began.elapsed()),
                Attempt::Open if began.elapsed() < IN_FORCE => {}
                Attempt::Open => {
                    let attempts = self.attempts - before;
                    return Ok(Finding::NotEnforced { attempts, during: began.elapsed() });
                }
            }
        };
        say("probe: the connection is closed; removing the policy");
        let path = format!("{}/{POLICY}", objects::policies_path());
        let answer = self.client.send(&Method::DELETE, &path, "").await?;
        if !matches!(answer.status, 200 | 202 | 404) {
            return Err(refused("to delete a NetworkPolicy", &answer));
        }
        match self.until_open(&server).await? {
            Attempt::Open => Ok(Finding::Enforced { how, after }),
            Attempt::Closed(how) => Ok(Finding::StaysClosed { how }),
        }
    }

    /// Removes the namespace of this run, with all that is in it, and waits until it is gone.
    pub(super) async fn clear_away(&mut self, say: &mut dyn FnMut(&str)) -> Result<(), String> {
        if !self.created {
            return Ok(());
        }
        let found = self.get(&objects::namespace_path()).await.map_err(|trouble| words(&trouble))?;
        // Another run may have taken over in the meantime: that namespace is not ours.
        let Some(found) = found.filter(|found| objects::is_of(found, &self.run)) else { return Ok(()) };
        self.remove(&found).await?;
        say(&format!("probe: removed namespace `{NAMESPACE}`"));
        Ok(())
    }

    async fn remove(&self, namespace: &Value) -> Result<(), String> {
        let uid = namespace["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        let path = objects::namespace_path();
        let answer =
            self.client.send(&Method::DELETE, &path, &objects::deletion(&uid)).await.map_err(|e| e.to_string())?;
        // 409: it is another one by now, or already on its way out.
        if !matches!(answer.status, 200 | 202 | 404 | 409) {
            return Err(reason(&answer));
        }
        let limit = Instant::now() + TO_GO;
        while Instant::now() < limit {
            match self.get(&path).await.map_err(|trouble| words(&trouble))? {
                Some(found) if found["metadata"]["uid"] == *uid => tokio::time::sleep(LOOK).await,
                _ => return Ok(()),
            }
        }
        Err(format!("the server has not removed it after {} s", TO_GO.as_secs()))
    }

    async fn until_open(&mut self, server: &str) -> Result<Attempt, Trouble> {
        let mut last = self.attempt(server).await?;
        for _ in 1..TRIES {
            if matches!(last, Attempt::Open) {
                break;
            }
            tokio::time::sleep(LOOK).await;
            last = self.attempt(server).await?;
        }
        Ok(last)
    }

    /// One connection, by a pod that lives for it.
    async fn attempt(&mut self, server: &str) -> Result<Attempt, Trouble> {
        self.attempts += 1;
        let name = format!("client-{}", self.attempts);
        let to = if server.contains(':') { format!("[{server}]:{PORT}") } else { format!("{server}:{PORT}") };
        self.create_pod(&name, &["connect".into(), "--timeout=2s".into(), to]).await?;
        let limit = Instant::now() + TO_RUN;
        loop {
            let pod = self.pod(&name).await?;
            let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
            match pod["status"]["phase"].as_str() {
                Some("Succeeded") => return Ok(Attempt::Open),
                // The client says why it could not connect; whoever says nothing has another reason to fail.
                Some("Failed") => {
                    let said = ended["message"].as_str().map(|text| one_line(text.trim())).unwrap_or_default();
                    let closed = ["TIMEOUT", "REFUSED", "OTHER"].iter().any(|word| said.starts_with(word));
                    if closed && ended["exitCode"] == 1 {
                        return Ok(Attempt::Closed(said));
                    }
                    let why = ended["reason"].as_str().unwrap_or("it failed");
                    return Err(Trouble::Stuck { pod: name, why: one_line(&format!("{why} {said}")), image: false });
                }
                _ => self.patience(&name, &pod, limit)?,
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until a pod runs; gives its address.
    async fn running(&self, name: &str) -> Result<String, Trouble> {
        let limit = Instant::now() + TO_RUN;
        loop {
            let pod = self.pod(name).await?;
            if let (Some("Running"), Some(ip)) = (pod["status"]["phase"].as_str(), pod["status"]["podIP"].as_str()) {
                return Ok(ip.to_owned());
            }
            self.patience(name, &pod, limit)?;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// An error for a pod that will not run, or has not run for too long.
    fn patience(&self, name: &str, pod: &Value, limit: Instant) -> Result<(), Trouble> {
        let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
        let reason = waiting["reason"].as_str().unwrap_or_default();
        let image = ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"].contains(&reason);
        if !image && !reason.starts_with("CreateContainer") && Instant::now() < limit {
            return Ok(());
        }
        let conditions = pod["status"]["conditions"].as_array();
        let unscheduled = conditions.and_then(|list| {
            list.iter().find(|c| c["type"] == "PodScheduled" && c["status"] == "False")?["message"].as_str()
        });
        let why = match (reason, unscheduled) {
            ("", Some(why)) => why.to_owned(),
            ("", None) => format!("nothing happened in {} s", TO_RUN.as_secs()),
            (reason, _) => format!("{reason}: {}", waiting["message"].as_str().unwrap_or_default()),
        };
        Err(Trouble::Stuck { pod: name.to_owned(), why: one_line(&why), image })
    }

    async fn create_pod(&self, name: &str, args: &[String]) -> Result<(), Trouble> {
        let pod = objects::pod(name, &self.options.image, args);
        self.create(&objects::pods_path(), pod, "to create a pod").await
    }

    async fn create(&self, path: &str, object: String, what: &str) -> Result<(), Trouble> {
        let limit = Instant::now() + TO_RUN;
        loop {
            let answer = self.client.send(&Method::POST, path, &object).await?;
            match answer.status {
                // 409: our own, of a request whose answer was lost.
                200 | 201 | 409 => return Ok(()),
                404 => return Err(Trouble::Gone),
                // A new namespace has no service account for a moment.
                403 if reason(&answer).contains("serviceaccount") && Instant::now() < limit => {
                    tokio::time::sleep(LOOK).await;
                }
                _ => return Err(refused(what, &answer)),
            }
        }
    }

    async fn pod(&self, name: &str) -> Result<Value, Trouble> {
        self.get(&format!("{}/{name}", objects::pods_path())).await?.ok_or(Trouble::Gone)
    }

    /// An object; `None` if it is not there.
    async fn get(&self, path: &str) -> Result<Option<Value>, Trouble> {
        let answer = self.client.send(&Method::GET, path, "").await?;
        match answer.status {
            200 => {
                Ok(Some(serde_json::from_slice(&answer.body).map_err(|e| self.client.bad_answer(path, e.to_string()))?))
            }
            404 => Ok(None),
            _ => Err(refused(&format!("to show {path}"), &answer)),
        }
    }
}

fn refused(what: &str, answer: &Answer) -> Trouble {
    Trouble::Refused { what: what.to_owned(), why: reason(answer), forbidden: answer.status == 403 }
}

/// What the server says of a refusal.
fn reason(answer: &Answer) -> String {
    let status: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let said = status["message"].as_str().map(one_line);
    said.filter(|text| !text.is_empty()).unwrap_or_else(|| format!("status {}", answer.status))
}

fn words(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Access(error) => error.to_string(),
        Trouble::Refused { why, .. } => why.clone(),
        other => format!("{other:?}"),
    }
}
