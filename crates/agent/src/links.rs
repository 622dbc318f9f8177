//! Devices of a network namespace, asked of the kernel over netlink.
//!
//! Everything acts in the calling thread's network namespace. A dump that the kernel says was interrupted is asked for again.

use crate::error::AgentError;
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Timespec;
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::Duration;

/// `RTMGRP_LINK` of linux/rtnetlink.h, as a number of a group: devices come, go and change.
const GROUP_LINK: u32 = 1;
/// `NLM_F_DUMP_INTR` of linux/netlink.h: the list changed while it was given.
const INTERRUPTED: u16 = 0x10;
/// How often a dump is begun before we say that it does not work.
const ATTEMPTS: usize = 8;
/// The kernel answers at once; this is for one that does not.
const PATIENCE: Duration = Duration::from_secs(5);

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    /// Its index in this namespace.
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) mac: Option<[u8; 6]>,
    /// Index of the other end of its cable, in the namespace where that is.
    pub(crate) peer: Option<u32>,
    /// The other end is in another namespace.
    pub(crate) abroad: bool,
}

/// All devices, by index.
pub(crate) fn devices() -> Result<BTreeMap<u32, Device>, AgentError> {
    let mut out = BTreeMap::new();
    dump(RouteNetlinkMessage::GetLink(LinkMessage::default()), |message| {
        if let RouteNetlinkMessage::NewLink(link) = message {
            let device = device(&link);
            out.insert(device.index, device);
        }
    })
    .map_err(AgentError::io("asking the kernel for its devices"))?;
    Ok(out)
}

fn device(link: &LinkMessage) -> Device {
    let mut out = Device { index: link.header.index, name: String::new(), mac: None, peer: None, abroad: false };
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => out.name.clone_from(name),
            LinkAttribute::Address(bytes) => out.mac = bytes.as_slice().try_into().ok(),
            LinkAttribute::Link(peer) => out.peer = Some(*peer),
            LinkAttribute::LinkNetNsId(_) => out.abroad = true,
            _ => {}
        }
    }
    out
}

/// Addresses that others may send to, by device; link-local ones are left out.
pub(crate) fn addresses() -> Result<BTreeMap<u32, Vec<IpAddr>>, AgentError> {
    let mut out: BTreeMap<u32, Vec<IpAddr>> = BTreeMap::new();
    dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()), |message| {
        let RouteNetlinkMessage::NewAddress(address) = message else { return };
        if !matches!(address.header.scope, AddressScope::Universe | AddressScope::Site) {
            return;
        }
        // On a point-to-point cable the plain attribute is the other end's; the local one is ours.
        let find = |local: bool| {
            address.attributes.iter().find_map(|a| match a {
                AddressAttribute::Local(ip) if local => Some(*ip),
                AddressAttribute::Address(ip) if !local => Some(*ip),
                _ => None,
            })
        };
        if let Some(ip) = find(true).or_else(|| find(false)) {
            out.entry(address.header.index).or_default().push(ip);
        }
    })
    .map_err(AgentError::io("asking the kernel for its addresses"))?;
    out.values_mut().for_each(|list| list.sort());
    Ok(out)
}

/// News that some device of this namespace came, went or changed.
pub(crate) struct Changes(Socket);

impl Changes {
    /// Listens from now on.
    pub(crate) fn open() -> Result<Self, AgentError> {
        let open = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.add_membership(GROUP_LINK)?;
            socket.set_non_blocking(true)?;
            Ok(socket)
        };
        open().map(Self).map_err(AgentError::io("listening for changes of devices"))
    }

    /// True if there was news within `time`, which is then forgotten. What was lost because too much came counts as news.
    pub(crate) fn wait(&self, time: Duration) -> Result<bool, AgentError> {
        let failed = || AgentError::io("waiting for changes of devices");
        if !readable(&self.0, time).map_err(failed())? {
            return Ok(false);
        }
        let mut buffer = vec![0_u8; 1 << 16];
        loop {
            match self.0.recv(&mut &mut buffer[..], 0) {
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(e) if e.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error()) => {}
                Err(e) => return Err(failed()(e)),
            }
        }
    }
}

fn readable(socket: &Socket, time: Duration) -> io::Result<bool> {
    let timeout =
        Timespec { tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(time.subsec_nanos()) };
    match poll(&mut [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)], Some(&timeout)) {
        Ok(n) => Ok(n > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

fn dump(ask: RouteNetlinkMessage, mut each: impl FnMut(RouteNetlinkMessage)) -> io::Result<()> {
    for _ in 0..ATTEMPTS {
        let mut all = Vec::new();
        if once(ask.clone(), &mut all)? {
            all.into_iter().for_each(&mut each);
            return Ok(());
        }
    }
    Err(io::Error::other("the list changes faster than it can be read"))
}

/// False: the list changed meanwhile.
fn once(ask: RouteNetlinkMessage, out: &mut Vec<RouteNetlinkMessage>) -> io::Result<bool> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut packet = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(ask));
    packet.header.flags = NLM_F_DUMP | NLM_F_REQUEST;
    packet.header.sequence_number = 1;
    packet.finalize();
    let mut bytes = vec![0; packet.buffer_len()];
    packet.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut whole = true;
    loop {
        if !readable(&socket, PATIENCE)? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = datagram.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
            whole &= message.header.flags & INTERRUPTED == 0;
            let length = usize::try_from(message.header.length).unwrap_or(usize::MAX).next_multiple_of(4);
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(whole),
                NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                NetlinkPayload::InnerMessage(inner) => out.push(inner),
                _ => {}
            }
            rest = rest.get(length.max(1)..).unwrap_or_default();
        }
    }
}
