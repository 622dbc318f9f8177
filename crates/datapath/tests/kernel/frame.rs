//! Frames from scratch.

use std::net::IpAddr;
use watertight_model::{L4, Protocol};

/// An Ethernet header.
pub(crate) fn ethernet(kind: u16) -> Vec<u8> {
    let mut out = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1];
    out.extend(kind.to_be_bytes());
    out
}

/// IP protocol number.
fn number(l4: L4, v6: bool) -> u8 {
    match l4 {
        L4::Port(Protocol::Tcp, _) => 6,
        L4::Port(Protocol::Udp, _) => 17,
        L4::Port(Protocol::Sctp, _) => 132,
        // An echo request: of those without ports the one that tells its flows apart.
        L4::Other if v6 => 58,
        L4::Other => 1,
    }
}

/// A whole transport header that opens a flow.
pub(crate) fn transport(l4: L4, sport: u16) -> Vec<u8> {
    let mut out = Vec::new();
    let L4::Port(protocol, port) = l4 else { return vec![0; 8] };
    out.extend(sport.to_be_bytes());
    out.extend(port.to_be_bytes());
    match protocol {
        Protocol::Tcp => out.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0]),
        Protocol::Udp => out.extend([0, 8, 0, 0]),
        Protocol::Sctp => out.extend([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 4]),
    }
    out
}

/// An IPv4 header with `options` (a multiple of four bytes) before `payload`.
pub(crate) fn ipv4(src: [u8; 4], dst: [u8; 4], protocol: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let words = 5 + options.len() / 4;
    let length = u16::try_from(words * 4 + payload.len()).unwrap();
    let mut out = vec![0x40 | u8::try_from(words).unwrap(), 0];
    out.extend(length.to_be_bytes());
    out.extend([0, 7, 0, 0, 64, protocol, 0, 0]);
    out.extend(src);
    out.extend(dst);
    out.extend(options);
    out.extend(payload);
    out
}

/// An IPv6 header before `payload`, which begins with a header of kind `next`.
pub(crate) fn ipv6(src: [u8; 16], dst: [u8; 16], next: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x60, 0, 0, 0];
    out.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    out.extend([next, 64]);
    out.extend(src);
    out.extend(dst);
    out.extend(payload);
    out
}

/// A frame that opens a flow. Both addresses are of one family.
pub(crate) fn opening(src: IpAddr, dst: IpAddr, l4: L4, sport: u16) -> Vec<u8> {
    let mut payload = transport(l4, sport);
    if l4 == L4::Other {
        payload[0] = if src.is_ipv6() { 128 } else { 8 };
        payload[4..6].copy_from_slice(&sport.to_be_bytes());
    }
    let (kind, packet) = match (src, dst) {
        (IpAddr::V4(s), IpAddr::V4(d)) => (0x0800, ipv4(s.octets(), d.octets(), number(l4, false), &[], &payload)),
        (IpAddr::V6(s), IpAddr::V6(d)) => (0x86dd, ipv6(s.octets(), d.octets(), number(l4, true), &payload)),
        (s, d) => unreachable!("{s} and {d} are of two families"),
    };
    let mut frame = ethernet(kind);
    frame.extend(packet);
    frame
}
