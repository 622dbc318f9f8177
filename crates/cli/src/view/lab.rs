//! What is in a lab.

use super::Head;
use crate::page::{Page, Table, Tone, toned};
use crate::render::Report;
use serde::Serialize;
use watertight_lab::plan::{Plan, Topology};
use watertight_model::{Protocol, World};

/// What is there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusView {
    #[serde(flatten)]
    head: Head,
    topology: Topology,
    answering: bool,
    policies: usize,
    nodes: Vec<NodeView>,
    pods: Vec<PodView>,
    left_out: Vec<String>,
}

#[derive(Debug, Serialize)]
struct NodeView {
    name: String,
    addresses: [String; 2],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PodView {
    namespace: String,
    name: String,
    node: String,
    host_network: bool,
    addresses: [String; 2],
    netns: String,
    ports: Vec<String>,
}

fn port(protocol: impl Into<Protocol>, port: u16) -> String {
    format!("{port}/{}", protocol.into().name())
}

impl StatusView {
    /// The lab of this plan.
    pub fn of(plan: &Plan, world: &World, answering: bool) -> Self {
        let both = |(v4, v6): (std::net::Ipv4Addr, std::net::Ipv6Addr)| [v4.to_string(), v6.to_string()];
        Self {
            head: Head::new("Lab"),
            topology: plan.topology,
            answering,
            policies: world.policies.len() + world.cluster_policies.len(),
            nodes: plan.nodes.iter().map(|n| NodeView { name: n.name.clone(), addresses: both(n.addresses) }).collect(),
            pods: plan
                .pods
                .iter()
                .map(|p| PodView {
                    namespace: p.namespace.clone(),
                    name: p.name.clone(),
                    node: plan.nodes[p.node].name.clone(),
                    host_network: p.host_network,
                    addresses: both(p.addresses),
                    netns: p.netns.clone(),
                    ports: p.listens.iter().map(|(protocol, number)| port(*protocol, *number)).collect(),
                })
                .collect(),
            left_out: plan.left_out.clone(),
        }
    }
}

impl Report for StatusView {
    fn page(&self) -> Page {
        let mut page = Page::default();
        let answering = if self.answering { toned(Tone::Good, "answering") } else { toned(Tone::Bad, "not answering") };
        page.line(answering.and(
            Tone::Plain,
            format!("; {} nodes, {} pods, {} policies", self.nodes.len(), self.pods.len(), self.policies),
        ));
        let mut table = Table::new(["NODE", "POD", "IPV4", "IPV6", "PORTS"]);
        table.grouped = 1;
        let mut pods: Vec<&PodView> = self.pods.iter().collect();
        pods.sort_by_key(|p| &p.node);
        for pod in pods {
            let host = if pod.host_network { " (hostNetwork)" } else { "" };
            table.row([
                pod.node.as_str().into(),
                format!("{}/{}{host}", pod.namespace, pod.name).into(),
                pod.addresses[0].as_str().into(),
                pod.addresses[1].as_str().into(),
                pod.ports.join(", ").into(),
            ]);
        }
        page.table(table);
        page
    }
}
