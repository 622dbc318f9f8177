//! Finding the devices of this node's pods, whatever network plugin made them.
//!
//! A pod's device is one end of a cable whose other end is in the pod's network namespace. Whose namespace that is, is known
//! by the processes in it: the kubelet puts them into control groups named after the pod's uid, before any container of the
//! pod starts. Names of devices say nothing, and differ from plugin to plugin.
//!
//! What is found is remembered as it was found first: a pod may change addresses of its own device later, and must not become
//! somebody else by that.

use crate::error::AgentError;
use crate::links::{self, Device};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where container runtimes keep namespaces that they made and no process is in yet.
const NAMED: &str = "/run/netns";
/// A namespace file with more ends than this is no pod's.
const ENDS: usize = 64;

/// Whose a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The pod of this uid, as the kubelet writes it into names of control groups.
    Pod(String),
    /// A pod's that is being made: the runtime has the namespace, and no process of the pod is in it yet.
    Unborn,
    /// Processes of several pods are in the namespace.
    Contested,
}

/// A device of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Index on the node's side.
    pub(crate) ifindex: u32,
    /// Name on the node's side.
    pub(crate) name: String,
    /// Inode of the namespace at the other end.
    pub(crate) netns: u64,
    /// MAC address of the other end.
    pub(crate) mac: Option<[u8; 6]>,
    /// Addresses of the other end.
    pub(crate) addresses: Vec<IpAddr>,
    /// Whose it is.
    pub(crate) whose: Whose,
}

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    /// By index on the node's side.
    found: BTreeMap<u32, Found>,
    /// Cables whose other end is nobody's that we know.
    strangers: BTreeSet<u32>,
}

impl Finder {
    /// Devices of pods, by index on the node's side.
    pub(crate) fn found(&self) -> &BTreeMap<u32, Found> {
        &self.found
    }

    /// Devices whose owner is not known yet, or is not known to be none: worth another look soon.
    pub(crate) fn unsettled(&self) -> BTreeSet<u32> {
        let unborn = self.found.values().filter(|f| f.whose == Whose::Unborn).map(|f| f.ifindex);
        self.strangers.iter().copied().chain(unborn).collect()
    }

    /// A runtime says whose network namespace this is, before any process of the pod is in it. The device on the node's side, which is
    /// looked for anew: addresses may have come since it was seen first. `ifindex`: the one that the network plugin named.
    ///
    /// # Errors
    /// In words: there is no such device, or it is another pod's.
    pub(crate) fn told(&mut self, inode: u64, uid: &str, ifindex: Option<u32>) -> Result<u32, String> {
        self.found.retain(|_, f| f.netns != inode || f.whose != Whose::Unborn);
        self.look().map_err(|e| e.to_string())?;
        let all: Vec<u32> = self.found.values().filter(|f| f.netns == inode).map(|f| f.ifindex).collect();
        let which = match (all.as_slice(), ifindex) {
            ([], _) => Err("no device of this node is the other end of a cable of its (macvlan and ipvlan have none)"),
            (all, Some(said)) => {
                all.contains(&said).then_some(said).ok_or("the network plugin named another pod's device")
            }
            ([one], None) => Ok(*one),
            (_, None) => Err("it has several devices, and the network plugin does not say which is meant"),
        };
        let ifindex = which?;
        let found = self.found.get_mut(&ifindex).ok_or("its device is gone")?;
        match &found.whose {
            Whose::Unborn => found.whose = Whose::Pod(uid.to_owned()),
            Whose::Pod(known) if known == uid => {}
            Whose::Pod(other) => {
                return Err(format!("a process of the pod with uid {other} is in its network namespace"));
            }
            Whose::Contested => return Err("processes of several pods are in its network namespace".to_owned()),
        }
        Ok(ifindex)
    }

