//! One node: from a state of the cluster to an image in force, and what can be said about it.

use crate::api::{Answer, Ask, Drops, Flow, Isolated, Revision, Stale, Status};
use crate::error::AgentError;
use crate::gate::Confirm;
use crate::log::{Level, Log};
use crate::metrics::Tally;
use crate::source::{Place, Standing, View};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use watertight_datapath::kernel::{self, Edge, Loader};
use watertight_datapath::{Compiler, Local, Note, Options};
use watertight_engine::Engine;
use watertight_model::{Endpoint, World};

/// A node and its kernel state.
pub(crate) struct Node {
    name: String,
    loader: Loader,
    compiler: Compiler,
    options: Options,
    view: Option<View>,
    applied: u64,
    epoch: u64,
    last_apply_us: u64,
    last_writes: usize,
    notes: Vec<String>,
    /// What went wrong with the newest state, or was found in the last look at the kernel.
    refused: Option<String>,
    found: Vec<String>,
    /// Pods that are guarded, by device.
    guarded: BTreeMap<u32, String>,
    /// Devices that are closed, because nobody knows whose they are.
    closed: BTreeSet<u32>,
    /// Devices that have gates, and are not among the node's pods any more: closed as well.
    orphans: BTreeSet<u32>,
    /// How much is known of the cluster.
    standing: Standing,
    tally: Tally,
    log: Log,
    /// What was logged as not being as it should be.
    logged: BTreeSet<String>,
}

impl Node {
    /// Loads the programs, or takes over what an earlier agent left. Acts in the calling thread's network namespace, as all
    /// methods do.
    pub(crate) fn open(name: &str, pins: &Path, options: Options, log: Log) -> Result<Self, AgentError> {
        let mut loader = Loader::open(pins).map_err(AgentError::kernel(name))?;
        // Backends are known only after the node's own translation: without this, Services are closed for restricted pods.
        loader.attach_services().map_err(AgentError::kernel(name))?;
        let epoch = loader.status().map_err(AgentError::kernel(name))?.epoch;
        Ok(Self {
            name: name.to_owned(),
            loader,
            compiler: Compiler::new(options),
            options,
            view: None,
            applied: 0,
            epoch,
            last_apply_us: 0,
            last_writes: 0,
            notes: Vec::new(),
            refused: None,
            found: Vec::new(),
            guarded: BTreeMap::new(),
            closed: BTreeSet::new(),
            orphans: BTreeSet::new(),
            standing: Standing::default(),
            tally: Tally::default(),
            log,
            logged: BTreeSet::new(),
        })
    }

    /// A new state: computes what differs from the last one, writes it, reads it back. What fails leaves the last one in force, and
    /// is said.
    pub(crate) fn take(&mut self, view: View) {
        self.view = Some(view);
        self.bring_into_force();
        self.tell();
    }

    fn bring_into_force(&mut self) {
        self.refused = self.apply().err();
        match (&self.refused, &self.view) {
            (None, Some(view)) => {
                self.tally.applied(self.last_apply_us, self.last_writes);
                let fields = [
                    ("revision", self.applied.into()),
                    ("policies", (view.world.policies.len() + view.world.cluster_policies.len()).into()),
                    ("pods", self.guarded.len().into()),
                    ("closed", self.closed.len().into()),
                    ("epoch", self.epoch.into()),
                    ("writes", self.last_writes.into()),
                    ("apply_us", self.last_apply_us.into()),
                ];
                self.log.event(Level::Info, &self.name, "applied", &fields);
            }
            _ => self.tally.refused(),
        }
    }

    /// Logs what is no longer, and what is again, as it should be.
    fn tell(&mut self) {
        let status = self.status();
        self.tally.know(self.refused.is_none() && self.standing.held.is_none());
        let now: BTreeSet<String> = status.degraded.into_iter().collect();
        let revision = ("revision", status.revision.seen.into());
        for why in now.difference(&self.logged) {
            let fields = [revision.clone(), ("why", why.as_str().into())];
            self.log.event(Level::Warn, &self.name, "degraded", &fields);
        }
        for why in self.logged.difference(&now) {
            let fields = [revision.clone(), ("was", why.as_str().into())];
            self.log.event(Level::Info, &self.name, "recovered", &fields);
        }
        self.logged = now;
    }

