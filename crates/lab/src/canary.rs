//! Does anything enforce policies here? A pair of pods on each node, a connection between them that the policies judge one way,
//! then, by a policy made for it, the other way, then the first way again.
//!
//! In: the plan of a lab that is up and its engine. Out: [`Canary`], which listens on a port that nobody uses and dials it; the
//! policy as text ([`Canary::policy`]); who puts it in force, and asks the engine whether it does what it should, is the
//! caller. The policy is about that port of these pods and nothing else, so that no application notices.

use crate::dial::{Dial, Hello, Outcome, dial};
use crate::error::LabError;
use crate::netns;
use crate::plan::{Plan, PodPlan, Proto};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use watertight_engine::Engine;
use watertight_model::{Endpoint, Family, Flow, L4, PodId, Verdict};

/// What the canary's servers say.
const NAME: &str = "watertight-canary";
/// How long one connection waits. The next one asks again.
const PATIENCE: Duration = Duration::from_millis(400);
/// Between two connections of a pair.
const PAUSE: Duration = Duration::from_millis(20);
/// So many connections in a row that nobody answers are a closed way, if they took long enough.
const SILENCES: u32 = 3;
/// Long enough for a way that was open a moment ago: longer than TCP takes to send a lost first packet again (RFC 6298).
const LATER: Duration = Duration::from_millis(1100);
/// Long enough for a way that nobody has gone yet: in a lab that just came up neighbours do not answer at once over IPv6, before
/// they know that nobody else has their address (RFC 4862, 5.4).
const AT_FIRST: Duration = Duration::from_secs(3);
/// Between two looks at a listening socket.
const LOOK: Duration = Duration::from_millis(2);
/// Ports that are tried until one is free in every pod.
const TRIES: u16 = 50;
/// The first of them: below the range that connections take theirs from (`ip_local_port_range` of ip(7)).
const FIRST_PORT: u16 = 20_011;

/// A pair on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The node of the server, whose gate is tried.
    pub node: String,
    /// Who connects, in words.
    pub from: String,
    /// To whom.
    pub to: String,
    /// What the engine is asked.
    pub flow: Flow,
    /// Over which family.
    pub family: Family,
    /// What it says, before the canary's policy.
    pub before: Verdict,
    netns: String,
    addresses: (IpAddr, IpAddr),
}

/// Servers that listen, and the pairs that try them.
pub struct Canary {
    /// Per node and family at most one, in order.
    pub pairs: Vec<Pair>,
    /// Nodes with pods and without a pair: nobody else to connect from, or no clear verdict.
    pub without: Vec<String>,
    port: u16,
    servers: Vec<Server>,
}

struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // It panics nowhere, and if it did there would be nothing to do about it.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Canary {
    /// Chooses pairs, and listens. `engine` is of the world that [`Plan::realise`] made.
    ///
    /// # Errors
    /// [`LabError`]: a namespace cannot be entered, or no port is free.
    pub fn new(plan: &Plan, engine: &Engine<'_>, families: &[Family]) -> Result<Self, LabError> {
        let used: BTreeSet<u16> = plan.pods.iter().flat_map(|p| p.listens.iter().map(|(_, port)| *port)).collect();
        let mut out = Self { pairs: Vec::new(), without: Vec::new(), port: 0, servers: Vec::new() };
        for port in (FIRST_PORT..FIRST_PORT + TRIES).filter(|port| !used.contains(port)) {
            out.port = port;
            out.choose(plan, engine, families);
            match out.listen(plan) {
                Ok(servers) => {
                    out.servers = servers;
                    return Ok(out);
                }
                // Somebody started a server there by hand.
                Err(LabError::Io { source, .. }) if source.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        Err(LabError::io("listening in the pods")(io::ErrorKind::AddrInUse.into()))
    }

    /// For each node a server, and for it the first client whose connection has a clear verdict: one of another node before one of
    /// the same, an allowed one before a denied one.
    fn choose(&mut self, plan: &Plan, engine: &Engine<'_>, families: &[Family]) {
        self.pairs.clear();
        self.without.clear();
        let world = engine.world();
        let id = |pod: &PodPlan| -> Option<PodId> { world.pod(world.namespace(&pod.namespace)?, &pod.name) };
        for (node, about) in plan.nodes.iter().enumerate() {
            let mut best: Option<((bool, bool), &PodPlan, &PodPlan, Flow)> = None;
            let servers = plan.pods.iter().filter(|p| p.node == node && !p.host_network);
            for (server, client) in servers.flat_map(|s| plan.pods.iter().map(move |c| (s, c))) {
                let (Some(to), Some(from)) = (id(server), id(client)) else { continue };
                if client.host_network || from == to {
                    continue;
                }
                let flow = Flow {
                    from: Endpoint::Pod(from),
                    to: Endpoint::Pod(to),
                    l4: L4::Port(watertight_model::Protocol::Tcp, self.port),
                    via_service: false,
                };
                let decided = engine.decide(&flow);
                // What the client's gate drops on another node says nothing of this one.
                let here = client.node == node || decided.egress.verdict == Verdict::Allow;
                let rank = (decided.verdict != Verdict::Allow, client.node == node);
                if here && decided.verdict != Verdict::Depends && best.is_none_or(|(least, ..)| rank < least) {
                    best = Some((rank, client, server, flow));
                }
                if best.is_some_and(|(least, ..)| least == (false, false)) {
                    break;
                }
            }
            let Some((rank, client, server, flow)) = best else {
                // A node without pods of its own has no gate to try.
                if plan.pods.iter().any(|p| p.node == node && !p.host_network) {
                    self.without.push(about.name.clone());
                }
                continue;
            };
            for family in families {
                let of = |pod: &PodPlan| match family {
                    Family::V4 => IpAddr::from(pod.addresses.0),
                    Family::V6 => pod.addresses.1.into(),
                };
                self.pairs.push(Pair {
                    node: about.name.clone(),
                    from: format!("{}/{}", client.namespace, client.name),
                    to: format!("{}/{}", server.namespace, server.name),
                    flow,
                    family: *family,
                    before: if rank.0 { Verdict::Deny } else { Verdict::Allow },
                    netns: client.netns.clone(),
                    addresses: (of(client), of(server)),
                });
            }
        }
    }

    fn listen(&self, plan: &Plan) -> Result<Vec<Server>, LabError> {
        let mut out = Vec::new();
        for pair in &self.pairs {
            let at = SocketAddr::new(pair.addresses.1, self.port);
            let Some((namespace, name)) = pair.to.split_once('/') else { continue };
            let Some(pod) = plan.pod(namespace, name) else { continue };
            let bound = netns::within(&pod.netns, || bound(at))?;
            let listener = bound.map_err(LabError::io(format!("listening on {at} in {}", pod.netns)))?;
            let stop = Arc::new(AtomicBool::new(false));
            let told = Arc::clone(&stop);
            let thread = std::thread::spawn(move || serve(&listener, &told));
            out.push(Server { stop, thread: Some(thread) });
        }
        Ok(out)
    }

    /// The policies that turn the verdict of each pair, as YAML. They come before all others of their tier, but one of a user's may
    /// have the same priority: the engine knows.
    pub fn policy(&self, engine: &Engine<'_>) -> String {
        let world = engine.world();
        let mut out = String::new();
        let mut seen = BTreeSet::new();
        for pair in &self.pairs {
            let (Endpoint::Pod(from), Endpoint::Pod(to)) = (pair.flow.from, pair.flow.to) else { continue };
            if !seen.insert(to) {
                continue;
            }
            let pods = |pod: PodId| {
                let pod = &world.pods[pod.index()];
                let labels: serde_json::Map<String, serde_json::Value> =
                    pod.labels.iter().map(|(k, v)| (k.to_string(), v.to_string().into())).collect();
                let namespace = &*world.namespaces[pod.namespace.index()].name;
                serde_json::json!({"pods": {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                    "podSelector": {"matchLabels": labels},
                }})
            };
            let action = if pair.before == Verdict::Allow { "Deny" } else { "Accept" };
            let protocols = serde_json::json!([{"tcp": {"destinationPort": {"number": self.port}}}]);
            let policy = |way: &str, subject: serde_json::Value, rules: serde_json::Value| {
                let mut spec = serde_json::json!({"tier": "Admin", "priority": 0, "subject": subject});
                spec[way] = rules;
                serde_json::json!({
                    "apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy",
                    "metadata": {"name": format!("{NAME}-{}-{way}", pair.node)}, "spec": spec,
                })
            };
            let ingress = serde_json::json!([{"action": action, "from": [pods(from)], "protocols": protocols}]);
            let egress = serde_json::json!([{"action": action, "to": [pods(to)], "protocols": protocols}]);
            let mut documents = vec![policy("ingress", pods(to), ingress)];
            // A denial is for the server's gate alone: it is on trial, not the client's.
            if action == "Accept" {
                documents.push(policy("egress", pods(from), egress));
            }
            documents.iter().for_each(|document| out.push_str(&format!("{document}\n---\n")));
        }
        out
    }

    /// Dials these pairs until each does what its verdict says (`turned`: the other one), and how long that took each. Those that
    /// did not within the bound are not in the answer. `at_first`: nobody has dialled before.
    ///
    /// # Errors
    /// [`LabError`]: a namespace cannot be entered, or a socket cannot be made.
    pub fn until(&self, pairs: &[usize], turned: bool, at_first: bool, bound: Duration) -> Result<Reached, LabError> {
        let wanted = |pair: usize| (self.pairs[pair].before == Verdict::Allow) != turned;
        let calm = if at_first { AT_FIRST } else { LATER };
        settle(pairs, wanted, calm, bound, |left| self.attempt(left))
    }

    /// Dials these pairs once, all at a time: true where the server answered.
    fn attempt(&self, pairs: &[usize]) -> Result<Vec<bool>, LabError> {
        let dials: Vec<Dial<'_>> = pairs
            .iter()
            .map(|i| &self.pairs[*i])
            .map(|pair| Dial {
                netns: &pair.netns,
                from: pair.addresses.0,
                to: SocketAddr::new(pair.addresses.1, self.port),
                protocol: Proto::Tcp,
                hello: Hello::name(NAME),
            })
            .collect();
        Ok(dial(&dials, PATIENCE)?.into_iter().map(|outcome| outcome == Outcome::Delivered).collect())
    }
}

/// Pairs that do what they should, and after which time they did.
pub type Reached = BTreeMap<usize, Duration>;

/// Asks until all do as wanted. An answer is an answer; that there is none counts only when it happens [`SILENCES`] times in a row
/// and for as long as `calm`, because a connection may fail for reasons of its own, and one of many will.
fn settle(
    pairs: &[usize],
    wanted: impl Fn(usize) -> bool,
    calm: Duration,
    bound: Duration,
    mut attempt: impl FnMut(&[usize]) -> Result<Vec<bool>, LabError>,
) -> Result<Reached, LabError> {
    let begun = Instant::now();
    let mut reached = Reached::new();
    let mut silent: BTreeMap<usize, (u32, Duration)> = BTreeMap::new();
    let mut left = pairs.to_vec();
    while !left.is_empty() && begun.elapsed() < bound {
        // The time at which it was asked: silence takes as long as we are patient.
        let asked = begun.elapsed();
        for (pair, answered) in left.iter().zip(attempt(&left)?) {
            if answered {
                silent.remove(pair);
            }
            match (wanted(*pair), answered) {
                (true, true) => drop(reached.insert(*pair, asked)),
                (false, false) => {
                    let (times, first) = silent.entry(*pair).or_insert((0, asked));
                    *times += 1;
                    if *times >= SILENCES && begun.elapsed() - *first >= calm {
                        reached.insert(*pair, *first);
                    }
                }
                (true, false) | (false, true) => {}
            }
        }
        left.retain(|pair| !reached.contains_key(pair));
        std::thread::sleep(PAUSE);
    }
    Ok(reached)
}

fn bound(at: SocketAddr) -> io::Result<TcpListener> {
    let domain = if at.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // What an earlier canary leaves in TIME_WAIT is not in the way.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(at))?;
    socket.listen(128)?;
    Ok(socket.into())
}

fn serve(listener: &TcpListener, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            // Whoever has gone does not want to know.
            Ok((mut stream, _)) => drop(stream.write_all(format!("{NAME}\n").as_bytes())),
            Err(_) => std::thread::sleep(LOOK),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What two pairs answer, attempt by attempt; the last answer stays. The first should be open, the second closed.
    fn settled(script: &[[bool; 2]]) -> Vec<usize> {
        let mut at = 0;
        let attempt = |left: &[usize]| {
            let row = script[at.min(script.len() - 1)];
            at += 1;
            Ok(left.iter().map(|pair| row[*pair]).collect())
        };
        let reached = settle(&[0, 1], |pair| pair == 0, Duration::from_millis(60), Duration::from_millis(400), attempt);
        reached.unwrap_or_default().into_keys().collect()
    }

    #[test]
    fn one_answer_opens_and_one_failure_does_not_close() {
        assert_eq!(settled(&[[true, false]]), [0, 1]);
        assert_eq!(settled(&[[false, true], [false, true], [true, true]]), [0], "late, and still open");
        let flaky = [[true, true], [true, false], [true, true], [true, false], [true, false], [true, true]];
        assert_eq!(settled(&flaky), [0], "a failure now and then is not a policy");
        assert_eq!(settled(&[[false, true]]), [0; 0]);
    }
}
