//! Hubble's JSON: `flow.proto` and `observer.proto` as protobuf JSON, one record a line.
//! Source: `cilium/cilium:api/v1/flow/flow.proto`, `api/v1/observer/observer.proto`.
//!
//! The server's port is never derived from `traffic_direction` or from port numbers: replies carry the server port as their
//! source port under either. `is_reply` decides, then `trace_reason`, then the SYN flag; else the direction is unknown.

use crate::record::{Direction, End, Fate, Line, Record, Transport};
use serde::Deserialize;
use std::borrow::Cow;
use std::net::IpAddr;
use watertight_model::Protocol;

/// A 64-bit integer: protobuf JSON writes a string, other writers a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number<'l> {
    Int(u64),
    #[serde(borrow)]
    Text(Cow<'l, str>),
}

impl Number<'_> {
    fn value(&self) -> u64 {
        match self {
            Number::Int(n) => *n,
            Number::Text(text) => text.parse().unwrap_or(0),
        }
    }
}

#[derive(Deserialize)]
struct Envelope<'l> {
    #[serde(borrow)]
    flow: Option<Flow<'l>>,
    #[serde(borrow, alias = "lostEvents")]
    lost_events: Option<Lost<'l>>,
    #[serde(borrow, alias = "nodeName")]
    node_name: Option<Cow<'l, str>>,
    #[serde(alias = "nodeStatus")]
    node_status: Option<serde::de::IgnoredAny>,
    #[serde(alias = "agentEvent")]
    agent_event: Option<serde::de::IgnoredAny>,
    #[serde(alias = "debugEvent")]
    debug_event: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Lost<'l> {
    #[serde(borrow, alias = "numEventsLost")]
    num_events_lost: Option<Number<'l>>,
}

#[derive(Deserialize)]
struct Flow<'l> {
    #[serde(borrow)]
    time: Option<Cow<'l, str>>,
    #[serde(borrow)]
    verdict: Option<Cow<'l, str>>,
    #[serde(borrow, alias = "dropReasonDesc")]
    drop_reason_desc: Option<Cow<'l, str>>,
    #[serde(alias = "dropReason")]
    drop_reason: Option<u32>,
    #[serde(borrow, rename = "IP", alias = "ip")]
    ip: Option<Ip<'l>>,
    l4: Option<L4>,
    #[serde(borrow)]
    source: Option<Endpoint<'l>>,
    #[serde(borrow)]
    destination: Option<Endpoint<'l>>,
    #[serde(borrow, rename = "Type", alias = "type")]
    kind: Option<Cow<'l, str>>,
    #[serde(borrow, alias = "nodeName")]
    node_name: Option<Cow<'l, str>>,
    #[serde(borrow, default, alias = "destinationNames")]
    destination_names: Vec<Cow<'l, str>>,
    #[serde(alias = "isReply")]
    is_reply: Option<bool>,
    #[serde(borrow, alias = "traceReason")]
    trace_reason: Option<Cow<'l, str>>,
    #[serde(borrow, alias = "sockXlatePoint")]
    sock_xlate_point: Option<Cow<'l, str>>,
    #[serde(borrow)]
    aggregate: Option<Aggregate<'l>>,
}

#[derive(Deserialize)]
struct Aggregate<'l> {
    #[serde(borrow, alias = "ingressFlowCount")]
    ingress_flow_count: Option<Number<'l>>,
    #[serde(borrow, alias = "egressFlowCount")]
    egress_flow_count: Option<Number<'l>>,
    #[serde(borrow, alias = "unknownDirectionFlowCount")]
    unknown_direction_flow_count: Option<Number<'l>>,
}

#[derive(Deserialize)]
struct Ip<'l> {
    #[serde(borrow)]
    source: Option<Cow<'l, str>>,
    #[serde(borrow)]
    destination: Option<Cow<'l, str>>,
}

#[derive(Deserialize)]
struct L4 {
    #[serde(rename = "TCP", alias = "tcp")]
    tcp: Option<Tcp>,
    #[serde(rename = "UDP", alias = "udp")]
    udp: Option<Ports>,
    #[serde(rename = "SCTP", alias = "sctp")]
    sctp: Option<Ports>,
}

#[derive(Deserialize)]
struct Ports {
    #[serde(default, alias = "sourcePort")]
    source_port: u16,
    #[serde(default, alias = "destinationPort")]
    destination_port: u16,
}

#[derive(Deserialize)]
struct Tcp {
    #[serde(default, alias = "sourcePort")]
    source_port: u16,
    #[serde(default, alias = "destinationPort")]
    destination_port: u16,
    flags: Option<Flags>,
}

#[derive(Deserialize)]
#[expect(non_snake_case, reason = "names as in the proto")]
struct Flags {
    #[serde(default)]
    SYN: bool,
    #[serde(default)]
    ACK: bool,
}

