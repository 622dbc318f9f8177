//! A real cluster: its API server says what there is, the node's kernel says where.

use super::places::{Places, places};
use super::{Lost, Standing, View};
use crate::api::Answer;
use crate::error::AgentError;
use crate::find::Finder;
use crate::gate::{Asked, Confirm, Now, Waiting, settled};
use crate::links::Changes;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use watertight_cluster::{Access, State, WatchOptions, Watching, connect, watch};
use watertight_model::World;

/// How soon to look again for the owner of a new device: its first process is a moment away.
const SOON: Duration = Duration::from_millis(10);
/// A device whose owner is not found within this time has none that we will find soon.
const YOUNG: Duration = Duration::from_secs(10);
/// How often to look again for those.
const LATER: Duration = Duration::from_secs(1);
/// How often to look although the kernel told of no change.
const SELDOM: Duration = Duration::from_secs(30);
/// How long to wait for news of devices before asking whether it is time to end.
const PATIENCE: Duration = Duration::from_millis(500);

/// Kinds without which nothing is brought into force: what is not known of them could be a policy that isolates, or a label.
const NEEDED: &[&str] = &["namespaces", "nodes", "pods", "services"];
/// Kinds of which a single object that is not understood holds everything: it may be one that isolates.
const POLICIES: &[&str] = &["networkpolicies.networking.k8s.io", "clusternetworkpolicies.policy.networking.k8s.io"];

/// What happened.
pub(crate) enum News {
    /// The API server's side.
    State(Box<State>),
    /// The kernel's side: some device changed.
    Devices,
    /// The runtime's side: a pod wants to begin.
    Gate(Asked),
}

/// A cluster that is followed for one node.
pub(crate) struct Kubernetes {
    node: String,
    news: Receiver<News>,
    /// Held, because dropping it ends the watch.
    _watching: Watching,
    finder: Finder,
    state: Option<State>,
    last: Option<(Arc<World>, Places)>,
    revision: u64,
    /// Devices whose owner is not known, and when the youngest of them was seen first.
    unsettled: Option<(Instant, BTreeSet<u32>)>,
    looked: Instant,
    /// Pods that wait to begin.
    waiting: Vec<Waiting>,
    tell: Sender<News>,
}

/// What follows from news.
pub(crate) enum Turn {
    /// A state to bring into force.
    View(View),
    /// Nothing but how much is known changed.
    Standing,
    /// Nothing.
    Same,
    /// The watch ended: it never does by itself.
    Ended,
}

impl Kubernetes {
    /// Connects and follows. Acts in the calling thread's network namespace, which is the node's.
    ///
    /// # Errors
    /// There is no way to the API server, or no way to hear of devices.
    pub(crate) fn open(access: &Access, node: &str) -> Result<Self, AgentError> {
        let client = connect(access).map_err(|e| AgentError::Cluster(Box::new(e)))?;
        let (tell, news) = channel();
        let devices = Changes::open()?;
        let about_devices = tell.clone();
        std::thread::Builder::new()
            .name("devices".into())
            .spawn(move || tell_of_devices(devices, &about_devices))
            .map_err(AgentError::io("starting a thread"))?;
        let options = WatchOptions::new(jitter);
        let about_gates = tell.clone();
        let receive = move |state: &State| {
            // Nobody listens any more: the agent ends.
            let _ = tell.send(News::State(Box::new(state.clone())));
        };
        let watching = watch(client, options, receive).map_err(|e| AgentError::Cluster(Box::new(e)))?;
        Ok(Self {
            node: node.to_owned(),
            news,
            _watching: watching,
            finder: Finder::default(),
            state: None,
            last: None,
            revision: 0,
            unsettled: None,
            looked: Instant::now(),
            waiting: Vec::new(),
            tell: about_gates,
        })
    }

    /// Where pods that want to begin are announced.
    pub(crate) fn gates(&self) -> Sender<News> {
        self.tell.clone()
    }

    /// A pod wants to begin: its device is that of the pod from now on.
    fn gate(&mut self, (gate, tell): Asked) {
        let begun = Instant::now();
        let known = match &gate.uid {
            Some(uid) => self.finder.told(gate.inode, uid, gate.ifindex),
            None => Err("the runtime does not say its uid (K8S_POD_UID)".to_owned()),
        };
        match known {
            Ok(ifindex) => {
                let pod = format!("{}/{}", gate.namespace, gate.name);
                self.waiting.push(Waiting { ifindex, pod, since: begun, tell });
            }
            // Whoever asked may have gone.
            Err(why) => drop(tell.send(Answer::Failed(why))),
        }
    }

