//! The threads of an agent: one per node, one that looks at the source, one per socket.

use crate::api::{Answer, Ask};
use crate::error::AgentError;
use crate::gate::{Asked, Confirm};
use crate::log::{Level, Log};
use crate::metrics::http;
use crate::node::Node;
use crate::server;
use crate::source::kubernetes::{Kubernetes, News, Turn};
use crate::source::lab::{LOOK, Lab, Look};
use crate::source::{Standing, View};
use serde_json::Value;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use watertight_cluster::Access;
use watertight_datapath::kernel::Loader;
use watertight_lab::within;

use watertight_datapath::Options;

/// How often a node looks at its kernel when nothing else happens.
const ATTEST: Duration = Duration::from_secs(5);

/// The longest pause between attempts to reach the API server.
const CONNECT: Duration = Duration::from_secs(15);

/// A BPF file system, where the kernel keeps what is pinned.
const BPF_FS: &str = "/sys/fs/bpf";

/// Where the cluster is.
#[derive(Clone, Debug)]
pub enum From {
    /// The lab that is up on this host.
    Lab,
    /// A cluster, by its API server; this host is one of its nodes.
    Kubernetes(Box<Access>),
}

/// How to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the cluster is.
    pub from: From,
    /// Only this node; `None`: all nodes of the lab.
    pub node: Option<String>,
    /// Policies without a mode of their own are only watched.
    pub shadow: bool,
    /// End once every node is enforcing (or degraded) for the first time: for scripts and tests. What is in the kernel stays.
    pub once: bool,
    /// Where metrics are served; `None`: nowhere.
    pub metrics: Option<SocketAddr>,
    /// Where events are logged.
    pub log: Log,
}

/// What the thread that looks at the source tells: people, in a line, and the log.
struct Voice<'a> {
    say: &'a mut dyn FnMut(&str),
    log: &'a Log,
}

impl Voice<'_> {
    fn tell(&mut self, level: Level, event: &str, text: &str, fields: &[(&str, Value)]) {
        (self.say)(text);
        self.log.event(level, "", event, fields);
    }
}

/// What a node's thread is told.
pub(crate) enum Event {
    /// A new state.
    State(View),
    /// The source has none that could be understood.
    Refused(String),
    /// How much is known of the cluster.
    Standing(Standing),
    /// A question, and where the answer goes.
    Asked(Ask, Sender<Answer>),
    /// A pod that waits to begin: is its device what it is to be by now?
    Confirm(Confirm),
    /// The source is gone: end. What is in the kernel stays.
    End,
}

/// Where the state of a node is pinned.
fn pins(node: &str) -> PathBuf {
    Path::new(BPF_FS).join("watertight").join(node)
}

/// Runs the agents of a lab until the lab is gone, or the one of a node for ever. `say` gets a line for each thing that a
/// person should know.
///
/// # Errors
/// [`AgentError`]: something is missing to begin with.
pub fn run(settings: &Settings, say: &mut dyn FnMut(&str)) -> Result<(), AgentError> {
    if !rustix::process::geteuid().is_root() {
        return Err(AgentError::NotRoot);
    }
    let voice = &mut Voice { say, log: &settings.log };
    let version = [("version", env!("CARGO_PKG_VERSION").into()), ("shadow", settings.shadow.into())];
    settings.log.event(Level::Info, "", "began", &version);
    match &settings.from {
        From::Lab => run_lab(settings, voice),
        From::Kubernetes(access) => run_kubernetes(access, settings, voice),
    }
}

fn run_kubernetes(access: &Access, settings: &Settings, voice: &mut Voice<'_>) -> Result<(), AgentError> {
    let name = settings.node.as_deref().ok_or(AgentError::WhichNode)?;
    let listener = settings.metrics.map(http::bind).transpose()?;
    bpf_fs(voice)?;
    server::forget_the_dead();
    let options = Options { shadow: settings.shadow, ..Options::default() };
    std::thread::scope(|scope| {
        let (tell, told) = channel();
        let (ready, begun) = channel();
        let ask = tell.clone();
        let (announce, gates) = channel();
        let ears = Ears { told, ask, gates: Some(announce) };
        // The network namespace is the node's own: this process shares it.
        let node = scope.spawn(move || begin(name, options, &settings.log, &ears, &ready));
        // The thread ends before it is ready only with an error, which is told below.
        let followed = match begun.recv() {
            Ok(()) => {
                if let Some(listener) = listener {
                    http::serve(listener, vec![(name.to_owned(), tell.clone())]);
                }
                follow(access, name, &tell, gates, settings, voice)
            }
            Err(_) => Ok(()),
        };
        let _ = tell.send(Event::End);
        node.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).and(followed)
    })
}

