//! Making a lab and removing it.

use crate::error::LabError;
use crate::netns;
use crate::plan::{Plan, ServicePort};
use crate::script::{Step, What, steps};
use crate::state::{DIRECTORY, Process, State, manifests};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long the responder may take to listen everywhere.
const READY: Duration = Duration::from_secs(60);
/// How long a process may take to end after SIGTERM, before SIGKILL.
const END: Duration = Duration::from_secs(2);

/// What was made.
#[derive(Clone, Debug)]
pub struct Started {
    /// Nodes.
    pub nodes: usize,
    /// Pods, hostNetwork ones included.
    pub pods: usize,
    /// Services with an address.
    pub services: usize,
    /// Sockets that listen.
    pub sockets: usize,
    /// What manifests asked for and the lab does not give, in words.
    pub left_out: Vec<String>,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Network namespaces.
    pub namespaces: usize,
    /// A responder was running.
    pub responder: bool,
}

/// Makes a lab. `texts` are the manifests it was planned from: name and text of each. What was made is removed again if any of
/// it fails.
///
/// # Errors
/// [`LabError`].
pub fn up(plan: &Plan, texts: &[(String, String)]) -> Result<Started, LabError> {
    if !is_root() {
        return Err(LabError::NotRoot);
    }
    if !netns::ours()?.is_empty() || Path::new(DIRECTORY).exists() {
        return Err(LabError::AlreadyUp);
    }
    match build(plan, texts) {
        Ok(started) => Ok(started),
        Err(error) => {
            // The first error is the one that counts; whatever is left is found by its prefix the next time.
            let _ = down();
            Err(error)
        }
    }
}

fn build(plan: &Plan, texts: &[(String, String)]) -> Result<Started, LabError> {
    let directory = manifests();
    std::fs::create_dir_all(&directory).map_err(LabError::io(format!("making {}", directory.display())))?;
    for (i, (name, text)) in texts.iter().enumerate() {
        let kind = if name.ends_with(".json") { "json" } else { "yaml" };
        let file = directory.join(format!("{i:04}.{kind}"));
        std::fs::write(&file, text).map_err(LabError::io(format!("writing {}", file.display())))?;
    }
    let state = State { plan: plan.clone(), raised: too_low(plan) };
    // Remembered before anything is changed, so that `down` finds it after a crash in the middle.
    state.write().map_err(LabError::io("writing the lab's state"))?;
    for (file, _) in &state.raised {
        sysctl(file, &neighbours(plan).to_string())?;
    }
    steps(plan).iter().try_for_each(run)?;
    resolvers(plan)?;
    let sockets = start_responder()?;
    Ok(Started {
        nodes: plan.nodes.len(),
        pods: plan.pods.len(),
        services: plan.services.iter().filter(|s| s.addresses.is_some()).count(),
        sockets,
        left_out: plan.left_out.clone(),
    })
}

fn run(step: &Step) -> Result<(), LabError> {
    let work = || match &step.what {
        What::Ip(lines) => tool("ip", "iproute2", &["-batch", "-"], lines, step),
        What::Nft(rules) => tool("nft", "nftables", &["-f", "-"], rules, step),
        What::Sysctl(settings) => settings.iter().try_for_each(|(name, value)| sysctl(name, value)),
    };
    match &step.netns {
        Some(netns) => netns::within(netns, work)?,
        None => work(),
    }
}

fn sysctl(name: &str, value: &str) -> Result<(), LabError> {
    std::fs::write(format!("/proc/sys/net/{name}"), value).map_err(LabError::io(format!("setting net/{name}")))
}

/// Neighbours that pods of one bridge can know of each other, and twice as many for what is growing old.
fn neighbours(plan: &Plan) -> u64 {
    let pods = |node| plan.pods.iter().filter(|p| p.node == node && !p.host_network).count() as u64;
    (0..plan.nodes.len()).map(|node| pods(node) * (pods(node) + 2)).sum::<u64>() * 2
}

/// The table of neighbours has one limit for all network namespaces of a machine (`gc_thresh3` of arp(7)): past it packets
/// are lost, and a probe would take that for a firewall.
fn too_low(plan: &Plan) -> Vec<(String, u64)> {
    let limits = ["ipv4", "ipv6"].map(|family| format!("{family}/neigh/default/gc_thresh3"));
    let now = |name: &String| std::fs::read_to_string(format!("/proc/sys/net/{name}")).ok()?.trim().parse().ok();
    limits.into_iter().filter_map(|name| now(&name).filter(|n| *n < neighbours(plan)).map(|n| (name, n))).collect()
}