    /// Which of the pods that wait can be answered by the node, once it has the states that were given before.
    pub(crate) fn settled(&mut self) -> Vec<Confirm> {
        let held = self.standing().held;
        let last = self.last.as_ref().map(|(_, places)| places);
        let now = |ifindex: u32| {
            let closed = || last.and_then(|l| l.closed.iter().find(|c| c.ifindex == ifindex));
            match (&held, closed()) {
                (Some(why), _) => Now::Unknown(why.clone()),
                (None, Some(closed)) => Now::Closed(closed.why.clone()),
                (None, None) if last.is_some_and(|l| l.pods.iter().any(|p| p.ifindex == ifindex)) => Now::Placed,
                (None, None) => Now::Unknown("its device is gone".to_owned()),
            }
        };
        settled(&mut self.waiting, now)
    }

    /// Waits for something to happen, at most `PATIENCE`.
    pub(crate) fn turn(&mut self) -> Result<Turn, AgentError> {
        let pace = match &self.unsettled {
            Some((since, _)) if since.elapsed() < YOUNG => SOON,
            Some(_) => LATER,
            None => SELDOM,
        };
        let pause = pace.saturating_sub(self.looked.elapsed()).min(PATIENCE);
        let mut since = None;
        let mut told = false;
        let mut look = false;
        match self.news.recv_timeout(pause) {
            Ok(news) => {
                since = Some(Instant::now());
                for news in std::iter::once(news).chain(self.news.try_iter().collect::<Vec<_>>()) {
                    match news {
                        News::Devices => look = true,
                        News::Gate(asked) => self.gate(asked),
                        News::State(state) => {
                            told = true;
                            self.state = Some(*state);
                        }
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(Turn::Ended),
        }
        if look || self.last.is_none() || self.looked.elapsed() >= pace {
            self.look()?;
        }
        let Some(state) = &self.state else { return Ok(Turn::Same) };
        if held(&state.world).is_some() {
            return Ok(if told { Turn::Standing } else { Turn::Same });
        }
        let now = places(&state.world, &self.node, self.finder.found());
        if let Some((world, last)) = &self.last
            && Arc::ptr_eq(world, &state.world)
            && *last == now
        {
            return Ok(if told { Turn::Standing } else { Turn::Same });
        }
        self.revision += 1;
        let view = View {
            revision: self.revision,
            world: Arc::clone(&state.world),
            pods: Arc::new(now.pods.clone()),
            closed: Arc::new(now.closed.clone()),
            open: Arc::new(now.open.clone()),
            since: since.unwrap_or_else(Instant::now),
        };
        self.last = Some((Arc::clone(&state.world), now));
        Ok(Turn::View(view))
    }

    fn look(&mut self) -> Result<(), AgentError> {
        self.looked = Instant::now();
        self.finder.look()?;
        let now = self.finder.unsettled();
        self.unsettled = match self.unsettled.take() {
            _ if now.is_empty() => None,
            Some((since, before)) if now.is_subset(&before) => Some((since, now)),
            _ => Some((Instant::now(), now)),
        };
        Ok(())
    }

    /// How much is known.
    pub(crate) fn standing(&self) -> Standing {
        let Some(state) = &self.state else {
            return Standing {
                held: Some("the API server has not said everything yet".to_owned()),
                ..Standing::default()
            };
        };
        let lost = state.lost.iter().map(|lost| Lost {
            what: lost.what.to_string(),
            since: lost.since,
            why: lost.why.clone(),
        });
        let needed = |what: &str| NEEDED.contains(&what) || POLICIES.contains(&what);
        let unread = state.world.unread.iter().filter(|u| !needed(&u.what));
        Standing {
            lost: lost.collect(),
            held: held(&state.world),
            notes: unread.map(|u| format!("{} are not read: {}", u.what, u.why)).collect(),
        }
    }
}

/// Why a world is not brought into force.
fn held(world: &World) -> Option<String> {
    let reason = |u: &watertight_model::world::Unread| format!("{} are not wholly known: {}", u.what, u.why);
    world
        .unread
        .iter()
        .find(|u| POLICIES.contains(&&*u.what) || (NEEDED.contains(&&*u.what) && u.namespace.is_none()))
        .map(reason)
}

/// Many nodes start together, and must not ask together again after the API server was away. Each hasher of the standard library
/// is keyed anew from the system's randomness.
fn jitter() -> f64 {
    let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), ());
    f64::from(u32::try_from(random >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

fn tell_of_devices(devices: Changes, tell: &Sender<News>) {
    loop {
        match devices.wait(PATIENCE) {
            Ok(false) => {}
            // A broken socket means that nothing more is heard; then each look is one more, at the pace of this loop.
            Ok(true) | Err(_) => {
                if tell.send(News::Devices).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}
