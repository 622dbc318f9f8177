//! The ground truth as a table, for tests that compare learned policies with it.

use crate::calls::{Call, OUTSIDE};
use crate::cluster::NODES;
use std::fmt::Write;

/// `intended.csv`: one line per pair of ends, protocol and port. Ends are `namespace/workload`, `ip:CIDR`, `node:NAME`, or
/// `kubelet` (of the pod's own node).
pub(crate) fn csv(calls: &[Call]) -> String {
    let mut out = String::from("source,destination,protocol,port,kind,seen,name\n");
    for call in calls {
        for from in ends(&call.from) {
            for to in ends(&call.to) {
                let name = if OUTSIDE.iter().any(|(n, _)| *n == call.to) { call.to.as_str() } else { "" };
                let (protocol, seen) = (call.protocol.name(), call.seen.word());
                // Writing to a String cannot fail.
                let _ = writeln!(out, "{from},{to},{protocol},{},{},{seen},{name}", call.port, call.kind);
            }
        }
    }
    out
}

fn ends(what: &str) -> Vec<String> {
    match what {
        "internet" => vec!["ip:0.0.0.0/0".to_owned()],
        "apiserver" => vec![format!("node:{}", NODES[0].name)],
        "nodes" => NODES.iter().map(|n| format!("node:{}", n.name)).collect(),
        place if place.contains('/') || place == "kubelet" => vec![place.to_owned()],
        name => {
            let addresses = OUTSIDE.iter().filter(|(n, _)| *n == name).flat_map(|(_, list)| list.iter());
            addresses.map(|a| format!("ip:{a}/32")).collect()
        }
    }
}
