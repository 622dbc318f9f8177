//! Address blocks as people write them. Source: `k8s.io/apimachinery/pkg/util/validation/ip.go`, KEP-4858.

use super::cx::{Cx, Path, quoted};
use crate::tree::Span;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use watertight_model::Cidr;
use watertight_model::policy::BlockCidr;

/// What a text is, read as generously as old servers did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sloppy {
    addr: IpAddr,
    len: u8,
    leading_zeros: bool,
}

/// `None`: no reader takes it for a block.
pub(crate) fn sloppy(text: &str) -> Option<Sloppy> {
    let (addr, len) = text.split_once('/')?;
    let (addr, zeros) = match addr.parse::<Ipv6Addr>() {
        Ok(addr) => (IpAddr::V6(addr), false),
        Err(_) => four(addr)?,
    };
    if len.is_empty() || len.len() > 3 || !len.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let bits: u8 = len.parse().ok()?;
    let width = if addr.is_ipv4() { 32 } else { 128 };
    (bits <= width).then_some(Sloppy {
        addr,
        len: bits,
        leading_zeros: zeros || (len.len() > 1 && len.starts_with('0')),
    })
}

/// Four decimal numbers; leading zeros stay decimal (row 83).
fn four(text: &str) -> Option<(IpAddr, bool)> {
    let mut octets = [0u8; 4];
    let mut zeros = false;
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        if part.is_empty() || part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        zeros |= part.len() > 1 && part.starts_with('0');
        *octet = part.parse().ok()?;
    }
    parts.next().is_none().then_some((IpAddr::V4(Ipv4Addr::from(octets)), zeros))
}

/// The IPv4 block that some readers see in an IPv4-mapped IPv6 block.
fn mapped(sloppy: &Sloppy) -> Option<Cidr> {
    match sloppy.addr {
        IpAddr::V6(addr) => Cidr::new(IpAddr::V4(addr.to_ipv4_mapped()?), sloppy.len.checked_sub(96)?),
        IpAddr::V4(_) => None,
    }
}

/// Reads a block of an `ipBlock`; `None` after an error.
pub(crate) fn block(cx: &mut Cx<'_>, path: &Path<'_>, text: &str, span: Span) -> Option<BlockCidr> {
    let Some(read) = sloppy(text) else {
        cx.invalid(path, span, &quoted(text), "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
        return None;
    };
    let cidr = Cidr::new(read.addr, read.len)?;
    let mapped = mapped(&read);
    let is_mapped = matches!(read.addr, IpAddr::V6(a) if a.to_ipv4_mapped().is_some());
    let fault = if read.leading_zeros {
        Some("must not have leading 0s in IP or prefix length")
    } else if is_mapped {
        Some("must not have an IPv4-mapped IPv6 address")
    } else if cidr.addr() != read.addr {
        Some("must not have bits set beyond the prefix length")
    } else {
        None
    };
    if let Some(detail) = fault {
        let meant = if is_mapped { mapped.unwrap_or(cidr) } else { cidr };
        let help = Some(format!("write {meant} if that block is meant, {} for the one address", Cidr::host(read.addr)));
        if cx.strict_cidr {
            cx.error("WT0004", path, span, format!("{path}: Invalid value: {}: {detail}", quoted(text)), help);
            return None;
        }
        cx.warn("WT0007", path, span, format!("{path}: {} is read as {cidr}: {detail}", quoted(text)), help);
    }
    Some(BlockCidr { cidr, mapped, sloppy: fault.is_some(), origin: cx.origin(span) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generous_as_old_servers() {
        let read = |t: &str| sloppy(t).and_then(|s| Cidr::new(s.addr, s.len)).map(|c| c.to_string());
        assert_eq!(read("10.1.2.3/8").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(read("010.0.0.0/08").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(read("FE80:0abc::/64").as_deref(), Some("fe80:abc::/64"));
        for bad in [
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0/8",
            " 10.0.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "::/129",
            "fe80::1%eth0/64",
            "10.0.0.0.0/8",
            "1e1.0.0.0/8",
        ] {
            assert_eq!(sloppy(bad), None, "{bad}");
        }
        assert_eq!(mapped(&sloppy("::ffff:10.0.0.0/104").unwrap()), Some("10.0.0.0/8".parse().unwrap()));
        assert_eq!(mapped(&sloppy("::ffff:10.0.0.0/90").unwrap()), None);
    }
}
