//! Which network plugins run in a cluster, and whether they enforce NetworkPolicy.
//!
//! Input: a [`World`]. Output: one [`CniFinding`] per plugin that left a trace, each with its evidence. Decides nothing
//! about policies: rule WT0088 and `doctor` do. The knowledge is a table, `table.rs`, each row with its source; what a
//! manifest cannot show (a switch in a ConfigMap or an argument) is said as [`Enforces::OnlyWith`], never guessed.

pub mod features;
mod table;

use table::{PLUGINS, Plugin, Rule, Sign};
use watertight_model::label::Str;
use watertight_model::{Node, Origin, Workload, WorkloadId, WorkloadKind, World};

/// Whether a plugin enforces `networking.k8s.io/v1` NetworkPolicy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforces {
    /// It does, as installed.
    Yes,
    /// It does not: policies have no effect through it.
    No,
    /// Only if this, which the objects do not show, is the case.
    OnlyWith(&'static str),
    /// Not known.
    Unknown,
}

/// A network plugin that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CniFinding {
    /// Its name, as its project writes it.
    pub name: &'static str,
    /// Whether it enforces NetworkPolicy.
    pub enforces: Enforces,
    /// What it was recognised by, in words, with the object's place.
    pub evidence: Vec<(String, Option<Origin>)>,
    /// Where the table's claim comes from, and when it was looked up.
    pub source_note: &'static str,
}

/// The plugins that left a trace, those that enforce first, else in the table's order. Empty: none is known, which says
/// nothing about enforcement.
pub fn detect(world: &World) -> Vec<CniFinding> {
    let carriers = carriers(world);
    let rows: Vec<Row<'_>> = PLUGINS.iter().enumerate().map(|(i, plugin)| row(world, &carriers, i, plugin)).collect();
    let mut findings = Vec::new();
    for row in &rows {
        let found = row.found();
        if row.workloads.is_empty() && part_of_another(row.plugin, &rows) {
            continue;
        }
        let hints = policies(world, row.plugin);
        if !found && hints.is_empty() {
            continue;
        }
        let enforces = if found { judge(world, row, &rows) } else { Enforces::Unknown };
        let of_workloads = row.workloads.iter().map(|w| (carrier_words(world, w), Some(w.origin)));
        let evidence = of_workloads.chain(row.on_nodes.iter().cloned()).chain(hints).collect();
        findings.push(CniFinding { name: row.plugin.name, enforces, evidence, source_note: row.plugin.source });
    }
    findings.sort_by_key(|finding| rank(finding.enforces));
    findings
}

/// What the plugins together do: policies have an effect if any of them enforces.
pub fn enforcement(findings: &[CniFinding]) -> Enforces {
    findings.iter().map(|finding| finding.enforces).min_by_key(|e| rank(*e)).unwrap_or(Enforces::Unknown)
}

/// DaemonSets of plugins that enforce, as installed.
pub fn enforcers(world: &World) -> Vec<(&'static str, WorkloadId)> {
    let carriers = carriers(world);
    let rows: Vec<Row<'_>> = PLUGINS.iter().enumerate().map(|(i, plugin)| row(world, &carriers, i, plugin)).collect();
    let of_row = |row: &Row<'_>| {
        let enforces = judge(world, row, &rows) == Enforces::Yes;
        let here = |w: &&Workload| row.workloads.iter().any(|x| std::ptr::eq(*x, *w));
        let all = world.workloads.iter().enumerate().filter(|(_, w)| enforces && here(w));
        all.map(|(i, _)| (row.plugin.name, WorkloadId::at(i))).collect::<Vec<_>>()
    };
    rows.iter().flat_map(of_row).filter(|(_, w)| world.workloads[w.index()].kind == WorkloadKind::DaemonSet).collect()
}

fn rank(enforces: Enforces) -> u8 {
    match enforces {
        Enforces::Yes => 0,
        Enforces::OnlyWith(_) => 1,
        // Something is there and not understood: that it enforces cannot be ruled out.
        Enforces::Unknown => 2,
        Enforces::No => 3,
    }
}

/// What was found of one plugin.
struct Row<'a> {
    plugin: &'static Plugin,
    workloads: Vec<&'a Workload>,
    on_nodes: Vec<(String, Option<Origin>)>,
}

impl Row<'_> {
    fn found(&self) -> bool {
        !self.workloads.is_empty() || !self.on_nodes.is_empty()
    }
}

/// DaemonSets, and pods whose owner was not read, each with the first row that it fits.
fn carriers(world: &World) -> Vec<(usize, &Workload)> {
    let may_carry = |w: &&Workload| matches!(w.kind, WorkloadKind::DaemonSet | WorkloadKind::Pod);
    let first = |w| PLUGINS.iter().position(|p| p.signs.iter().any(|sign| shown_by_workload(world, *sign, w)));
    world.workloads.iter().filter(may_carry).filter_map(|w| Some((first(w)?, w))).collect()
}

fn row<'a>(world: &World, carriers: &[(usize, &'a Workload)], index: usize, plugin: &'static Plugin) -> Row<'a> {
    let workloads = carriers.iter().filter(|(i, _)| *i == index).map(|(_, w)| *w).collect();
    let on_nodes = plugin.signs.iter().filter_map(|sign| shown_by_nodes(world, *sign)).collect();
    Row { plugin, workloads, on_nodes }
}

