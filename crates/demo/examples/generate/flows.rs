//! The recording: 48 hours of the calls in `calls.rs`, and of what nobody intended.

use crate::calls::{Call, OUTSIDE, Seen};
use crate::cluster::{NODES, Protocol, Workload};
use crate::hubble::{
    API_SERVER, End, HOST, Payload, Peer, Point, REMOTE_NODE, Record, SECOND, WINDOW_S, WORLD, connected, dns_answer,
    lost, opening,
};
use crate::pods::{Pod, ROLLOUT};
use crate::rng::Rng;

/// The recording of the sample cluster, sorted by time.
pub(crate) fn recording(workloads: &[Workload], pods: &[Pod], calls: &[Call]) -> String {
    let mut writer = Writer { workloads, pods, lines: Vec::new() };
    for call in calls {
        writer.call(call);
    }
    writer.nodes();
    writer.through_service_address();
    writer.dns_names(calls);
    writer.incidents();
    sorted(writer.lines)
}

/// Lines in order of time; lines of one time in order of text.
pub(crate) fn sorted(mut lines: Vec<(u64, String)>) -> String {
    lines.sort();
    lines.into_iter().map(|(_, line)| line + "\n").collect()
}

/// `count` moments spread over the window, one somewhere in each part of it.
pub(crate) fn moments(rng: &mut Rng, count: u64) -> Vec<u64> {
    let part = WINDOW_S * SECOND / count;
    (0..count).map(|i| i * part + rng.below(part)).collect()
}

/// A client's port, from the range that Linux gives out.
pub(crate) fn client_port(rng: &mut Rng) -> u16 {
    32_768 + u16::try_from(rng.below(28_232)).unwrap_or_default()
}

struct Writer<'a> {
    workloads: &'a [Workload],
    pods: &'a [Pod],
    lines: Vec<(u64, String)>,
}

