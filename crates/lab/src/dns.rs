//! The cluster's DNS, as far as a lab needs it: addresses of Services, and of the pods behind headless ones.

use crate::plan::Plan;
use simple_dns::rdata::{A, AAAA, RData};
use simple_dns::{CLASS, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Seconds that an answer may be kept.
const TTL: u32 = 5;

/// Names and what they stand for: full names in lower case, without the last dot.
pub(crate) struct Zone(BTreeMap<String, Vec<IpAddr>>);

impl Zone {
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut names = BTreeMap::new();
        for service in &plan.services {
            let name = format!("{}.{}.svc.cluster.local", service.name, service.namespace);
            let addresses: Vec<IpAddr> = match service.addresses {
                Some((v4, v6)) => vec![v4.into(), v6.into()],
                None => service
                    .ports
                    .iter()
                    .flat_map(|(_, _, to)| to)
                    .flat_map(|(pod, _)| {
                        let (v4, v6) = plan.pods[*pod].addresses;
                        [IpAddr::from(v4), IpAddr::from(v6)]
                    })
                    .collect(),
            };
            let entry: &mut Vec<IpAddr> = names.entry(name).or_default();
            entry.extend(addresses);
            entry.sort_unstable();
            entry.dedup();
        }
        Self(names)
    }

    /// The answer to a message; `None`: it is no question, and nobody is owed an answer.
    pub(crate) fn answer(&self, message: &[u8]) -> Option<Vec<u8>> {
        let question = Packet::parse(message).ok()?;
        let asked = question.questions.first()?;
        let mut reply = Packet::new_reply(question.id());
        reply.set_flags(PacketFlag::AUTHORITATIVE_ANSWER | PacketFlag::RECURSION_AVAILABLE);
        let name = asked.qname.to_string().to_ascii_lowercase();
        match self.0.get(name.trim_end_matches('.')) {
            None => *reply.rcode_mut() = RCODE::NameError,
            Some(addresses) => {
                for ip in addresses {
                    let data = match (ip, asked.qtype) {
                        (IpAddr::V4(ip), QTYPE::TYPE(TYPE::A) | QTYPE::ANY) => RData::A(A { address: (*ip).into() }),
                        (IpAddr::V6(ip), QTYPE::TYPE(TYPE::AAAA) | QTYPE::ANY) => {
                            RData::AAAA(AAAA { address: (*ip).into() })
                        }
                        _ => continue,
                    };
                    reply.answers.push(ResourceRecord::new(asked.qname.clone(), CLASS::IN, TTL, data));
                }
            }
        }
        reply.questions.push(asked.clone());
        reply.build_bytes_vec().ok()
    }
}
