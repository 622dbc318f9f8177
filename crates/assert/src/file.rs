//! What an assertion is.

use std::net::IpAddr;
use watertight_model::{Cidr, Origin, PortSet, Selector, Source, Str};

/// All assertions of some files.
#[derive(Clone, Debug, Default)]
pub struct Assertions {
    /// In the order written.
    pub list: Vec<Assertion>,
    /// The files; places are in them.
    pub sources: Vec<Source>,
}

/// One assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// What people call it: its `name`, else who and whom in words.
    pub name: String,
    /// Who opens connections: any of these. Never empty.
    pub from: Vec<Who>,
    /// Who receives them: any of these. Never empty.
    pub to: Vec<Who>,
    /// On which ports; `None`: all of them, or those that a Service declares.
    pub ports: Option<Ports>,
    /// What has to hold.
    pub mode: Mode,
    /// What a verdict that depends on something counts as.
    pub depends: Depends,
    /// Flows that it does not speak of; at most [`EXCEPTIONS`].
    pub except: Vec<Exception>,
    /// The whole of it.
    pub origin: Origin,
}

/// Exceptions of one assertion: one bit each.
pub const EXCEPTIONS: usize = 64;

/// What has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everyone of `from` reaches everyone of `to` on every port.
    Must,
    /// Nobody of `from` reaches anybody of `to` on any port.
    MustNot,
    /// Either way: written down so that readers know, and so that it fails when it no longer means anyone.
    May,
}

impl Mode {
    /// All, by their names.
    pub const ALL: [Mode; 3] = [Mode::Must, Mode::MustNot, Mode::May];

    /// As in the file.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Must => "must",
            Mode::MustNot => "mustNot",
            Mode::May => "may",
        }
    }
}

/// What a verdict that depends on something counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depends {
    /// The assertion fails (the default): what could not be told does not hold.
    Fails,
    /// It is passed over.
    Passes,
}

/// Flows that an assertion does not speak of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Sources; `None`: any.
    pub from: Option<Vec<Who>>,
    /// Destinations; `None`: any.
    pub to: Option<Vec<Who>>,
    /// Ports; `None`: all.
    pub ports: Option<Ports>,
    /// Where.
    pub origin: Origin,
}

/// Ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Of TCP, UDP and SCTP.
    pub set: PortSet,
    /// ICMP, which stands for all protocols without ports.
    pub other: bool,
}

/// One entry of `from` or `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Whom it means.
    pub kind: WhoKind,
    /// Where.
    pub origin: Origin,
}

/// Whom an entry means.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WhoKind {
    /// The pods of a workload, or one pod: `namespace/name` or `Kind/namespace/name`.
    Workload(Str),
    /// Pods by labels, of some namespaces.
    Pods {
        /// Which namespaces.
        namespaces: Namespaces,
        /// Which pods; everything: all.
        pods: Selector,
    },
    /// The backends of a Service: `namespace/name`; destinations only.
    Service(Str),
    /// One address, whoever has it.
    Ip(IpAddr),
    /// Addresses outside the cluster, and those pods and nodes whose known address is inside.
    Block(Cidr),
    /// Every address outside the cluster.
    Outside,
    /// A node by name.
    Node(Str),
    /// Nodes by labels; everything: all.
    Nodes(Selector),
}

/// Which namespaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Namespaces {
    /// All.
    Every,
    /// The one of this name.
    Named(Str),
    /// By labels.
    Of(Selector),
}

impl WhoKind {
    /// In words: `shop/web`, `pods with app=db of namespace shop`, `outside`.
    pub fn words(&self) -> String {
        use watertight_engine::explain::words::selector;
        match self {
            WhoKind::Workload(name) => name.to_string(),
            WhoKind::Service(name) => format!("Service {name}"),
            WhoKind::Ip(ip) => ip.to_string(),
            WhoKind::Block(cidr) => cidr.to_string(),
            WhoKind::Outside => "outside".to_owned(),
            WhoKind::Node(name) => format!("node {name}"),
            WhoKind::Nodes(labels) if labels.is_everything() => "every node".to_owned(),
            WhoKind::Nodes(labels) => format!("nodes with {}", selector(labels)),
            WhoKind::Pods { namespaces, pods } => {
                let pods =
                    if pods.is_everything() { "pods".to_owned() } else { format!("pods with {}", selector(pods)) };
                match namespaces {
                    Namespaces::Every if pods == "pods" => "every pod".to_owned(),
                    Namespaces::Every => pods,
                    Namespaces::Named(name) => format!("{pods} of namespace {name}"),
                    Namespaces::Of(labels) => format!("{pods} of namespaces with {}", selector(labels)),
                }
            }
        }
    }
}

/// Entries in words.
pub fn words(list: &[Who]) -> String {
    list.iter().map(|who| who.kind.words()).collect::<Vec<_>>().join(" or ")
}