/// Follows the cluster. The node's thread is told of every state; it takes the newest.
fn follow(
    access: &Access,
    name: &str,
    tell: &Sender<Event>,
    gates: Receiver<Asked>,
    settings: &Settings,
    voice: &mut Voice<'_>,
) -> Result<(), AgentError> {
    let _ = tell.send(Event::Standing(Standing {
        held: Some("the API server was not reached yet".to_owned()),
        ..Standing::default()
    }));
    let mut source = connected(access, name, voice)?;
    let announce = source.gates();
    // Ends with the socket.
    std::thread::Builder::new()
        .name("gates".into())
        .spawn(move || {
            for asked in gates {
                if announce.send(News::Gate(asked)).is_err() {
                    return;
                }
            }
        })
        .map_err(AgentError::io("starting a thread"))?;
    // What was told before the first turn is no standing of the source: its own first one replaces it, whatever it is.
    let mut last = None;
    loop {
        let turn = source.turn()?;
        let standing = source.standing();
        if last.as_ref() != Some(&standing) {
            if let Some(line) = &standing.held {
                // The node's thread logs it.
                (voice.say)(line);
            }
            for lost in &standing.lost {
                let fields = [("what", lost.what.as_str().into()), ("why", lost.why.as_str().into())];
                voice.tell(Level::Warn, "stale", &format!("{} may be old: {}", lost.what, lost.why), &fields);
            }
            let _ = tell.send(Event::Standing(standing.clone()));
            last = Some(standing);
        }
        match turn {
            Turn::View(view) => {
                let (pods, closed) = (view.pods.len(), view.closed.len());
                let policies = view.world.policies.len() + view.world.cluster_policies.len();
                let text =
                    format!("state {}: {policies} policies, {pods} pods here, {closed} devices closed", view.revision);
                let fields = [
                    ("revision", view.revision.into()),
                    ("policies", policies.into()),
                    ("pods", pods.into()),
                    ("closed", closed.into()),
                ];
                voice.tell(Level::Info, "state", &text, &fields);
                let _ = tell.send(Event::State(view));
                if settings.once {
                    return Ok(());
                }
            }
            Turn::Standing | Turn::Same => {}
            Turn::Ended => return Ok(()),
        }
        for confirm in source.settled() {
            let _ = tell.send(Event::Confirm(confirm));
        }
    }
}

