//! The next image, from the one before.

use super::super::Local;
use super::super::compile::fits;
use super::super::flat::addresses;
use super::Touched;
use super::changes::{Side, changes};
use super::made::{Kept, Wanted, claim};
use std::net::IpAddr;
use std::sync::Arc;
use watertight_model::{Pod, PodId, World};

/// Everything has to be made anew. What is kept may be half changed.
pub(super) struct Anew;

impl Kept {
    /// Takes over what differs in the pods; [`Anew`]: more than that does.
    pub(super) fn follow(&mut self, world: &Arc<World>, locals: &[Local]) -> Result<(), Anew> {
        if self.grown > self.may_grow {
            return Err(Anew);
        }
        let (old_world, old_locals) = (self.world.clone(), std::mem::take(&mut self.locals));
        let old = Side { world: &old_world, locals: &old_locals };
        let changed = changes(old, Side { world, locals }).ok_or(Anew)?;
        self.compiled.next(Touched::default());
        let mut touched = Touched::default();
        for (pod, local) in changed.iter().filter_map(|c| c.before) {
            for ip in addresses(pod, local).unwrap_or_default() {
                if let Some(claims) = self.claims.get_mut(ip) {
                    claims.retain(|c| c.namespace != pod.namespace || c.name != pod.name);
                }
                touched.addresses.insert(*ip);
            }
            if let Some(local) = local {
                touched.slots.insert(local.ifindex);
                self.compiled.image.slots.remove(&local.ifindex);
            }
        }
        let (mut wanted, mut fresh) = (Vec::new(), Vec::new());
        for (pod, local) in changed.iter().filter_map(|c| c.after) {
            let Some(ips) = addresses(pod, local) else { continue };
            let mut first = None;
            for ip in ips.iter().copied().map(Some).chain(ips.is_empty().then_some(None)) {
                let kind = self.kind(pod, ip, &mut fresh);
                first = first.or(Some(kind));
                if let Some(ip) = ip {
                    self.claims.entry(ip).or_default().push(claim(pod, kind, local));
                    touched.addresses.insert(ip);
                }
            }
            if let Some((local, kind)) = local.zip(first) {
                touched.slots.insert(local.ifindex);
                wanted.push(Wanted { pod, local, kind });
            }
        }
        let addresses = std::mem::take(&mut touched.addresses);
        if let Some((_, mine)) = &mut self.compiled.since {
            *mine = touched;
        }
        if !self.rows(&wanted, &fresh) {
            return Err(Anew);
        }
        self.slots(&wanted);
        for ip in &addresses {
            self.address(*ip);
        }
        if let Some((_, mine)) = &mut self.compiled.since {
            mine.addresses = addresses;
        }
        self.say_notes();
        self.grown += fresh.len();
        // What nobody is any more counts here and not there: only a whole image may be refused.
        if fits(&self.compiled.image).is_err() || self.compiled.image.addresses.len() > crate::bounds::ADDRESSES {
            return Err(Anew);
        }
        self.world = world.clone();
        self.locals = locals.to_vec();
        Ok(())
    }

    fn kind(&mut self, pod: &Pod, ip: Option<IpAddr>, fresh: &mut Vec<usize>) -> usize {
        match self.kinds.find(pod, ip) {
            Ok(kind) => kind,
            Err(key) => {
                // After its namespace's others.
                let at = self.kinds.small.pods.partition_point(|p| p.namespace <= pod.namespace);
                let moved = |id: &mut PodId| *id = PodId::at(id.index() + usize::from(id.index() >= at));
                self.groups.iter_mut().flat_map(|g| &mut g.hosts).for_each(moved);
                let kind = self.kinds.add(key, pod, ip, at);
                fresh.push(kind);
                kind
            }
        }
    }

    fn address(&mut self, ip: IpAddr) {
        let claims = self.claims.remove(&ip).unwrap_or_default();
        match self.owner(ip, &claims) {
            Some(owner) => self.compiled.image.addresses.insert(ip, owner),
            None => self.compiled.image.addresses.remove(&ip),
        };
        if !claims.is_empty() {
            self.claims.insert(ip, claims);
        }
    }
}
