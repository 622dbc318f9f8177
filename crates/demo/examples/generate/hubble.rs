//! Flow records as Hubble and Retina export them with a field mask: one JSON object a line (jsonpb, proto field names).
//! Source: `cilium/cilium:api/v1/flow/flow.proto`, `api/v1/observer/observer.proto`.

use crate::cluster::Protocol;
use std::fmt::Write;

/// 20 November 2026, 06:00 UTC, in hours from the start of that day. Times are nanoseconds from then.
const START_HOUR: u64 = 6;
/// Length of the recording: 48 hours.
pub(crate) const WINDOW_S: u64 = 48 * 3600;
pub(crate) const SECOND: u64 = 1_000_000_000;

/// Who an address belongs to, as the observer knows it.
#[derive(Clone)]
pub(crate) enum Peer {
    Pod {
        namespace: String,
        pod: String,
        kind: &'static str,
        workload: String,
        labels: Vec<String>,
    },
    /// Labels and number of a reserved identity.
    Reserved(&'static [&'static str], u8),
    /// Nobody the observer knows.
    Unknown,
}

pub(crate) const WORLD: Peer = Peer::Reserved(&["reserved:world"], 2);
pub(crate) const HOST: Peer = Peer::Reserved(&["reserved:host"], 1);
pub(crate) const REMOTE_NODE: Peer = Peer::Reserved(&["reserved:remote-node"], 6);
pub(crate) const API_SERVER: Peer = Peer::Reserved(&["reserved:kube-apiserver", "reserved:remote-node"], 7);

/// One end of a packet.
#[derive(Clone)]
pub(crate) struct End {
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) peer: Peer,
    /// DNS names of the address.
    pub(crate) names: Vec<&'static str>,
    /// Namespace and name of the Service whose address it is.
    pub(crate) service: Option<(&'static str, &'static str)>,
}

/// Where the packet was seen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// Leaving a pod, on the pod's node.
    FromPod,
    /// Entering a pod, on the pod's node.
    ToPod,
}

/// What the packet carries.
#[derive(Clone, Copy)]
pub(crate) enum Payload {
    Tcp(&'static [&'static str]),
    Udp,
    Ping,
}

/// One record.
#[derive(Clone)]
pub(crate) struct Record {
    /// Nanoseconds from the start of the recording.
    pub(crate) at: u64,
    pub(crate) node: &'static str,
    pub(crate) point: Point,
    pub(crate) from: End,
    pub(crate) to: End,
    pub(crate) payload: Payload,
    /// Absent: the observer did not know.
    pub(crate) reply: Option<bool>,
    pub(crate) dropped: bool,
}

impl Record {
    /// The packet that answers this one, seen where the server's node sees it leave.
    pub(crate) fn answer(&self, node: &'static str, after: u64) -> Record {
        let payload = match self.payload {
            Payload::Tcp(["SYN"]) => Payload::Tcp(&["SYN", "ACK"]),
            Payload::Tcp(_) => Payload::Tcp(&["PSH", "ACK"]),
            other => other,
        };
        Record {
            at: self.at + after,
            node,
            point: Point::FromPod,
            from: self.to.clone(),
            to: self.from.clone(),
            payload,
            reply: Some(true),
            dropped: false,
        }
    }

    pub(crate) fn json(&self) -> String {
        let time = time(self.at);
        let mut out = format!("{{\"flow\":{{\"time\":\"{time}\"");
        out.push_str(if self.dropped {
            ",\"verdict\":\"DROPPED\",\"drop_reason\":133,\"drop_reason_desc\":\"POLICY_DENIED\""
        } else {
            ",\"verdict\":\"FORWARDED\""
        });
        let _ = write!(
            out,
            ",\"IP\":{{\"source\":\"{}\",\"destination\":\"{}\",\"ipVersion\":\"IPv4\"}},\"l4\":{}",
            self.from.address,
            self.to.address,
            self.l4()
        );
        let _ = write!(out, ",\"source\":{},\"destination\":{}", peer(&self.from.peer), peer(&self.to.peer));
        let _ = write!(out, ",\"Type\":\"L3_L4\",\"node_name\":\"{}\"", self.node);
        for (field, names) in [("source_names", &self.from.names), ("destination_names", &self.to.names)] {
            if !names.is_empty() {
                let _ = write!(out, ",\"{field}\":[\"{}\"]", names.join("\",\""));
            }
        }
        // Zero values are absent: the sub-type of TO_ENDPOINT is 0.
        out.push_str(match (self.dropped, self.point) {
            (true, _) => ",\"event_type\":{\"type\":1}",
            (false, Point::FromPod) => ",\"event_type\":{\"type\":4,\"sub_type\":3}",
            (false, Point::ToPod) => ",\"event_type\":{\"type\":4}",
        });
        for (field, service) in [("source_service", self.from.service), ("destination_service", self.to.service)] {
            if let Some((namespace, name)) = service {
                let _ = write!(out, ",\"{field}\":{{\"name\":\"{name}\",\"namespace\":\"{namespace}\"}}");
            }
        }
        out.push_str(match self.point {
            Point::FromPod => ",\"traffic_direction\":\"EGRESS\",\"trace_observation_point\":\"TO_STACK\"",
            Point::ToPod => ",\"traffic_direction\":\"INGRESS\",\"trace_observation_point\":\"TO_ENDPOINT\"",
        });
        if let Some(reply) = self.reply {
            let _ = write!(out, ",\"is_reply\":{reply}");
        }
        let _ = write!(out, "}},\"node_name\":\"{}\",\"time\":\"{time}\"}}", self.node);
        out
    }

