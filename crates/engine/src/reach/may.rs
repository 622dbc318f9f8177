//! What a tier may do, for all ports at once.

use crate::bits::Bits;
use crate::peers::Effect;
use crate::reach::columns::Cols;
use watertight_model::PortSet;

/// Ports by what may happen to them; each port is in at least one of the four.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct May {
    pub(crate) accept: PortSet,
    pub(crate) deny: PortSet,
    pub(crate) pass: PortSet,
    pub(crate) nothing: PortSet,
}

impl May {
    pub(crate) fn untouched() -> Self {
        Self { nothing: PortSet::all(), ..Self::default() }
    }

    /// A rule matches on these ports, where nothing has happened yet.
    pub(crate) fn hit(&mut self, ports: &PortSet, effect: Effect, sure: bool) {
        let live = self.nothing.intersect(ports);
        let target = match effect {
            Effect::Accept => &mut self.accept,
            Effect::Deny => &mut self.deny,
            Effect::Pass => &mut self.pass,
        };
        *target = target.union(&live);
        if sure {
            self.nothing = self.nothing.minus(&live);
        }
    }

    /// A rule matches these classes on these ports, where nothing has happened yet.
    pub(crate) fn hit_classes(parts: &mut Vec<(May, Bits)>, cols: &Cols, ports: &PortSet, effect: Effect) {
        if ports.is_empty() || cols.possible.is_empty() {
            return;
        }
        let mut out = Vec::with_capacity(parts.len() + 2);
        for (may, bits) in parts.drain(..) {
            let (sure, outside) = (bits.and(&cols.sure), bits.minus(&cols.possible));
            let unclear = bits.minus(&cols.sure).minus(&outside);
            for (bits, sure) in [(sure, true), (unclear, false)] {
                if bits.is_empty() {
                    continue;
                }
                let mut may = may.clone();
                may.hit(ports, effect, sure);
                out.push((may, bits));
            }
            if !outside.is_empty() {
                out.push((may, outside));
            }
        }
        *parts = out;
    }

    pub(crate) fn product(a: &[(May, Bits)], b: &[(May, Bits)], join: impl Fn(&May, &May) -> May) -> Vec<(May, Bits)> {
        let mut out: Vec<(May, Bits)> = Vec::new();
        for (x, xs) in a {
            for (y, ys) in b {
                let both = xs.and(ys);
                if both.is_empty() {
                    continue;
                }
                let may = join(x, y);
                match out.iter_mut().find(|(known, _)| *known == may) {
                    Some((_, bits)) => bits.add(&both),
                    None => out.push((may, both)),
                }
            }
        }
        out
    }

    /// Row 143: Deny before Pass before Accept.
    pub(crate) fn most_restrictive(a: &May, b: &May) -> May {
        let open = |m: &May| m.accept.union(&m.nothing);
        let kept = |m: &May| open(m).union(&m.pass);
        May {
            deny: a.deny.union(&b.deny),
            pass: a.pass.intersect(&kept(b)).union(&b.pass.intersect(&kept(a))),
            accept: a.accept.intersect(&open(b)).union(&b.accept.intersect(&open(a))),
            nothing: a.nothing.intersect(&b.nothing),
        }
    }

    /// The second is asked where the first did nothing.
    pub(crate) fn then(a: &May, b: &May) -> May {
        let on = |set: &PortSet| a.nothing.intersect(set);
        May {
            accept: a.accept.union(&on(&b.accept)),
            deny: a.deny.union(&on(&b.deny)),
            pass: a.pass.union(&on(&b.pass)),
            nothing: on(&b.nothing),
        }
    }
}