#[derive(Deserialize)]
struct Endpoint<'l> {
    #[serde(borrow)]
    namespace: Option<Cow<'l, str>>,
    #[serde(borrow, alias = "podName")]
    pod_name: Option<Cow<'l, str>>,
    #[serde(borrow, default)]
    labels: Vec<Cow<'l, str>>,
    #[serde(borrow, default)]
    workloads: Vec<Owner<'l>>,
}

#[derive(Deserialize)]
struct Owner<'l> {
    #[serde(borrow)]
    name: Option<Cow<'l, str>>,
    #[serde(borrow)]
    kind: Option<Cow<'l, str>>,
}

/// Whether a text looks like this format: used to tell formats apart by their first line.
pub(crate) fn looks_like(line: &str) -> bool {
    ["\"flow\"", "\"lost_events\"", "\"lostEvents\"", "\"node_status\"", "\"nodeStatus\"", "\"agent_event\"", "\"l4\""]
        .iter()
        .any(|k| line.contains(k))
}

/// Reads one line.
pub fn line(text: &str) -> Line<'_> {
    let trimmed = text.trim_start();
    // fluent-bit wraps the line in a JSON string; such a line cannot be borrowed from.
    if trimmed.starts_with('"') {
        return match serde_json::from_str::<String>(trimmed) {
            Ok(inner) => own(line(&inner)),
            Err(error) => Line::Malformed(error.to_string()),
        };
    }
    let envelope: Envelope<'_> = match serde_json::from_str(text) {
        Ok(envelope) => envelope,
        Err(error) => return Line::Malformed(error.to_string()),
    };
    if let Some(lost) = envelope.lost_events {
        return Line::Lost(lost.num_events_lost.map_or(0, |n| n.value()));
    }
    if let Some(flow) = envelope.flow {
        return facts(flow, envelope.node_name);
    }
    if envelope.node_status.is_some() || envelope.agent_event.is_some() || envelope.debug_event.is_some() {
        return Line::Ignored("no flow: status of the recorder");
    }
    // Without an envelope the line is the flow itself.
    match serde_json::from_str::<Flow<'_>>(text) {
        Ok(flow) if flow.ip.is_some() || flow.verdict.is_some() => facts(flow, None),
        Ok(_) => Line::Ignored("no flow: unknown record"),
        Err(error) => Line::Malformed(error.to_string()),
    }
}

fn own(line: Line<'_>) -> Line<'static> {
    let cow = |c: Cow<'_, str>| Cow::Owned(c.into_owned());
    let end = |e: End<'_>| match e {
        End::Pod(ns, name, owner) => End::Pod(cow(ns), cow(name), owner.map(|(k, n)| (cow(k), cow(n)))),
        End::Host(node) => End::Host(cow(node)),
        End::Address(ip) => End::Address(ip),
    };
    match line {
        Line::Flow(r) => Line::Flow(Record {
            time_ns: r.time_ns,
            source: end(r.source),
            destination: end(r.destination),
            transport: r.transport,
            direction: r.direction,
            fate: r.fate,
            weight: r.weight,
            node: cow(r.node),
            destination_names: r.destination_names.into_iter().map(cow).collect(),
        }),
        Line::Lost(n) => Line::Lost(n),
        Line::Ignored(why) => Line::Ignored(why),
        Line::Malformed(why) => Line::Malformed(why),
    }
}