/// Tries until it succeeds: a node starts before its API server can be reached, and what is in force stays meanwhile.
fn connected(access: &Access, name: &str, voice: &mut Voice<'_>) -> Result<Kubernetes, AgentError> {
    let mut pause = Duration::from_millis(500);
    loop {
        match Kubernetes::open(access, name) {
            Ok(source) => return Ok(source),
            Err(AgentError::Cluster(error)) => {
                let text = format!("{error}; trying again in {} ms", pause.as_millis());
                voice.tell(Level::Warn, "unreachable", &text, &[("why", error.to_string().into())]);
            }
            Err(error) => return Err(error),
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(CONNECT);
    }
}

fn run_lab(settings: &Settings, voice: &mut Voice<'_>) -> Result<(), AgentError> {
    let listener = settings.metrics.map(http::bind).transpose()?;
    let mut lab = Lab::open()?;
    let nodes = chosen(&lab, settings.node.as_deref())?;
    bpf_fs(voice)?;
    server::forget_the_dead();
    let options = Options { shadow: settings.shadow, ..Options::default() };
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        let mut threads = Vec::new();
        for (name, netns) in nodes {
            let (tell, told) = channel();
            let (ready, begun) = channel();
            let ask = tell.clone();
            let node_name = name.clone();
            let ears = Ears { told, ask, gates: None };
            threads.push(scope.spawn(move || {
                within(&netns, move || begin(&node_name, options, &settings.log, &ears, &ready))
                    .map_err(AgentError::from)
                    .flatten()
            }));
            // The thread ends before it is ready only with an error, which is told below.
            let _ = begun.recv();
            running.push((name, tell));
        }
        if let Some(listener) = listener {
            http::serve(listener, running.clone());
        }
        watch(&mut lab, &running, settings, voice);
        for (_, tell) in &running {
            // A thread that ended by itself says why below.
            let _ = tell.send(Event::End);
        }
        threads.into_iter().try_for_each(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

fn chosen(lab: &Lab, only: Option<&str>) -> Result<Vec<(String, String)>, AgentError> {
    let all = lab.nodes().filter(|(name, _)| only.is_none_or(|o| o == *name));
    let nodes: Vec<(String, String)> = all.map(|(name, netns)| (name.to_owned(), netns.to_owned())).collect();
    match (nodes.is_empty(), only) {
        (true, Some(name)) => Err(AgentError::NoNode { name: name.to_owned() }),
        (true, None) => Err(AgentError::NoLab),
        (false, _) => Ok(nodes),
    }
}

/// What a node's thread hears.
struct Ears {
    told: Receiver<Event>,
    /// Where its socket puts questions.
    ask: Sender<Event>,
    /// Where its socket announces pods that want to begin; `None`: nobody follows them.
    gates: Option<Sender<Asked>>,
}

/// A node's thread: opens the kernel, serves the socket, follows events.
fn begin(name: &str, options: Options, log: &Log, ears: &Ears, ready: &Sender<()>) -> Result<(), AgentError> {
    let directory = pins(name);
    if let Some(parent) = directory.parent() {
        std::fs::create_dir_all(parent).map_err(AgentError::io(format!("making {}", parent.display())))?;
    }
    let mut node = Node::open(name, &directory, options, log.clone())?;
    let _socket = server::listen(name, ears.ask.clone(), ears.gates.clone())?;
    // Whoever waited may be gone: then nobody needs to know.
    let _ = ready.send(());
    let told = &ears.told;
    // What came while a newer state was looked for.
    let mut waiting = VecDeque::new();
    let mut due = Instant::now() + ATTEST;
    loop {
        // Questions and states that come often do not keep it from looking.
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            node.attest();
            due = Instant::now() + ATTEST;
            continue;
        }
        let next = waiting.pop_front().map_or_else(|| told.recv_timeout(left), Ok);
        match next {
            Ok(Event::State(view)) => node.take(newest(view, told, &mut waiting)),
            Ok(Event::Standing(standing)) => node.stand(standing),
            Ok(Event::Refused(why)) => node.source_failed(why),
            Ok(Event::Asked(ask, answer)) => {
                // Whoever asked may have gone.
                let _ = answer.send(node.answer(ask));
            }
            Ok(Event::Confirm(confirm)) => {
                let answer = node.confirm(&confirm);
                let _ = confirm.waiting.tell.send(answer);
            }
            Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// The newest of the states that wait: those before it need not be brought into force.
fn newest(mut view: View, told: &Receiver<Event>, waiting: &mut VecDeque<Event>) -> View {
    waiting.extend(told.try_iter());
    let since = view.since;
    waiting.retain_mut(|event| match event {
        Event::State(newer) => {
            view = newer.clone();
            false
        }
        _ => true,
    });
    // The change that waited longest counts for how long it took.
    View { since, ..view }
}

/// Looks at the lab until it is gone.
fn watch(lab: &mut Lab, nodes: &[(String, Sender<Event>)], settings: &Settings, voice: &mut Voice<'_>) {
    let mut last_refusal = None;
    loop {
        match lab.look() {
            Look::Same => {}
            Look::New(world, revision, since) => {
                last_refusal = None;
                for (name, tell) in nodes {
                    let view = lab.view(name, &world, revision, since);
                    let _ = tell.send(Event::State(view));
                }
                let policies = world.policies.len() + world.cluster_policies.len();
                let fields = [("revision", revision.into()), ("policies", policies.into())];
                voice.tell(Level::Info, "state", &format!("state {revision}: {policies} policies"), &fields);
                if settings.once {
                    return;
                }
            }
            Look::Refused(why) => {
                if last_refusal.as_ref() != Some(&why) {
                    (voice.say)(&why);
                    nodes.iter().for_each(|(_, tell)| drop(tell.send(Event::Refused(why.clone()))));
                    last_refusal = Some(why);
                }
            }
            Look::Gone => {
                voice.tell(Level::Info, "ended", "the lab is gone", &[("why", "the lab is gone".into())]);
                return;
            }
        }
        std::thread::sleep(LOOK);
    }
}

/// Removes every trace of the agents: gates, maps, sockets. The cluster is flat again.
///
/// # Errors
/// [`AgentError`]: something could not be removed.
pub fn uninstall() -> Result<usize, AgentError> {
    if !rustix::process::geteuid().is_root() {
        return Err(AgentError::NotRoot);
    }
    let all = Path::new(BPF_FS).join("watertight");
    let netns = Lab::open().map(|lab| lab.nodes().map(|(n, ns)| (n.to_owned(), ns.to_owned())).collect::<Vec<_>>());
    let netns = netns.unwrap_or_default();
    let mut removed = 0;
    for entry in std::fs::read_dir(&all).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let take_away = || -> Result<(), AgentError> {
            let loader = Loader::open(&entry.path()).map_err(AgentError::kernel(&name))?;
            loader.uninstall().map_err(AgentError::kernel(&name))
        };
        match netns.iter().find(|(node, _)| *node == name) {
            Some((_, netns)) => within(netns, take_away)??,
            None => take_away()?,
        }
        removed += 1;
    }
    server::forget_the_dead();
    // It may hold what is not ours; then it stays.
    let _ = std::fs::remove_dir(&all);
    Ok(removed)
}

/// Sees to it that there is a BPF file system.
fn bpf_fs(voice: &mut Voice<'_>) -> Result<(), AgentError> {
    /// `BPF_FS_MAGIC` of linux/magic.h.
    const MAGIC: rustix::fs::FsWord = 0xcafe_4a11;
    let failed = |e: rustix::io::Errno| AgentError::io(format!("mounting a BPF file system at {BPF_FS}"))(e.into());
    let there = rustix::fs::statfs(BPF_FS).map_err(failed)?;
    if there.f_type != MAGIC {
        rustix::mount::mount("bpf", BPF_FS, "bpf", rustix::mount::MountFlags::empty(), None).map_err(failed)?;
        voice.tell(Level::Info, "mounted", &format!("mounted a BPF file system at {BPF_FS}"), &[("at", BPF_FS.into())]);
    }
    Ok(())
}
