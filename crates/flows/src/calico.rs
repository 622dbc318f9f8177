//! Calico Enterprise and Cloud flow logs: Elasticsearch JSON, one aggregated record a line.
//! Source: the flow log data types of Calico's documentation.
//!
//! Both ends report one flow: only the source's report is counted where a pod is the source, else the destination's. `-` and
//! `null` mean "not said". The destination port is the pod's; the Service's stands in `dest_service_port`.

use crate::record::{Direction, End, Fate, Line, Record, Transport};
use serde::Deserialize;
use std::borrow::Cow;
use std::net::IpAddr;
use watertight_model::Protocol;

#[derive(Deserialize)]
struct Log<'l> {
    start_time: Option<i64>,
    #[serde(borrow)]
    source_ip: Option<Cow<'l, str>>,
    #[serde(borrow)]
    source_name: Option<Cow<'l, str>>,
    #[serde(borrow)]
    source_name_aggr: Option<Cow<'l, str>>,
    #[serde(borrow)]
    source_namespace: Option<Cow<'l, str>>,
    #[serde(borrow)]
    source_type: Option<Cow<'l, str>>,
    source_port: Option<u16>,
    #[serde(borrow)]
    dest_ip: Option<Cow<'l, str>>,
    #[serde(borrow)]
    dest_name: Option<Cow<'l, str>>,
    #[serde(borrow)]
    dest_name_aggr: Option<Cow<'l, str>>,
    #[serde(borrow)]
    dest_namespace: Option<Cow<'l, str>>,
    #[serde(borrow)]
    dest_type: Option<Cow<'l, str>>,
    dest_port: Option<u16>,
    #[serde(borrow)]
    dest_domains: Option<Vec<Cow<'l, str>>>,
    #[serde(borrow)]
    proto: Option<Cow<'l, str>>,
    #[serde(borrow)]
    action: Option<Cow<'l, str>>,
    #[serde(borrow)]
    reporter: Option<Cow<'l, str>>,
    #[serde(borrow)]
    host: Option<Cow<'l, str>>,
    num_flows: Option<u64>,
}

/// Whether a text looks like this format.
pub(crate) fn looks_like(line: &str) -> bool {
    line.contains("\"reporter\"") && line.contains("\"dest_type\"")
}

/// Reads one line.
pub fn line(text: &str) -> Line<'_> {
    let log: Log<'_> = match serde_json::from_str(text) {
        Ok(log) => log,
        Err(error) => return Line::Malformed(error.to_string()),
    };
    let protocol = match log.proto.as_deref() {
        Some("tcp" | "6") => Protocol::Tcp,
        Some("udp" | "17") => Protocol::Udp,
        Some("sctp" | "132") => Protocol::Sctp,
        _ => return Line::Ignored("a protocol without ports"),
    };
    let fate = match log.action.as_deref() {
        Some("allow") => Fate::Passed,
        Some("deny") => Fate::Denied,
        _ => return Line::Ignored("an unknown verdict"),
    };
    let from_pod = log.source_type.as_deref() == Some("wep");
    match (log.reporter.as_deref(), from_pod, fate) {
        (Some("fwd"), ..) => return Line::Ignored("a forwarding node's report of a flow between others"),
        // A denial at the destination is reported there only.
        (Some("dst"), true, Fate::Passed) => return Line::Ignored("the other end's report of the same flow"),
        _ => {}
    }
    let Some(destination_port) = log.dest_port.filter(|p| *p > 0) else {
        return Line::Ignored("aggregated beyond ports");
    };
    let source = end(log.source_type, log.source_namespace, log.source_name, log.source_name_aggr, log.source_ip);
    let destination = end(log.dest_type, log.dest_namespace, log.dest_name, log.dest_name_aggr, log.dest_ip);
    let (Some(source), Some(destination)) = (source, destination) else {
        return Line::Ignored("aggregated beyond names and addresses");
    };
    let Some(time_ns) = log.start_time.and_then(|s| s.checked_mul(1_000_000_000)) else {
        return Line::Malformed("the flow has no readable time".to_owned());
    };
    Line::Flow(Record {
        time_ns,
        source,
        destination,
        transport: Transport { protocol, source_port: log.source_port.unwrap_or(0), destination_port },
        direction: Direction::Forward,
        fate,
        weight: log.num_flows.unwrap_or(1).max(1),
        node: log.host.unwrap_or_default(),
        destination_names: log.dest_domains.unwrap_or_default(),
    })
}

fn end<'l>(
    kind: Option<Cow<'l, str>>,
    namespace: Option<Cow<'l, str>>,
    name: Option<Cow<'l, str>>,
    aggregated: Option<Cow<'l, str>>,
    ip: Option<Cow<'l, str>>,
) -> Option<End<'l>> {
    let said = |text: Option<Cow<'l, str>>| text.filter(|t| !t.is_empty() && t != "-");
    let ip = said(ip).and_then(|t| t.parse::<IpAddr>().ok());
    match kind.as_deref() {
        Some("wep") => Some(End::Pod(said(namespace)?, said(name).or_else(|| said(aggregated))?, None)),
        Some("hep") => match said(name).or_else(|| said(aggregated)) {
            Some(name) => Some(End::Host(name)),
            None => ip.map(End::Address),
        },
        _ => ip.map(End::Address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Who;

    const BASE: &str = r#"{"start_time":1790928600,"end_time":1790928900,"source_ip":"10.42.3.17","source_name":"cart-7c9-q2x","source_name_aggr":"cart-7c9-*","source_namespace":"shop","source_port":51834,"source_type":"wep","dest_ip":"10.42.1.88","dest_name":"catalog-0","dest_name_aggr":"catalog-*","dest_namespace":"shop","dest_port":8080,"dest_type":"wep","dest_service_port":"http","proto":"tcp","action":"allow","reporter":"src","num_flows":3,"host":"node-3"}"#;

    fn flow(text: &str) -> Record<'_> {
        match line(text) {
            Line::Flow(record) => record,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_flow_and_its_other_report() {
        let record = flow(BASE);
        assert_eq!((record.weight, record.transport.destination_port, record.fate), (3, 8080, Fate::Passed));
        assert_eq!(record.time_ns, 1_790_928_600_000_000_000);
        let other = BASE.replace("\"src\"", "\"dst\"");
        assert!(matches!(line(&other), Line::Ignored("the other end's report of the same flow")));
        let denied = other.replace("\"allow\"", "\"deny\"");
        assert_eq!(flow(&denied).fate, Fate::Denied);
    }

    #[test]
    fn what_is_not_said() {
        let aggregated = BASE.replace("\"cart-7c9-q2x\"", "\"-\"");
        let who = flow(&aggregated).source.who();
        assert_eq!(who, Who::Pod { namespace: "shop".into(), name: "cart-7c9-*".into(), owner: None });
        assert!(matches!(
            line(&BASE.replace("\"dest_port\":8080", "\"dest_port\":null")),
            Line::Ignored("aggregated beyond ports")
        ));
        let outside = BASE.replace("\"dest_type\":\"wep\"", "\"dest_type\":\"net\"");
        assert_eq!(flow(&outside).destination.who(), Who::Address("10.42.1.88".parse().unwrap()));
        assert!(matches!(line("{}"), Line::Ignored(_)));
        assert!(matches!(line("{"), Line::Malformed(_)));
    }
}
