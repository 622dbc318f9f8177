//! What lints share: the engine, the same cluster with imaginary pods in it, and answers that are expensive to find twice.

pub use crate::options::{AuditOptions, Noticed};

use crate::cni::{CniFinding, detect};
use crate::coverage::Coverage;
use crate::dns::Dns;
use crate::known::Known;
use core::time::Duration;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use watertight_engine::Engine;
use watertight_engine::query::evaluated;
use watertight_engine::reach::Reach;
use watertight_engine::redundancy::{self, Report};
use watertight_engine::scope::Scope;
use watertight_model::label::NAMESPACE_NAME_LABEL;

use watertight_model::{
    Endpoint, Flow, L4, Labels, Namespace, NamespaceId, Origin, Pod, PodId, Protocol, Str, Verdict, Workload,
    WorkloadId, WorkloadKind, World,
};

/// Shared by all lints of one audit.
pub struct Ctx<'a, 'w> {
    /// The cluster as it was read.
    pub engine: &'a Engine<'w>,
    /// Its world.
    pub world: &'w World,
    /// Options.
    pub options: &'a AuditOptions,
    /// Network plugins that were seen.
    pub cni: Vec<CniFinding>,
    fresh: &'a Fresh,
    fresh_engine: &'a Engine<'a>,
    reach: OnceCell<Reach>,
    redundancy: OnceCell<Report>,
    scope: OnceCell<Scope<'a>>,
    dns: OnceCell<Dns>,
    coverage: OnceCell<Coverage>,
    pub(crate) known: Known,
    deadline: Cell<Option<Duration>>,
    overdue: Cell<bool>,
    left_out: RefCell<BTreeMap<&'static str, usize>>,
}

/// A port that nothing uses: what it is open for is open for everything.
const ODD_PORT: u16 = 1;

impl<'a, 'w> Ctx<'a, 'w> {
    pub(crate) fn new(
        engine: &'a Engine<'w>,
        options: &'a AuditOptions,
        fresh: &'a Fresh,
        fresh_engine: &'a Engine<'a>,
    ) -> Self {
        let world = engine.world();
        Self {
            engine,
            world,
            options,
            cni: detect(world),
            fresh,
            fresh_engine,
            reach: OnceCell::new(),
            redundancy: OnceCell::new(),
            scope: OnceCell::new(),
            dns: OnceCell::new(),
            coverage: OnceCell::new(),
            known: Known::default(),
            deadline: Cell::new(None),
            overdue: Cell::new(false),
            left_out: RefCell::default(),
        }
    }

    /// A lint begins.
    pub(crate) fn start_clock(&self) {
        self.overdue.set(false);
        self.left_out.take();
        self.deadline.set(self.options.clock.map(|now| now() + self.options.lint_time));
    }

    /// The running lint has used up its time: it shall end with what it has. Long loops ask; the iterators of
    /// `rules::common` do.
    pub fn is_overdue(&self) -> bool {
        if !self.overdue.get()
            && let (Some(now), Some(deadline)) = (self.options.clock, self.deadline.get())
        {
            self.overdue.set(now() > deadline);
        }
        self.overdue.get()
    }

    /// The running lint does not look at something, because of a bound of its own: what, in the plural. Counted, and said.
    pub(crate) fn leave_out(&self, what: &'static str, how_many: usize) {
        *self.left_out.borrow_mut().entry(what).or_default() += how_many;
    }

    /// What the running lint left out, in words; empty: nothing.
    pub(crate) fn left_out(&self) -> String {
        let all = self.left_out.borrow();
        all.iter().map(|(what, n)| format!("{what} ({n})")).collect::<Vec<_>>().join(" and ")
    }

    /// Reachability of the whole cluster.
    pub fn reach(&self) -> &Reach {
        self.reach.get_or_init(|| Reach::of(self.engine))
    }

    /// What changes no verdict, and how the tiers undo each other. The first lint that asks pays for it; if there was not time
    /// enough, every lint that asks is overdue.
    pub fn redundancy(&self) -> &Report {
        let report = self.redundancy.get_or_init(|| redundancy::report_while(self.world, &|| !self.is_overdue()));
        if !report.finished {
            self.overdue.set(true);
        }
        report
    }

