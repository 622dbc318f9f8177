//! Devices by name: their index, and the address of the other end.

use crate::error::AgentError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::process::{Command, Stdio};

/// A device, as `ip -j link` shows it.
#[derive(Deserialize)]
struct Shown {
    ifindex: u32,
    ifname: String,
    address: Option<String>,
}

/// Index and MAC address.
pub(crate) type Device = (u32, Option<[u8; 6]>);

/// Devices by name, of the calling thread's network namespace.
pub(crate) fn devices() -> Result<BTreeMap<String, Device>, AgentError> {
    let output = Command::new("ip")
        .args(["-j", "link", "show"])
        .stdin(Stdio::null())
        .output()
        .map_err(AgentError::io("starting `ip`"))?;
    let shown: Vec<Shown> = serde_json::from_slice(&output.stdout)
        .map_err(|e| AgentError::io("reading what `ip` shows")(std::io::Error::from(e)))?;
    Ok(shown.into_iter().map(|d| (d.ifname, (d.ifindex, d.address.as_deref().and_then(mac)))).collect())
}

/// `02:00:00:00:00:01`.
fn mac(text: &str) -> Option<[u8; 6]> {
    let bytes: Vec<u8> = text.split(':').map(|b| u8::from_str_radix(b, 16).ok()).collect::<Option<_>>()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_of_devices() {
        assert_eq!(super::mac("02:00:00:00:00:0a"), Some([2, 0, 0, 0, 0, 10]));
        for bad in ["", "02:00", "02:00:00:00:00:00:01", "02:00:00:00:00:xx", "2:0:0:0:0:100"] {
            assert_eq!(super::mac(bad), None, "{bad}");
        }
    }
}