    /// Looks again. Acts in the calling thread's network namespace.
    pub(crate) fn look(&mut self) -> Result<(), AgentError> {
        let here = links::devices()?;
        let abroad: BTreeMap<u32, &Device> =
            here.iter().filter(|(_, d)| d.abroad && d.peer.is_some()).map(|(i, d)| (*i, d)).collect();
        // An index may be given again, to another device.
        self.found.retain(|i, f| abroad.get(i).is_some_and(|d| d.name == f.name));
        self.strangers.clear();
        let open = |f: Option<&Found>| f.is_none_or(|f| f.whose == Whose::Unborn);
        if !abroad.keys().any(|i| open(self.found.get(i))) {
            return Ok(());
        }
        let settled: BTreeSet<u64> =
            self.found.values().filter(|f| f.whose != Whose::Unborn).map(|f| f.netns).collect();
        for (inode, namespace) in namespaces() {
            if settled.contains(&inode) {
                continue;
            }
            let Some(whose) = namespace.whose() else { continue };
            // It may be gone by now; then its devices are as well.
            let Ok((inside, addresses)) = within(&namespace.path, inode) else { continue };
            for (index, device) in inside.iter().take(ENDS).filter(|(_, d)| d.abroad) {
                let Some(peer) = device.peer else { continue };
                let Some(end) = abroad.get(&peer).filter(|end| end.peer == Some(*index)) else { continue };
                if let Some(known) = self.found.get_mut(&peer).filter(|f| f.netns == inode && !f.addresses.is_empty()) {
                    known.whose = whose.clone();
                    continue;
                }
                let found = Found {
                    ifindex: peer,
                    name: end.name.clone(),
                    netns: inode,
                    mac: device.mac,
                    addresses: addresses.get(index).cloned().unwrap_or_default(),
                    whose: whose.clone(),
                };
                self.found.insert(peer, found);
            }
        }
        self.strangers = abroad.keys().filter(|i| !self.found.contains_key(i)).copied().collect();
        Ok(())
    }
}

/// A network namespace that is not ours.
#[derive(Debug)]
struct Namespace {
    path: PathBuf,
    /// A runtime keeps it under a name that runtimes give.
    named: bool,
    /// Uids of pods whose processes are in it.
    pods: BTreeSet<String>,
}

impl Namespace {
    /// `None`: no pod's.
    fn whose(&self) -> Option<Whose> {
        let mut pods = self.pods.iter();
        match (pods.next(), pods.next()) {
            (Some(_), Some(_)) => Some(Whose::Contested),
            (Some(uid), None) => Some(Whose::Pod(uid.clone())),
            (None, _) => self.named.then_some(Whose::Unborn),
        }
    }
}

/// All network namespaces but our own that a process is in or that a runtime keeps, by inode.
fn namespaces() -> BTreeMap<u64, Namespace> {
    let inode = |path: &Path| std::fs::metadata(path).map(|m| m.ino()).ok();
    let own = inode(Path::new("/proc/thread-self/ns/net"));
    let mut out: BTreeMap<u64, Namespace> = BTreeMap::new();
    let mut add = |path: PathBuf, named: bool, pod: Option<String>| {
        let Some(inode) = inode(&path).filter(|i| Some(*i) != own) else { return };
        let entry = out.entry(inode).or_insert_with(|| Namespace { path, named, pods: BTreeSet::new() });
        entry.named |= named;
        entry.pods.extend(pod);
    };
    for entry in std::fs::read_dir(NAMED).into_iter().flatten().flatten() {
        let named = entry.file_name().to_str().is_some_and(name_of_a_runtime);
        add(entry.path(), named, None);
    }
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())) {
            let process = entry.path();
            let pod = std::fs::read_to_string(process.join("cgroup")).ok().as_deref().and_then(pod_of);
            add(process.join("ns/net"), false, pod);
        }
    }
    out
}

/// containerd's `cni-` and a UUID, CRI-O's plain UUID. Others make namespaces there for other purposes.
fn name_of_a_runtime(name: &str) -> bool {
    uid(name.strip_prefix("cni-").unwrap_or(name)).is_some()
}