impl Writer<'_> {
    fn push(&mut self, record: &Record) {
        self.lines.push((record.at, record.json()));
    }

    fn call(&mut self, call: &Call) {
        let mut rng = Rng::of(&format!("{} {} {} {}", call.from, call.to, call.protocol.name(), call.port));
        let count = match (call.seen, call.kind) {
            (Seen::Never, _) => return,
            (Seen::Once, _) => 1,
            (Seen::Seldom, _) => 4,
            (Seen::Often, "call") => 9 + rng.below(6),
            (Seen::Often, "internet") => 60,
            (Seen::Often, "outside") => 12,
            (Seen::Often, "probe") => 4,
            (Seen::Often, _) => 6,
        };
        for (i, at) in moments(&mut rng, count).into_iter().enumerate() {
            self.connection(call, at, i, &mut rng);
        }
    }

    /// One connection: seen at the client's node, the server's, or both, and sometimes with its answer.
    fn connection(&mut self, call: &Call, at: u64, turn: usize, rng: &mut Rng) {
        // Which jobs ran decides when they called.
        let (at, from_pod) = match self.job_of(&call.from, turn) {
            Some(pod) => (pod.ran.unwrap_or_default().0 * SECOND + rng.below(600 * SECOND), Some(pod.clone())),
            None => (at, self.pod_at(&call.from, at, None, rng)),
        };
        // The replica of a database connects to its primary, never the other way round.
        let streaming = call.from == "prod/db" && call.to == "prod/db";
        let (from_pod, to_pod) = if streaming {
            (self.named("prod/db", "db-1"), self.named("prod/db", "db-0"))
        } else {
            let to_pod = self.pod_at(&call.to, at, from_pod.as_ref(), rng);
            (from_pod, to_pod)
        };
        let node = from_pod.as_ref().or(to_pod.as_ref()).map_or(0, |p| p.node);
        let mut from = self.end(&call.from, from_pod.as_ref(), node, rng);
        let mut to = self.end(&call.to, to_pod.as_ref(), node, rng);
        from.port = client_port(rng);
        to.port = call.port;
        let mut payload = opening(call.protocol);
        // Some records lack `is_reply`; a SYN tells as much.
        let mut reply = Some(false);
        match (call.protocol, rng.below(10)) {
            (Protocol::Tcp, 0) => reply = None,
            (Protocol::Tcp, 1 | 2) if call.seen == Seen::Often => payload = Payload::Tcp(&["PSH", "ACK"]),
            _ => {}
        }
        let at_client = from_pod.is_some() && (to_pod.is_none() || rng.chance(60));
        let (point, seen_at) = match (&from_pod, &to_pod) {
            (Some(pod), _) if at_client => (Point::FromPod, pod.node),
            (_, Some(pod)) => (Point::ToPod, pod.node),
            _ => (Point::FromPod, node),
        };
        let record = Record { at, node: NODES[seen_at].name, point, from, to, payload, reply, dropped: false };
        self.push(&record);
        if at_client
            && let Some(pod) = &to_pod
            && rng.chance(30)
        {
            let later = at + 200_000 + rng.below(400_000);
            self.push(&Record { at: later, node: NODES[pod.node].name, point: Point::ToPod, ..record.clone() });
        }
        if rng.chance(25) {
            let answered_at = to_pod.as_ref().map_or(seen_at, |p| p.node);
            let mut answer = record.answer(NODES[answered_at].name, 900_000 + rng.below(9_000_000));
            if to_pod.is_none() {
                answer.point = Point::ToPod;
            }
            self.push(&answer);
        }
    }

    /// The pod of the `turn`-th run, if the caller is a CronJob.
    fn job_of(&self, place: &str, turn: usize) -> Option<&Pod> {
        let mut runs = self.of(place);
        runs.retain(|p| p.ran.is_some());
        if runs.is_empty() { None } else { runs.get(turn % runs.len()).copied() }
    }

    fn of(&self, place: &str) -> Vec<&Pod> {
        self.pods.iter().filter(|p| self.workloads[p.workload].place() == place).collect()
    }

    fn named(&self, place: &str, name: &str) -> Option<Pod> {
        self.of(place).into_iter().find(|p| p.name == name).cloned()
    }

    /// A pod of the workload that was alive at that time, other than the caller.
    fn pod_at(&self, place: &str, at: u64, not: Option<&Pod>, rng: &mut Rng) -> Option<Pod> {
        let before = at < ROLLOUT.1 * SECOND;
        let alive: Vec<&Pod> = self
            .of(place)
            .into_iter()
            .filter(|p| place != ROLLOUT.0 || p.gone == before)
            .filter(|p| not.is_none_or(|other| other.name != p.name))
            .collect();
        if alive.is_empty() { None } else { Some((*rng.pick(&alive)).clone()) }
    }

    fn end(&self, what: &str, pod: Option<&Pod>, node: usize, rng: &mut Rng) -> End {
        let plain = |address: String, peer| End { address, port: 0, peer, names: Vec::new(), service: None };
        if let Some(pod) = pod {
            let workload = &self.workloads[pod.workload];
            let peer = Peer::Pod {
                namespace: workload.namespace.to_owned(),
                pod: pod.name.clone(),
                kind: workload.kind.name(),
                workload: workload.name.to_owned(),
                labels: Vec::new(),
            };
            return plain(pod.address.clone(), peer);
        }
        match what {
            "internet" => {
                let block = rng.pick(&["192.0.2", "198.51.100", "203.0.113"]);
                plain(format!("{block}.{}", 128 + rng.below(127)), WORLD)
            }
            "apiserver" => plain(NODES[0].address.to_owned(), API_SERVER),
            // On the pod's own node kubelet speaks from the bridge.
            "kubelet" => plain(format!("10.244.{}.1", NODES[node].subnet), HOST),
            "nodes" => {
                let chosen = usize::try_from(rng.below(3)).unwrap_or_default();
                plain(NODES[chosen].address.to_owned(), if chosen == node { HOST } else { REMOTE_NODE })
            }
            name => {
                let (known, addresses) = OUTSIDE.iter().find(|(n, _)| *n == name).unwrap_or(&OUTSIDE[0]);
                let mut end = plain((*rng.pick(addresses)).to_owned(), WORLD);
                end.names = vec![*known];
                end
            }
        }
    }

    /// The nodes' own traffic: time, and container images.
    fn nodes(&mut self) {
        let mut rng = Rng::of("nodes");
        for (name, address, port, payload) in [
            ("time.example.org", "192.0.2.123", 123, Payload::Udp),
            ("images.example.org", "192.0.2.30", 443, Payload::Tcp(&["SYN"])),
        ] {
            for (i, at) in moments(&mut rng, 6).into_iter().enumerate() {
                let node = &NODES[i % 3];
                let end = |address: &str, port, peer, names| End {
                    address: address.to_owned(),
                    port,
                    peer,
                    names,
                    service: None,
                };
                let from = end(node.address, client_port(&mut rng), HOST, Vec::new());
                let to = end(address, port, WORLD, vec![name]);
                let point = Point::FromPod;
                self.push(&Record {
                    at,
                    node: node.name,
                    point,
                    from,
                    to,
                    payload,
                    reply: Some(false),
                    dropped: false,
                });
            }
        }
    }

    /// DNS queries seen before the Service's address was translated.
    fn through_service_address(&mut self) {
        let mut rng = Rng::of("service address");
        for (i, at) in moments(&mut rng, 8).into_iter().enumerate() {
            let place = ["shop/cart", "orders/orders-worker", "ml/features", "prod/api"][i % 4];
            let Some(pod) = self.pod_at(place, at, None, &mut rng) else { continue };
            let mut from = self.end(place, Some(&pod), pod.node, &mut rng);
            from.port = client_port(&mut rng);
            let to = End {
                address: "10.96.0.10".to_owned(),
                port: 53,
                peer: Peer::Unknown,
                names: Vec::new(),
                service: Some(("kube-system", "kube-dns")),
            };
            let node = NODES[pod.node].name;
            let (point, payload) = (Point::FromPod, Payload::Udp);
            self.push(&Record { at, node, point, from, to, payload, reply: Some(false), dropped: false });
        }
    }

    /// DNS answers that tell which name an outside address had.
    fn dns_names(&mut self, calls: &[Call]) {
        let mut rng = Rng::of("dns names");
        for call in calls.iter().filter(|c| c.kind == "outside" && c.port != 53) {
            let Some((name, addresses)) = OUTSIDE.iter().find(|(name, _)| *name == call.to) else { continue };
            let at = moments(&mut rng, 1)[0];
            self.dns_answer(&call.from, name, addresses, at, &mut rng);
        }
    }

    fn dns_answer(&mut self, place: &str, name: &str, addresses: &[&str], at: u64, rng: &mut Rng) {
        let client = self.pod_at(place, at, None, rng);
        let server = self.pod_at("kube-system/coredns", at, None, rng);
        let (Some(client), Some(server)) = (client, server) else { return };
        let mut from = self.end("", Some(&server), server.node, rng);
        from.port = 53;
        let mut to = self.end("", Some(&client), client.node, rng);
        to.port = client_port(rng);
        let (node, point, payload) = (NODES[server.node].name, Point::FromPod, Payload::Udp);
        let packet = Record { at, node, point, from, to, payload, reply: Some(true), dropped: false };
        self.lines.push((at, dns_answer(&packet, name, addresses)));
    }

    /// What is recorded and was not meant to be.
    fn incidents(&mut self) {
        let mut rng = Rng::of("incidents");
        let nodes: Vec<&str> = NODES.iter().map(|n| n.name).collect();
        self.lines.push((1, connected(1, &nodes)));
        let lost_at = 90_000 * SECOND + 417;
        self.lines.push((lost_at, lost(lost_at, "node-2", 37)));

        // Saturday, 03:12: somebody in `dev/shell` looks the production database up, pings it, and connects.
        let night = 76_320 * SECOND + 118_204_331;
        let db = self.named("prod/db", "db-0");
        let shell = self.pod_at("dev/shell", night, None, &mut rng);
        if let (Some(shell), Some(db)) = (shell, db) {
            self.dns_answer("dev/shell", "db.prod.svc.cluster.local", &[db.address.as_str()], night, &mut rng);
            let mut from = self.end("", Some(&shell), shell.node, &mut rng);
            let mut to = self.end("", Some(&db), db.node, &mut rng);
            let node = NODES[shell.node].name;
            let mut record = Record {
                at: night + SECOND,
                node,
                point: Point::FromPod,
                from: from.clone(),
                to: to.clone(),
                payload: Payload::Ping,
                reply: Some(false),
                dropped: false,
            };
            self.push(&record);
            from.port = client_port(&mut rng);
            to.port = 5432;
            record = Record { at: night + 9 * SECOND, from, to, payload: Payload::Tcp(&["SYN"]), ..record };
            self.push(&record);
        }

        // A notebook asks for the cloud's metadata; the nodes' firewall drops it.
        for at in [30_500 * SECOND + 77, 30_501 * SECOND + 81] {
            let Some(pod) = self.pod_at("analytics/notebook", at, None, &mut rng) else { continue };
            let mut from = self.end("", Some(&pod), pod.node, &mut rng);
            from.port = client_port(&mut rng);
            let to =
                End { address: "169.254.169.254".to_owned(), port: 80, peer: WORLD, names: Vec::new(), service: None };
            let (node, point, payload) = (NODES[pod.node].name, Point::FromPod, Payload::Tcp(&["SYN"]));
            self.push(&Record { at, node, point, from, to, payload, reply: Some(false), dropped: true });
        }
    }
}