fn facts<'l>(flow: Flow<'l>, envelope_node: Option<Cow<'l, str>>) -> Line<'l> {
    match flow.kind.as_deref() {
        Some("L7") => return Line::Ignored("an application record beside its packets"),
        Some("SOCK") => return Line::Ignored("a socket event, not a packet"),
        _ => {}
    }
    if flow.sock_xlate_point.as_deref().is_some_and(|p| !p.ends_with("UNKNOWN")) {
        return Line::Ignored("a socket event, not a packet");
    }
    let fate = match flow.verdict.as_deref() {
        Some("FORWARDED" | "REDIRECTED" | "AUDIT" | "TRACED") => Fate::Passed,
        Some("DROPPED") => {
            let by_policy =
                matches!(flow.drop_reason_desc.as_deref(), Some("POLICY_DENIED" | "POLICY_DENY" | "AUTH_REQUIRED"))
                    || matches!(flow.drop_reason, Some(133 | 181 | 189));
            if !by_policy {
                return Line::Ignored("dropped, not by a policy");
            }
            Fate::Denied
        }
        Some("TRANSLATED") => return Line::Ignored("a socket event, not a packet"),
        Some("ERROR") => return Line::Ignored("an error of the recorder"),
        _ => return Line::Ignored("an unknown verdict"),
    };
    let Some(transport) = flow.l4.as_ref().and_then(transport) else {
        return Line::Ignored("a protocol without ports");
    };
    let Some(time_ns) = flow.time.as_deref().and_then(nanoseconds) else {
        return Line::Malformed("the flow has no readable time".to_owned());
    };
    let syn = flow.l4.as_ref().and_then(|l| l.tcp.as_ref()).and_then(|t| t.flags.as_ref());
    let direction = match (flow.is_reply, flow.trace_reason.as_deref(), syn) {
        (Some(true), ..) | (None, Some("REPLY"), _) => Direction::Reply,
        (Some(false), ..) | (None, Some("NEW" | "ESTABLISHED"), _) => Direction::Forward,
        (None, _, Some(Flags { SYN: true, ACK: false })) => Direction::Forward,
        (None, _, Some(Flags { SYN: true, ACK: true })) => Direction::Reply,
        (None, ..) => Direction::Unknown,
    };
    let node = flow.node_name.or(envelope_node).unwrap_or_default();
    // `cluster/node` in clusters of clusters.
    let node = match node.rsplit_once('/') {
        Some((_, name)) => Cow::Owned(name.to_owned()),
        None => node,
    };
    let ip = flow.ip.as_ref();
    let address = |text: Option<&Cow<'l, str>>| text.and_then(|t| t.parse::<IpAddr>().ok());
    let source = end(flow.source, address(ip.and_then(|i| i.source.as_ref())), &node);
    let destination = end(flow.destination, address(ip.and_then(|i| i.destination.as_ref())), &node);
    let (Some(source), Some(destination)) = (source, destination) else {
        return Line::Ignored("an end with neither name nor address");
    };
    let weight = flow.aggregate.map_or(1, |a| {
        let n = |x: Option<Number<'_>>| x.map_or(0, |n| n.value());
        (n(a.ingress_flow_count) + n(a.egress_flow_count) + n(a.unknown_direction_flow_count)).max(1)
    });
    let destination_names = flow.destination_names;
    Line::Flow(Record { time_ns, source, destination, transport, direction, fate, weight, node, destination_names })
}

fn transport(l4: &L4) -> Option<Transport> {
    let of = |protocol, source_port, destination_port| Some(Transport { protocol, source_port, destination_port });
    match (&l4.tcp, &l4.udp, &l4.sctp) {
        (Some(p), ..) => of(Protocol::Tcp, p.source_port, p.destination_port),
        (None, Some(p), _) => of(Protocol::Udp, p.source_port, p.destination_port),
        (None, None, Some(p)) => of(Protocol::Sctp, p.source_port, p.destination_port),
        (None, None, None) => None,
    }
}

fn end<'l>(endpoint: Option<Endpoint<'l>>, ip: Option<IpAddr>, node: &Cow<'l, str>) -> Option<End<'l>> {
    let Some(Endpoint { namespace, pod_name, labels, mut workloads }) = endpoint else { return ip.map(End::Address) };
    let filled = |text: Option<Cow<'l, str>>| text.filter(|t| !t.is_empty());
    if let (Some(namespace), Some(name)) = (filled(namespace), filled(pod_name)) {
        let owner = if workloads.is_empty() { None } else { Some(workloads.swap_remove(0)) };
        let owner = owner.and_then(|o| Some((filled(o.kind)?, filled(o.name)?)));
        return Some(End::Pod(namespace, name, owner));
    }
    // The node itself; another node and the API server are addresses like any other.
    if labels.iter().any(|l| l == "reserved:host") && !node.is_empty() {
        return Some(End::Host(node.clone()));
    }
    ip.map(End::Address)
}