    fn l4(&self) -> String {
        let ports = format!("\"source_port\":{},\"destination_port\":{}", self.from.port, self.to.port);
        match self.payload {
            Payload::Tcp(flags) => {
                let flags: Vec<String> = flags.iter().map(|f| format!("\"{f}\":true")).collect();
                format!("{{\"TCP\":{{{ports},\"flags\":{{{}}}}}}}", flags.join(","))
            }
            Payload::Udp => format!("{{\"UDP\":{{{ports}}}}}"),
            Payload::Ping => "{\"ICMPv4\":{\"type\":8}}".to_owned(),
        }
    }
}

/// The payload of a new connection.
pub(crate) fn opening(protocol: Protocol) -> Payload {
    match protocol {
        Protocol::Tcp => Payload::Tcp(&["SYN"]),
        Protocol::Udp => Payload::Udp,
    }
}

/// A DNS answer as the L7 record that goes with it: the resolver's pod to the client's.
pub(crate) fn dns_answer(packet: &Record, name: &str, addresses: &[&str]) -> String {
    let time = time(packet.at);
    format!(
        "{{\"flow\":{{\"time\":\"{time}\",\"verdict\":\"FORWARDED\",\"IP\":{{\"source\":\"{}\",\"destination\":\"{}\",\
         \"ipVersion\":\"IPv4\"}},\"l4\":{},\"source\":{},\"destination\":{},\"Type\":\"L7\",\"node_name\":\"{node}\",\
         \"l7\":{{\"type\":\"RESPONSE\",\"dns\":{{\"query\":\"{name}.\",\"ips\":[\"{}\"],\"ttl\":30,\
         \"qtypes\":[\"A\"],\"rrtypes\":[\"A\"]}}}},\"event_type\":{{\"type\":129}},\
         \"traffic_direction\":\"EGRESS\",\"is_reply\":true}},\"node_name\":\"{node}\",\"time\":\"{time}\"}}",
        packet.from.address,
        packet.to.address,
        packet.l4(),
        peer(&packet.from.peer),
        peer(&packet.to.peer),
        addresses.join("\",\""),
        node = packet.node,
    )
}

/// A record of events that the observer lost.
pub(crate) fn lost(at: u64, node: &str, events: u32) -> String {
    let (first, last) = (time(at - SECOND), time(at));
    format!(
        "{{\"lost_events\":{{\"source\":\"HUBBLE_RING_BUFFER\",\"num_events_lost\":\"{events}\",\"first\":\"{first}\",\
         \"last\":\"{last}\"}},\"node_name\":\"{node}\",\"time\":\"{last}\"}}"
    )
}

/// A record about the observers themselves.
pub(crate) fn connected(at: u64, nodes: &[&str]) -> String {
    format!(
        "{{\"node_status\":{{\"state_change\":\"NODE_CONNECTED\",\"node_names\":[\"{}\"]}},\"time\":\"{}\"}}",
        nodes.join("\",\""),
        time(at)
    )
}

fn peer(peer: &Peer) -> String {
    match peer {
        Peer::Unknown => "{}".to_owned(),
        Peer::Reserved(labels, identity) => {
            format!("{{\"identity\":{identity},\"labels\":[\"{}\"]}}", labels.join("\",\""))
        }
        Peer::Pod { namespace, pod, kind, workload, labels } => {
            let labels =
                if labels.is_empty() { String::new() } else { format!("\"labels\":[\"{}\"],", labels.join("\",\"")) };
            format!(
                "{{\"namespace\":\"{namespace}\",{labels}\"pod_name\":\"{pod}\",\
                 \"workloads\":[{{\"name\":\"{workload}\",\"kind\":\"{kind}\"}}]}}"
            )
        }
    }
}

/// RFC 3339, UTC, nanoseconds.
fn time(at: u64) -> String {
    let seconds = at / SECOND + START_HOUR * 3600;
    let (day, second) = (20 + seconds / 86_400, seconds % 86_400);
    format!("2026-11-{day:02}T{:02}:{:02}:{:02}.{:09}Z", second / 3600, second / 60 % 60, second % 60, at % SECOND)
}
