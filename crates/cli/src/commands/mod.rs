//! One file per command: its arguments, and what it asks whom. Nothing is computed here.

pub mod agent;
pub mod audit;
pub mod blast;
pub mod completion;
pub mod connections;
pub mod demo;
pub mod diff;
pub mod doctor;
pub mod explain;
pub mod flows;
pub mod lab;
pub mod learn;
pub mod query;
pub mod replay;
pub mod start;
pub mod test;
pub mod verify;
pub mod version;
#[cfg(target_os = "linux")]
mod walk;
pub mod watch;

use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use watertight_engine::Engine;
use watertight_engine::query::{Target, UnknownTarget};
use watertight_model::Protocol;

/// A name from the command line or a batch. One without a namespace is looked up in that of `-n`.
fn target(ctx: &Ctx<'_, '_>, engine: &Engine<'_>, text: &str) -> Result<Target, UnknownTarget> {
    let named = |prefix: &str, name: &str| match &ctx.global.namespace {
        Some(namespace) if !name.contains('/') => format!("{prefix}{namespace}/{name}"),
        _ => text.to_owned(),
    };
    let full = match text.split_once(':') {
        None => named("", text),
        Some(("service", name)) => named("service:", name),
        Some(_) => text.to_owned(),
    };
    Target::parse(engine, &full)
}

/// A name that stands for nothing, as a fault.
fn unknown(error: &UnknownTarget) -> Failure {
    /// Names that are offered.
    const SHOWN: usize = 3;
    let near: Vec<String> = error.near.iter().take(SHOWN).map(|n| format!("`{n}`")).collect();
    let help = (!near.is_empty()).then(|| format!("did you mean {}?", near.join(" or ")));
    Failure::new(Exit::BadInput, "unknown-name", format!("`{}`: {}", error.text, error.why), help)
}

/// A port and its protocol; without a protocol, TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// `None`: an IP protocol without ports, such as ICMP.
    pub protocol: Option<Protocol>,
    /// 1 to 65535; 0 without protocol.
    pub port: u16,
}

impl std::str::FromStr for Port {
    type Err = String;

    /// Reads `5432`, `5432/TCP` or `ICMP` (any other protocol without ports works like it).
    fn from_str(text: &str) -> Result<Self, String> {
        const WANT: &str = "want a port such as 5432 or 5432/UDP (TCP if none is named), or ICMP";
        if text.eq_ignore_ascii_case("icmp") {
            return Ok(Self { protocol: None, port: 0 });
        }
        let (port, protocol) = text.split_once('/').unwrap_or((text, "TCP"));
        let protocol = Protocol::parse(&protocol.to_ascii_uppercase()).ok_or(WANT)?;
        let port = port.parse::<u16>().ok().filter(|p| *p > 0).ok_or(WANT)?;
        Ok(Self { protocol: Some(protocol), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_on_the_command_line() {
        let tcp = |port| Ok(Port { protocol: Some(Protocol::Tcp), port });
        assert_eq!("5432".parse(), tcp(5432));
        assert_eq!("5432/tcp".parse(), tcp(5432));
        assert_eq!("53/UDP".parse(), Ok(Port { protocol: Some(Protocol::Udp), port: 53 }));
        assert_eq!("icmp".parse(), Ok(Port { protocol: None, port: 0 }));
        for bad in ["0", "65536", "http", "80/", "/TCP", "80/HTTP", "-1", ""] {
            assert!(bad.parse::<Port>().is_err(), "{bad}");
        }
    }
}