/// The uid of the pod in a process's list of control groups: `/kubepods/burstable/podUID/...`, or with systemd
/// `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID.slice/...`, where `-` in it became `_`.
fn pod_of(groups: &str) -> Option<String> {
    // From within a control group namespace of our own, others are seen relative to it.
    let ours = |line: &&str| line.contains("kubepods") || line.contains(":/../");
    groups.lines().filter(ours).find_map(|line| {
        line.split('/').find_map(|part| {
            let part = part.strip_suffix(".slice").unwrap_or(part);
            let from = part.find("pod").filter(|_| !part.starts_with("kubepods-"));
            let from = from.or_else(|| part.rfind("-pod").map(|i| i + 1))?;
            uid(part.get(from + 3..)?)
        })
    })
}

/// A uid: a UUID, or the 32 digits of a static pod's.
fn uid(text: &str) -> Option<String> {
    let plain = text.replace('_', "-");
    let digits = plain.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashes = plain.bytes().filter(|b| *b == b'-').count();
    (digits == 32 && digits + dashes == plain.len() && (dashes == 4 || dashes == 0)).then_some(plain)
}

type Inside = (BTreeMap<u32, Device>, BTreeMap<u32, Vec<IpAddr>>);

/// Devices and addresses of a namespace, if its file still is the one that was meant.
fn within(path: &Path, inode: u64) -> Result<Inside, AgentError> {
    let failed = || AgentError::io(format!("entering {}", path.display()));
    let file = File::open(path).map_err(failed())?;
    if file.metadata().map_err(failed())?.ino() != inode {
        return Err(failed()(std::io::ErrorKind::NotFound.into()));
    }
    // A thread of its own: what is entered is left when it ends, whatever happens inside.
    std::thread::scope(|scope| {
        let entered = scope.spawn(|| {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .map_err(|e| failed()(e.into()))?;
            Ok((links::devices()?, links::addresses()?))
        });
        entered.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_groups_name_the_pod() {
        let uid = "4c0f1f0e-9a45-4b1e-8c55-0a6a3a1b2c3d";
        let under = uid.replace('-', "_");
        for groups in [
            format!("0::/kubepods/burstable/pod{uid}/0123456789abcdef\n"),
            format!("0::/kubepods/pod{uid}/0123456789abcdef\n"),
            format!("12:cpu:/\n3:pids:/wtc0/node/kubepods/besteffort/pod{uid}/x\n0::/\n"),
            format!("0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{under}.slice/cri-x.scope\n"),
            format!("0::/kubepods.slice/kubepods-pod{under}.slice/cri-containerd-0123.scope\n"),
            format!("0::/../../pod{uid}/0123\n"),
            format!("0::/../../../kubepods-besteffort.slice/kubepods-besteffort-pod{under}.slice/x.scope\n"),
        ] {
            assert_eq!(pod_of(&groups).as_deref(), Some(uid), "{groups}");
        }
        // A static pod's: the hash of its file.
        assert!(pod_of("0::/kubepods/podb7a0f1de1b6a4cd2b0aa6d1b1f3c9e55/0123\n").is_some());
        for none in ["0::/system.slice/kubelet.service\n", "0::/docker/0123\n", "", "0::/kubepods/burstable/podx/y\n"] {
            assert_eq!(pod_of(none), None, "{none}");
        }
        // Another manager's group that only looks like it.
        assert_eq!(pod_of(&format!("0::/user.slice/pod{uid}/x\n")), None);
    }

    #[test]
    fn names_that_runtimes_give() {
        assert!(name_of_a_runtime("cni-4c0f1f0e-9a45-4b1e-8c55-0a6a3a1b2c3d"));
        assert!(name_of_a_runtime("4c0f1f0e-9a45-4b1e-8c55-0a6a3a1b2c3d"));
        for other in ["wtl:pod:shop-web", "blue", "cni-", "cni-0123"] {
            assert!(!name_of_a_runtime(other), "{other}");
        }
    }
}
