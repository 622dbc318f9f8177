//! Answers about classes that several lints need and that are expensive to find twice; each is found when first asked for.

use crate::context::Ctx;
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use watertight_engine::classes::ClassId;
use watertight_engine::connections::open_ports;
use watertight_engine::reach::PortPair;
use watertight_engine::reach::external::{ExternalPart, external, families_in_use};
use watertight_engine::service::{Backend, backends};
use watertight_model::{Direction, Endpoint, Family, PortSet, ServiceId};

/// Addresses outside by ports.
type Parts = Rc<[ExternalPart]>;

/// The caches.
#[derive(Default)]
pub(crate) struct Known {
    families: OnceCell<Vec<Family>>,
    outside: RefCell<BTreeMap<(ClassId, Direction), Parts>>,
    strangers: RefCell<BTreeMap<ClassId, Rc<PortPair>>>,
    backends: OnceCell<Vec<Vec<Backend>>>,
    by_address: OnceCell<BTreeMap<IpAddr, ServiceId>>,
}

impl Ctx<'_, '_> {
    /// What a class may exchange with addresses outside the cluster.
    pub(crate) fn outside(&self, class: ClassId, direction: Direction) -> Parts {
        if let Some(known) = self.known.outside.borrow().get(&(class, direction)) {
            return known.clone();
        }
        let families = self.known.families.get_or_init(|| families_in_use(self.engine));
        let parts: Parts = external(self.engine, class, direction, families).into();
        self.known.outside.borrow_mut().insert((class, direction), parts.clone());
        parts
    }

    /// Ports on which a pod deployed tomorrow into a namespace made tomorrow reaches a class.
    pub(crate) fn stranger_ports(&self, class: ClassId) -> Rc<PortPair> {
        if let Some(known) = self.known.strangers.borrow().get(&class) {
            return known.clone();
        }
        let ends = (self.fresh().stranger(), self.fresh().pod(self.engine.classes().representative(class)));
        let ports = match ends {
            (Endpoint::Pod(from), Endpoint::Pod(to)) => open_ports(self.fresh_engine(), from, to),
            _ => PortPair { sure: PortSet::none(), possible: PortSet::none() },
        };
        let ports = Rc::new(ports);
        self.known.strangers.borrow_mut().insert(class, ports.clone());
        ports
    }

    /// Who stands behind a Service.
    pub(crate) fn backends(&self, service: ServiceId) -> &[Backend] {
        let all = self
            .known
            .backends
            .get_or_init(|| (0..self.world.services.len()).map(|i| backends(self.engine, ServiceId::at(i))).collect());
        &all[service.index()]
    }

    /// Services by their cluster addresses, sorted.
    pub(crate) fn service_addresses(&self) -> &BTreeMap<IpAddr, ServiceId> {
        self.known.by_address.get_or_init(|| {
            let all = self.world.services.iter().enumerate();
            all.flat_map(|(i, s)| s.cluster_ips.iter().map(move |ip| (*ip, ServiceId::at(i)))).collect()
        })
    }
}