    /// The source is not understood, or away: what is in force stays.
    pub(crate) fn source_failed(&mut self, why: String) {
        self.refused = Some(why);
        self.tally.refused();
        self.tell();
    }

    /// How much is known of the cluster from now on.
    pub(crate) fn stand(&mut self, standing: Standing) {
        self.standing = standing;
        self.tell();
    }

    /// Puts gates on devices whose pod is not known: nothing passes there. Not before there is an image: a node that knows
    /// nothing yet closes nothing.
    fn close(&mut self, view: &View) -> Result<(), String> {
        for closed in view.closed.iter() {
            let there = self.closed.contains(&closed.ifindex) || self.guarded.contains_key(&closed.ifindex);
            if !there && attached(self.loader.attach(closed.ifindex))? {
                self.closed.insert(closed.ifindex);
            }
        }
        Ok(())
    }

    fn apply(&mut self) -> Result<(), String> {
        let Some(view) = self.view.clone() else { return Ok(()) };
        if self.applied > 0 {
            self.close(&view)?;
        }
        let locals: Vec<Local> = view.pods.iter().filter_map(|p| local(&view.world, p)).collect();
        let compiled = self.compiler.compile(&view.world, &locals).map_err(|e| e.to_string())?;
        // First what holds for a pod, then the gate on its device: a pod that runs already is not cut off in between.
        let applied = self.loader.update(compiled).map_err(|e| e.to_string())?;
        let image = compiled.image();
        let wanted: BTreeMap<u32, String> =
            image.slots.iter().map(|(ifindex, slot)| (*ifindex, slot.name.clone())).collect();
        let notes = image.notes.iter().map(note).collect();
        self.compiler.rest();
        // Gates that stand are looked at in `look`; where it found something, all are put up again that are missing.
        let repair = !self.found.is_empty();
        for ifindex in wanted.keys().filter(|i| repair || !self.guarded.contains_key(i)) {
            attached(self.loader.attach(*ifindex))?;
        }
        self.close(&view)?;
        let closed: BTreeSet<u32> = view.closed.iter().map(|c| c.ifindex).collect();
        // Those of an agent before this one included.
        let before = self.loader.attached().map_err(|e| e.to_string())?;
        self.orphans.clear();
        for ifindex in before.iter().filter(|i| !wanted.contains_key(i) && !closed.contains(i)) {
            if !self.loader.release(*ifindex).map_err(|e| e.to_string())? {
                self.orphans.insert(*ifindex);
            }
        }
        let others = repair || self.applied == 0 || !wanted.keys().eq(self.guarded.keys()) || closed != self.closed;
        self.closed = closed;
        self.guarded = wanted;
        self.epoch = applied.epoch;
        self.last_writes = applied.writes;
        self.last_apply_us = u64::try_from(view.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.notes = notes;
        self.applied = view.revision;
        // What was written has been read back; the rest is looked at when devices are others, and every few seconds.
        if others {
            self.look();
        }
        Ok(())
    }

    /// Answers whoever waits to let a pod begin: only what is in the kernel counts.
    pub(crate) fn confirm(&mut self, confirm: &Confirm) -> Answer {
        let ifindex = confirm.waiting.ifindex;
        let there = match &confirm.closed {
            None => self.guarded.contains_key(&ifindex),
            Some(_) => self.closed.contains(&ifindex),
        };
        let attached = self.loader.status().is_ok_and(|s| s.attached.contains(&ifindex));
        let pod = ("pod", confirm.waiting.pod.as_str().into());
        let why = match &self.refused {
            Some(why) => why.clone(),
            None if there && attached => {
                let us = u64::try_from(confirm.waiting.since.elapsed().as_micros()).unwrap_or(u64::MAX);
                self.tally.gated(us);
                let fields = [pod, ("ifindex", ifindex.into()), ("gate_us", us.into())];
                let closed = confirm.closed.iter().map(|why| ("closed", why.as_str().into()));
                let fields: Vec<_> = fields.into_iter().chain(closed).collect();
                self.log.event(Level::Info, &self.name, "isolated", &fields);
                return Answer::Gated(Isolated { ifindex, closed: confirm.closed.clone() });
            }
            None => format!("device {ifindex} has no gates yet"),
        };
        self.log.event(Level::Warn, &self.name, "not isolated", &[pod, ("why", why.as_str().into())]);
        Answer::Failed(why)
    }

    /// Looks at the kernel, and repairs what can be repaired.
    pub(crate) fn attest(&mut self) {
        self.look();
        if !self.found.is_empty() && self.refused.is_none() {
            self.tell();
            self.tally.repaired();
            match self.loader.distrust() {
                Ok(()) => self.bring_into_force(),
                Err(error) => self.refused = Some(error.to_string()),
            }
        }
        self.tell();
    }

    fn look(&mut self) {
        self.found.clear();
        match self.loader.attest() {
            Ok(attestation) => {
                let names = |devices: &std::collections::BTreeSet<u32>| {
                    let named =
                        devices.iter().map(|i| self.guarded.get(i).cloned().unwrap_or_else(|| format!("device {i}")));
                    named.collect::<Vec<_>>().join(", ")
                };
                for (devices, what) in [
                    (&attestation.detached, "a gate is missing"),
                    (&attestation.not_first, "another program runs before the gate"),
                    (&attestation.unguarded, "nobody guards it"),
                ] {
                    if !devices.is_empty() {
                        self.found.push(format!("{}: {what}", names(devices)));
                    }
                }
                if attestation.maps_differ {
                    self.found.push("the kernel's maps are not what was written".to_owned());
                }
            }
            Err(error) => self.found.push(error.to_string()),
        }
    }

    /// Answers a question.
    pub(crate) fn answer(&mut self, ask: Ask) -> Answer {
        let answered = match ask {
            Ask::Status => Ok(Answer::Status(self.status())),
            Ask::Flows => self.edges().map(|e| Answer::Flows(e.into_iter().filter(|f| f.verdict == "allow").collect())),
            Ask::Drops => self.drops().map(Answer::Drops),
            Ask::Measures => {
                let status = self.status();
                let measures = self.tally.measures(status, &self.loader);
                measures.map(|m| Answer::Measures(Box::new(m))).map_err(AgentError::kernel(&self.name))
            }
            Ask::Gate(_) => Ok(Answer::Failed("a lab's pods begin without a gate".to_owned())),
        };
        answered.unwrap_or_else(|e| Answer::Failed(e.to_string()))
    }

    fn status(&self) -> Status {
        let seen = self.view.as_ref().map_or(0, |v| v.revision);
        let open = self.view.iter().flat_map(|v| v.open.iter());
        let open = open.map(|pod| format!("{pod}: no device of it was found, nobody guards it"));
        let told = self.refused.iter().chain(&self.standing.held).chain(&self.found).cloned();
        let degraded: Vec<String> = told.chain(open).collect();
        let closed = self.view.iter().flat_map(|v| v.closed.iter());
        let stale = self.standing.lost.iter().map(|lost| Stale {
            what: lost.what.clone(),
            age_ms: u64::try_from(lost.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            why: lost.why.clone(),
        });
        Status {
            node: self.name.clone(),
            revision: Revision { seen, applied: self.applied },
            pods: self.guarded.len(),
            enforcing: degraded.is_empty() && seen > 0 && seen == self.applied,
            shadow: self.options.shadow,
            closed: closed
                .map(|c| format!("{} ({}): {}", c.device, c.ifindex, c.why))
                .chain(
                    self.orphans
                        .iter()
                        .map(|i| format!("device {i}: it was guarded, and its pod is not known any more")),
                )
                .collect(),
            stale: stale.collect(),
            degraded,
            notes: self.notes.iter().chain(&self.standing.notes).cloned().collect(),
            epoch: self.epoch,
            last_apply_us: self.last_apply_us,
            last_writes: self.last_writes,
        }
    }

    fn drops(&self) -> Result<Drops, AgentError> {
        let status = self.loader.status().map_err(AgentError::kernel(&self.name))?;
        let counted = |n: &u64| *n > 0;
        Ok(Drops {
            node: self.name.clone(),
            reasons: status.drops.iter().filter(|(_, n)| counted(n)).map(|(d, n)| (d.name().to_owned(), *n)).collect(),
            counters: status.counts.iter().map(|(c, n)| (c.name().to_owned(), *n)).collect(),
            denied: self.edges()?.into_iter().filter(|f| f.verdict == "deny").collect(),
        })
    }

    fn edges(&self) -> Result<Vec<Flow>, AgentError> {
        let edges = self.loader.edges().map_err(AgentError::kernel(&self.name))?;
        let world = self.view.as_ref().map(|v| &*v.world);
        let engine = world.map(Engine::new);
        Ok(edges.iter().map(|e| self.flow(e, engine.as_ref())).collect())
    }

    fn flow(&self, edge: &Edge, engine: Option<&Engine<'_>>) -> Flow {
        let key = &edge.key;
        let verdict = |allow: bool| if allow { "allow" } else { "deny" }.to_owned();
        let decided = |number: u32| self.loader.answer(number).map(watertight_datapath::Answer::text);
        let peer = match engine {
            Some(engine) if !key.prefix => match engine.endpoint_of(key.peer) {
                Endpoint::Pod(id) => engine.world().pod_name(id),
                Endpoint::Node(id) => format!("node:{}", engine.world().nodes[id.index()].name),
                Endpoint::External(ip) => format!("ip:{ip}"),
            },
            // The ledger keeps those outside by block, so that a scan of the Internet does not fill it.
            _ if key.prefix => format!("ip:{}/{}", key.peer, if key.peer.is_ipv4() { 24 } else { 64 }),
            _ => format!("ip:{}", key.peer),
        };
        let differs = key.allow != key.shadow_allow;
        Flow {
            pod: self.guarded.get(&key.ifindex).cloned().unwrap_or_else(|| format!("device {}", key.ifindex)),
            direction: key.direction.name().to_owned(),
            peer,
            protocol: match key.protocol {
                6 => "TCP".to_owned(),
                17 => "UDP".to_owned(),
                132 => "SCTP".to_owned(),
                other => other.to_string(),
            },
            port: key.port,
            verdict: verdict(key.allow),
            shadow: differs.then(|| verdict(key.shadow_allow)),
            times: edge.times,
            decided_by: decided(key.answer),
            shadow_decided_by: differs.then(|| decided(key.shadow_answer)).flatten(),
        }
    }
}

fn local(world: &World, place: &Place) -> Option<Local> {
    let pod = world.pod(world.namespace(&place.namespace)?, &place.name)?;
    Some(Local { pod, ifindex: place.ifindex, mac: place.mac, addresses: place.addresses.clone() })
}

/// False: the device went away meanwhile, which is no fault: so did its pod.
fn attached(result: Result<(), kernel::Error>) -> Result<bool, String> {
    match result {
        Ok(()) => Ok(true),
        Err(kernel::Error::NoDevice(_)) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

fn note(note: &Note) -> String {
    match note {
        Note::NotEvaluated(kind, n) => format!("{n} {kind} objects are not evaluated"),
        Note::Contested(ip) => format!("two pods claim {ip}: it is closed"),
        Note::UnknownMode(at) => {
            format!("watertight.dev/mode of {at} is neither `shadow` nor `enforce`: it is enforced")
        }
    }
}