    /// Whom rules and peers mean, as classes.
    pub fn scope(&self) -> &Scope<'a> {
        self.scope.get_or_init(|| Scope::new(self.engine))
    }

    /// Where names are looked up.
    pub fn dns(&self) -> &Dns {
        self.dns.get_or_init(|| Dns::of(self.engine))
    }

    /// Who is isolated.
    pub fn coverage(&self) -> &Coverage {
        self.coverage.get_or_init(|| Coverage::of(self))
    }

    /// The cluster with a [`Fresh`] pod in every namespace.
    pub fn fresh_engine(&self) -> &Engine<'a> {
        self.fresh_engine
    }

    /// The imaginary pods.
    pub fn fresh(&self) -> &Fresh {
        self.fresh
    }

    /// What the evaluated policies say of a TCP connection on a port that nothing uses, in the world with imaginary pods.
    pub fn odd(&self, from: Endpoint, to: Endpoint) -> Verdict {
        let flow = Flow { from, to, l4: L4::Port(Protocol::Tcp, ODD_PORT), via_service: false };
        evaluated(&self.fresh_engine.decide(&flow))
    }

    /// Whether a pod deployed tomorrow into a namespace made tomorrow reaches this pod.
    pub fn stranger_reaches(&self, pod: PodId) -> Verdict {
        self.odd(self.fresh.stranger(), self.fresh.pod(pod))
    }

    /// As [`Self::stranger_reaches`], on a port.
    pub fn stranger_reaches_port(&self, pod: PodId, protocol: Protocol, port: u16) -> Verdict {
        let (from, to) = (self.fresh.stranger(), self.fresh.pod(pod));
        evaluated(&self.fresh_engine.decide(&Flow { from, to, l4: L4::Port(protocol, port), via_service: false }))
    }

    /// Whether this pod reaches a pod deployed tomorrow into a namespace made tomorrow.
    pub fn reaches_stranger(&self, pod: PodId) -> Verdict {
        self.odd(self.fresh.pod(pod), self.fresh.stranger())
    }

    /// `namespace/name` of a workload.
    pub fn workload_name(&self, id: WorkloadId) -> String {
        self.world.workload_name(id)
    }

    /// Pods of a workload that are not finished, in order.
    pub fn pods_of(&self, id: WorkloadId) -> impl Iterator<Item = PodId> + '_ {
        let here = self.world.pods.iter().enumerate();
        here.filter(move |(_, p)| p.workload == id && !p.finished).map(|(i, _)| PodId::at(i))
    }

    /// The environment of a namespace: key and value of the first environment label it carries.
    pub fn environment(&self, ns: NamespaceId) -> Option<(&str, &Str)> {
        let labels = &self.world.namespaces[ns.index()].labels;
        self.options.environment_keys.iter().find_map(|key| labels.get(key).map(|value| (key.as_str(), value)))
    }

    /// How trusted an environment is; `None` if it is not among those that were named.
    pub fn trust(&self, environment: &str) -> Option<usize> {
        self.options.environments.iter().position(|e| e == environment)
    }
}

/// The world with imaginary pods: one in each namespace ("deployed tomorrow"), and a stranger in a namespace of its own, all
/// without any label and without a known address.
pub struct Fresh {
    /// The world.
    pub world: World,
    moved: Vec<PodId>,
    by_namespace: Vec<PodId>,
    stranger: PodId,
}

impl Fresh {
    pub(crate) fn of(world: &World) -> Self {
        let mut out = world.clone();
        let home = NamespaceId::at(out.namespaces.len());
        // Sorts after every name that the API accepts.
        let name = Str::from("~tomorrow");
        out.namespaces.push(Namespace {
            labels: Labels::of(&[(NAMESPACE_NAME_LABEL, &name)]),
            name,
            annotations: Labels::default(),
            declared: true,
            terminating: false,
            origin: None,
        });
        let mut pods = Vec::with_capacity(out.pods.len() + out.namespaces.len());
        let mut moved = Vec::with_capacity(out.pods.len());
        let mut by_namespace = Vec::with_capacity(out.namespaces.len());
        let mut old = std::mem::take(&mut out.pods).into_iter().peekable();
        for ns in (0..out.namespaces.len()).map(NamespaceId::at) {
            while let Some(pod) = old.next_if(|p| p.namespace == ns) {
                moved.push(PodId::at(pods.len()));
                pods.push(pod);
            }
            by_namespace.push(PodId::at(pods.len()));
            pods.push(imaginary(&mut out, ns));
        }
        out.pods = pods;
        let stranger = by_namespace[home.index()];
        Self { world: out, moved, by_namespace, stranger }
    }

    /// A pod of the real world, in this one.
    pub fn pod(&self, real: PodId) -> Endpoint {
        Endpoint::Pod(self.moved[real.index()])
    }

    /// The imaginary pod of a namespace.
    pub fn tomorrow(&self, ns: NamespaceId) -> Endpoint {
        Endpoint::Pod(self.by_namespace[ns.index()])
    }

    /// The imaginary pod of an imaginary namespace.
    pub fn stranger(&self) -> Endpoint {
        Endpoint::Pod(self.stranger)
    }
}

fn imaginary(world: &mut World, namespace: NamespaceId) -> Pod {
    let workload = WorkloadId::at(world.workloads.len());
    let name = Str::from("~tomorrow");
    world.workloads.push(Workload {
        kind: WorkloadKind::Pod,
        namespace,
        name: name.clone(),
        template_labels: Labels::default(),
        selector: None,
        replicas: None,
        schedule: None,
        service_name: None,
        images: Vec::new(),
        annotations: Labels::default(),
        origin: Origin::default(),
    });
    Pod {
        name,
        namespace,
        workload,
        labels: Labels::default(),
        uid: None,
        node: None,
        host_network: false,
        ips: Vec::new(),
        ports: Vec::new(),
        finished: false,
        terminating: false,
        template: true,
        dns: watertight_model::pod::Dns::default(),
        node_privilege: None,
        origin: Origin::default(),
    }
}