fn tool(
    name: &'static str,
    package: &'static str,
    arguments: &[&str],
    input: &str,
    step: &Step,
) -> Result<(), LabError> {
    // Where administrators' programs are is not on everyone's path.
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{path}{}/usr/sbin:/sbin:/usr/bin:/bin", if path.is_empty() { "" } else { ":" });
    let started = Command::new(name)
        .env("PATH", path)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(LabError::NoTool { tool: name, package });
        }
        Err(error) => return Err(LabError::io(format!("starting `{name}`"))(error)),
    };
    // A program that stops reading says why on its standard error, which is read below.
    let _ = child.stdin.take().map(|mut pipe| pipe.write_all(input.as_bytes()));
    let output = child.wait_with_output().map_err(LabError::io(format!("waiting for `{name}`")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("it gave no reason").to_owned();
    Err(LabError::Tool { tool: name, netns: step.netns.clone().unwrap_or_else(|| "the host".to_owned()), said })
}

/// Where `ip netns exec` finds the resolver of a namespace.
const RESOLVERS: &str = "/etc/netns";

/// Programs that are started in a pod look names up in the cluster.
fn resolvers(plan: &Plan) -> Result<(), LabError> {
    let dns = plan.services.iter().find(|s| {
        let answers = |(_, port, to): &ServicePort| *port == 53 && to.iter().any(|(p, _)| plan.pods[*p].dns);
        s.addresses.is_some() && s.ports.iter().any(answers)
    });
    let Some((v4, _)) = dns.and_then(|s| s.addresses) else { return Ok(()) };
    for pod in plan.pods.iter().filter(|p| !p.host_network) {
        let directory = Path::new(RESOLVERS).join(&pod.netns);
        let namespace = &pod.namespace;
        let text = format!(
            "search {namespace}.svc.cluster.local svc.cluster.local cluster.local\nnameserver {v4}\noptions ndots:5\n"
        );
        std::fs::create_dir_all(&directory)
            .and_then(|()| std::fs::write(directory.join("resolv.conf"), text))
            .map_err(LabError::io(format!("writing {}", directory.display())))?;
    }
    Ok(())
}

/// Starts this program again as the one who answers, and waits until it listens.
fn start_responder() -> Result<usize, LabError> {
    let program = std::env::current_exe().map_err(LabError::io("finding this program"))?;
    let mut child = Command::new(program)
        .args(["lab", "respond"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(LabError::io("starting the responder"))?;
    let failed = |said: &str| LabError::Responder { said: said.to_owned() };
    let pipe = child.stdout.take().ok_or_else(|| failed("no output"))?;
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(pipe.take(4096)).read_line(&mut line);
        // Nobody waits any more: nothing to tell.
        let _ = tell.send(read.map(|_| line));
    });
    let line = told.recv_timeout(READY).map_err(|_| failed("it was not ready in time"))?;
    let line = line.map_err(LabError::io("reading from the responder"))?;
    let sockets = line.strip_prefix("listening ").and_then(|n| n.trim().parse().ok());
    sockets.ok_or_else(|| failed(if line.trim().is_empty() { "it ended" } else { line.trim() }))
}

/// True if this process may make a lab.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// True if the responder of the lab runs.
pub fn is_answering() -> bool {
    Process::responder().is_some()
}

/// Removes whatever carries the lab's prefix, and ends the responder. Finding nothing is no error.
///
/// # Errors
/// [`LabError`], after everything was tried.
pub fn down() -> Result<Removed, LabError> {
    if !is_root() {
        return Err(LabError::NotRoot);
    }
    let mut removed = Removed::default();
    let mut failed = None;
    removed.responder = Process::responder().is_some_and(end);
    // A state that cannot be read does not keep the rest.
    if let Some(state) = State::read().ok().flatten() {
        for (file, before) in &state.raised {
            failed = failed.or(sysctl(file, &before.to_string()).err());
        }
    }
    let names = netns::ours()?;
    removed.namespaces = names.len();
    if !names.is_empty() {
        let lines: String = names.iter().map(|n| format!("netns del {n}\n")).collect();
        let step = Step { netns: None, what: What::Ip(String::new()) };
        failed = failed.or(tool("ip", "iproute2", &["-force", "-batch", "-"], &lines, &step).err());
    }
    if let Ok(entries) = std::fs::read_dir(RESOLVERS) {
        for entry in entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with(crate::PREFIX)) {
            let gone = std::fs::remove_dir_all(entry.path());
            failed = failed.or(gone.map_err(LabError::io(format!("removing {}", entry.path().display()))).err());
        }
        // Ours if nobody else has anything there.
        let _ = std::fs::remove_dir(RESOLVERS);
    }
    State::forget().map_err(LabError::io(format!("removing {DIRECTORY}")))?;
    failed.map_or(Ok(removed), Err)
}

/// Ends a process: asks, waits, insists. False if it had ended.
fn end(process: Process) -> bool {
    use rustix::process::{Pid, Signal, kill_process};
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw).filter(|_| process.is_alive()) else {
        return false;
    };
    for signal in [Signal::TERM, Signal::KILL] {
        // It may end by itself between the look and the signal.
        let _ = kill_process(pid, signal);
        let begun = Instant::now();
        while process.is_alive() && begun.elapsed() < END {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    true
}
