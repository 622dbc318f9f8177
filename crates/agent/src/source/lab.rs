//! A lab of network namespaces as the cluster: its manifests are the API, its plan says where pods are.

use super::{Place, View};
use crate::error::AgentError;
use crate::links::{Device, devices};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use watertight_ingest::{Input, Options, Severity, read};
use watertight_lab::plan::Plan;
use watertight_lab::state::{State, manifests};
use watertight_lab::{LabError, within};
use watertight_model::World;

/// How often the manifests are looked at. A lab has no API server that would tell of changes.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

/// A lab that is up.
pub struct Lab {
    plan: Plan,
    /// By node: its pods and their devices.
    places: BTreeMap<String, Arc<Vec<Place>>>,
    seen: Option<Vec<Seen>>,
    revision: u64,
}

/// A manifest: file, size, time of its last change.
type Seen = (PathBuf, u64, Option<SystemTime>);

/// What a look at the manifests gave.
pub enum Look {
    /// Nothing changed.
    Same,
    /// A new state of the cluster.
    New(Arc<World>, u64, Instant),
    /// What is there cannot be understood; the last state stays. In words.
    Refused(String),
    /// The lab is gone.
    Gone,
}

impl Lab {
    /// The lab that is up.
    ///
    /// # Errors
    /// [`AgentError::NoLab`], or its devices cannot be looked at.
    pub fn open() -> Result<Self, AgentError> {
        let state = State::read().map_err(|e| LabError::State { why: e.to_string() })?.ok_or(AgentError::NoLab)?;
        let plan = state.plan;
        let mut places = BTreeMap::new();
        for (i, node) in plan.nodes.iter().enumerate() {
            let here = by_name(within(&node.netns, devices)??);
            let mut pods = Vec::new();
            for pod in plan.pods.iter().filter(|p| p.node == i && !p.host_network) {
                let inside = by_name(within(&pod.netns, devices)??);
                if let Some(device) = here.get(&pod.veth) {
                    pods.push(Place {
                        namespace: pod.namespace.clone(),
                        name: pod.name.clone(),
                        ifindex: device.index,
                        mac: inside.get("eth0").and_then(|d| d.mac),
                        addresses: Vec::new(),
                    });
                }
            }
            places.insert(node.name.clone(), Arc::new(pods));
        }
        Ok(Self { plan, places, seen: None, revision: 0 })
    }

    /// Names and network namespaces of its nodes.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.plan.nodes.iter().map(|n| (n.name.as_str(), n.netns.as_str()))
    }

    /// What a node needs of a state.
    pub fn view(&self, node: &str, world: &Arc<World>, revision: u64, since: Instant) -> View {
        let pods = self.places.get(node).cloned().unwrap_or_default();
        let (closed, open) = (Arc::default(), Arc::default());
        View { revision, world: Arc::clone(world), pods, closed, open, since }
    }

    /// Looks whether the manifests changed since the last look.
    pub fn look(&mut self) -> Look {
        let since = Instant::now();
        let Some(now) = listed() else { return Look::Gone };
        if self.seen.as_ref() == Some(&now) {
            return Look::Same;
        }
        match read(&[Input::Path(manifests())], &Options::default()) {
            Ok(loaded) => {
                // Only what was read whole counts as seen: a file that is being written is looked at again.
                self.seen = Some(now);
                self.revision += 1;
                let mut world = loaded.world;
                self.plan.realise(&mut world);
                Look::New(Arc::new(world), self.revision, since)
            }
            Err(refused) => {
                // Should the manifests become what they were before, that is news again.
                self.seen = None;
                let error = refused.diagnostics.iter().find(|d| d.severity == Severity::Error);
                let first = error.map_or_else(String::new, |d| d.message.clone());
                Look::Refused(format!("the manifests are not understood, the last state stays: {first}"))
            }
        }
    }
}

fn by_name(devices: BTreeMap<u32, Device>) -> BTreeMap<String, Device> {
    devices.into_values().map(|d| (d.name.clone(), d)).collect()
}

/// The manifests as they are, in order; `None`: the folder is gone.
fn listed() -> Option<Vec<Seen>> {
    let mut out: Vec<Seen> = std::fs::read_dir(manifests())
        .ok()?
        .flatten()
        // What is being written has another ending until it is whole.
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "yaml" || e == "json"))
        .filter_map(|entry| {
            let about = entry.metadata().ok()?;
            Some((entry.path(), about.len(), about.modified().ok()))
        })
        .collect();
    out.sort();
    Some(out)
}