/// True if a plugin that was found includes this one: what it left on nodes is explained.
fn part_of_another(plugin: &Plugin, rows: &[Row<'_>]) -> bool {
    rows.iter().any(|row| row.plugin.includes.contains(&plugin.name) && row.found())
}

fn shown_by_workload(world: &World, sign: Sign, workload: &Workload) -> bool {
    let named = |name: &str| workload.kind == WorkloadKind::DaemonSet && *workload.name == *name;
    let runs = |image: &str| workload.images.iter().any(|i| is_image(i, image));
    match sign {
        Sign::DaemonSet(name) => named(name),
        Sign::DaemonSetIn(namespace, name) => {
            named(name) && *world.namespaces[workload.namespace.index()].name == *namespace
        }
        Sign::Image(image) => runs(image),
        Sign::Images(one, other) => runs(one) && runs(other),
        Sign::NodeAnnotation(_) | Sign::NodeLabel(..) => false,
    }
}

fn shown_by_nodes(world: &World, sign: Sign) -> Option<(String, Option<Origin>)> {
    let shown = |node: &Node| match sign {
        Sign::NodeAnnotation(prefix) => node.annotations.iter().any(|(key, _)| key.starts_with(prefix)),
        Sign::NodeLabel(key, value) => node.labels.get(key).is_some_and(|v| **v == *value),
        Sign::DaemonSet(_) | Sign::DaemonSetIn(..) | Sign::Image(_) | Sign::Images(..) => false,
    };
    let what = match sign {
        Sign::NodeAnnotation(prefix) => format!("annotation `{prefix}...`"),
        Sign::NodeLabel(key, value) => format!("label `{key}={value}`"),
        Sign::DaemonSet(_) | Sign::DaemonSetIn(..) | Sign::Image(_) | Sign::Images(..) => return None,
    };
    let first = world.nodes.iter().find(|node| shown(node))?;
    let count = world.nodes.iter().filter(|node| shown(node)).count();
    Some((format!("{what} on {count} of {} nodes", world.nodes.len()), Some(first.origin)))
}

/// `registry/path/image:tag@digest` without tag and digest.
fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    match image.rsplit_once(':') {
        // A colon before the last slash belongs to the registry's port.
        Some((before, tag)) if !tag.contains('/') => before,
        _ => image,
    }
}

fn is_image(image: &str, wanted: &str) -> bool {
    let rest = repository(image).strip_suffix(wanted);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with(['/', '-']))
}

fn judge(world: &World, row: &Row<'_>, rows: &[Row<'_>]) -> Enforces {
    match row.plugin.rule {
        Rule::Always(enforces) => enforces,
        // Traces on nodes alone show neither what runs beside it nor, if DaemonSets could not be read, that nothing does.
        Rule::Beside(..)
            if row.workloads.is_empty() && world.unread.iter().any(|u| u.what.starts_with("daemonsets")) =>
        {
            Enforces::Unknown
        }
        Rule::Beside(image, with, without) => {
            let beside = |w: &&Workload| w.images.iter().any(|i| is_image(i, image));
            if row.workloads.iter().any(beside) { with } else { without }
        }
        Rule::Kindnet => {
            row.workloads.iter().map(|w| kindnet(&w.images)).max_by_key(|e| rank(*e)).unwrap_or(Enforces::Unknown)
        }
        Rule::KubeRouter => {
            let others = rows.iter().filter(|other| other.plugin.name != row.plugin.name);
            if others.into_iter().any(Row::found) {
                Enforces::OnlyWith("kube-router's firewall is on (`--run-firewall`, its default)")
            } else {
                Enforces::Yes
            }
        }
        Rule::K3s => k3s(&world.nodes),
    }
}

/// kind's own images carry their date, `v20240813-c6f155d6`. The change was merged on 23 July 2024; the first release
/// with it carries 13 August.
fn kindnet(images: &[Str]) -> Enforces {
    let date = images.iter().filter(|i| is_image(i, "kindnetd")).find_map(|image| {
        let tag = image.split('@').next()?.rsplit_once(':')?.1;
        tag.strip_prefix('v')?.split('-').next()?.parse::<u32>().ok().filter(|date| *date > 20_000_000)
    });
    match date {
        Some(date) if date >= 20_240_813 => Enforces::Yes,
        Some(date) if date < 20_240_723 => Enforces::No,
        _ => Enforces::OnlyWith("its version is that of kind v0.24.0 or later"),
    }
}

/// k3s runs kube-router's policy controller unless its servers are told not to. They note their arguments as a JSON list;
/// what a configuration file says appears there as two words, `"--disable-network-policy","true"`.
fn k3s(nodes: &[Node]) -> Enforces {
    const FLAG: &str = "\"--disable-network-policy";
    let told = |node: &Node| {
        let args = node.annotations.get("k3s.io/node-args")?;
        let after = args.get(args.find(FLAG)? + FLAG.len()..)?;
        Some(!["=false\"", "\",\"false\""].iter().any(|off| after.starts_with(off)))
    };
    if nodes.iter().any(|node| told(node) == Some(true)) { Enforces::No } else { Enforces::Yes }
}

fn carrier_words(world: &World, workload: &Workload) -> String {
    let namespace = &world.namespaces[workload.namespace.index()].name;
    let images = workload.images.iter().map(|i| format!("`{i}`")).collect::<Vec<_>>().join(", ");
    let running = if images.is_empty() { String::new() } else { format!(" running {images}") };
    format!("{} `{namespace}/{}`{running}", workload.kind, workload.name)
}

/// Policies of the plugin's own kind.
fn policies(world: &World, plugin: &Plugin) -> Vec<(String, Option<Origin>)> {
    let mut of_group = world.foreign_policies.iter().filter(|p| plugin.group.is_some_and(|group| *p.group == *group));
    let Some(first) = of_group.next() else { return Vec::new() };
    let words = format!("{} policies of group `{}`", of_group.count() + 1, first.group);
    vec![(words, Some(first.origin))]
}

#[cfg(test)]
mod tests;