/// RFC 3339 with up to nine digits of fraction, to nanoseconds since the epoch.
pub(crate) fn nanoseconds(text: &str) -> Option<i64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#"{"flow":{"time":"2026-10-02T08:14:07.5Z","verdict":"FORWARDED","IP":{"source":"10.0.0.1","destination":"10.0.0.2"},"l4":{"TCP":{"source_port":51834,"destination_port":8080}},"source":{"namespace":"shop","pod_name":"cart-1","workloads":[{"name":"cart","kind":"Deployment"}]},"destination":{"namespace":"shop","pod_name":"db-0"},"Type":"L3_L4","is_reply":false},"node_name":"eu/node-1"}"#;

    fn with(from: &str, to: &str) -> String {
        assert!(BASE.contains(from), "{from}");
        BASE.replace(from, to)
    }

    fn flow(text: &str) -> Record<'_> {
        match line(text) {
            Line::Flow(record) => record,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_opener() {
        let record = flow(BASE);
        assert_eq!(record.direction, Direction::Forward);
        assert_eq!((record.fate, record.weight, &*record.node), (Fate::Passed, 1, "node-1"));
        assert_eq!(record.time_ns, 1_790_928_847_500_000_000);
        let owner = Some(("Deployment".to_owned(), "cart".to_owned()));
        assert_eq!(record.source.who(), Who::Pod { namespace: "shop".into(), name: "cart-1".into(), owner });
    }

    use crate::record::Who;

    /// Trap a: the direction comes from `is_reply`, then the trace reason, then SYN, never from ports or `traffic_direction`.
    #[test]
    fn direction_has_three_states() {
        let direction = |text: &str| flow(text).direction;
        let reply = with(r#""is_reply":false"#, r#""is_reply":true,"traffic_direction":"EGRESS""#);
        assert_eq!(direction(&reply), Direction::Reply);
        let unsaid = |more: &str| with(r#","is_reply":false"#, more);
        assert_eq!(direction(&unsaid("")), Direction::Unknown);
        assert_eq!(direction(&unsaid(r#","traffic_direction":"EGRESS""#)), Direction::Unknown);
        assert_eq!(direction(&unsaid(r#","trace_reason":"REPLY""#)), Direction::Reply);
        assert_eq!(direction(&unsaid(r#","trace_reason":"NEW""#)), Direction::Forward);
        let flags = |f: &str| {
            with(r#"8080}},"source""#, &format!(r#"8080,"flags":{{{f}}}}}}},"source""#))
                .replace(r#","is_reply":false"#, "")
        };
        assert_eq!(direction(&flags(r#""SYN":true"#)), Direction::Forward);
        assert_eq!(direction(&flags(r#""SYN":true,"ACK":true"#)), Direction::Reply);
        assert_eq!(direction(&flags(r#""ACK":true"#)), Direction::Unknown);
    }

    #[test]
    fn denied_is_not_dropped_for_other_reasons() {
        let denied = with("\"FORWARDED\"", r#""DROPPED","drop_reason_desc":"POLICY_DENIED""#);
        assert_eq!(flow(&denied).fate, Fate::Denied);
        let other = with("\"FORWARDED\"", r#""DROPPED","drop_reason_desc":"CT_MAP_INSERTION_FAILED""#);
        assert!(matches!(line(&other), Line::Ignored("dropped, not by a policy")));
        assert!(matches!(line(&with("\"FORWARDED\"", "\"AUDIT\"")), Line::Flow(Record { fate: Fate::Passed, .. })));
        assert!(matches!(line(&with("\"FORWARDED\"", "\"NEWER\"")), Line::Ignored("an unknown verdict")));
    }

    #[test]
    fn hosts_addresses_and_names() {
        let host = with(
            r#""namespace":"shop","pod_name":"cart-1","workloads":[{"name":"cart","kind":"Deployment"}]"#,
            r#""identity":1,"labels":["reserved:host"]"#,
        );
        assert_eq!(flow(&host).source.who(), Who::Host { node: "node-1".into() });
        let world = with(r#""namespace":"shop","pod_name":"db-0""#, r#""identity":2,"labels":["reserved:world"]"#)
            .replace(r#""Type""#, r#""destination_names":["pay.example.com"],"Type""#);
        assert_eq!(flow(&world).destination.who(), Who::Address("10.0.0.2".parse().unwrap()));
        assert_eq!(flow(&world).destination_names, ["pay.example.com"]);
    }

    #[test]
    fn other_records_and_forms() {
        assert!(matches!(line(r#"{"lost_events":{"num_events_lost":"512"},"node_name":"n"}"#), Line::Lost(512)));
        assert!(matches!(line(r#"{"lostEvents":{"numEventsLost":7}}"#), Line::Lost(7)));
        assert!(matches!(line(r#"{"node_status":{}}"#), Line::Ignored(_)));
        assert!(matches!(line("{\"flow\""), Line::Malformed(_)));
        assert!(matches!(line("not json"), Line::Malformed(_)));
        let bare = &BASE[8..BASE.len() - 25];
        assert_eq!(flow(bare).transport.destination_port, 8080);
        let wrapped = serde_json::to_string(BASE).unwrap();
        assert_eq!(flow(&wrapped).transport.source_port, 51834);
        let camel = BASE
            .replace("source_port", "sourcePort")
            .replace("destination_port", "destinationPort")
            .replace("is_reply", "isReply")
            .replace("pod_name", "podName");
        assert_eq!((flow(&camel).transport.destination_port, flow(&camel).direction), (8080, Direction::Forward));
        let aggregated = with(r#""Type""#, r#""aggregate":{"ingress_flow_count":"3","egress_flow_count":4},"Type""#);
        assert_eq!(flow(&aggregated).weight, 7);
        assert!(matches!(
            line(&with(r#""TCP":{"source_port":51834,"destination_port":8080}"#, r#""ICMPv4":{"type":8}"#)),
            Line::Ignored("a protocol without ports")
        ));
        assert!(matches!(line(&with("L3_L4", "L7")), Line::Ignored(_)));
    }
}
