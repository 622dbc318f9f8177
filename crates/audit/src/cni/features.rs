//! What plugins that enforce NetworkPolicy leave out of it, as data: one row per plugin and feature, each with its source.
//!
//! A plugin and a feature without a row: nothing is known against it, and nothing is said.

/// A part of the API that some plugins do not enforce as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// `protocol: SCTP`.
    Sctp,
    /// `endPort`.
    EndPort,
    /// An `ipBlock` that holds addresses of pods.
    BlockOnPods,
}

impl Feature {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Feature::Sctp => "`protocol: SCTP`",
            Feature::EndPort => "`endPort`",
            Feature::BlockOnPods => "an `ipBlock` that holds addresses of pods",
        }
    }
}

/// What a plugin does instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The plugin, as in the table of plugins.
    pub plugin: &'static str,
    /// What it leaves out.
    pub feature: Feature,
    /// What happens, and when: "without ...", "before version ...".
    pub what: &'static str,
    /// Who says so, and when it was looked up.
    pub source: &'static str,
}

/// All gaps that are known.
pub const GAPS: &[Gap] = &[
    Gap {
        plugin: "Cilium",
        feature: Feature::BlockOnPods,
        what: "it knows pods by their labels, and a block does not match them",
        source: "https://docs.cilium.io/en/stable/network/kubernetes/policy/, known missing features (Nov 2026)",
    },
    Gap {
        plugin: "GKE Dataplane V2",
        feature: Feature::BlockOnPods,
        what: "it is built on Cilium, where a block does not match pods",
        source: "https://docs.cilium.io/en/stable/network/kubernetes/policy/, known missing features (Nov 2026)",
    },
    Gap {
        plugin: "Cilium",
        feature: Feature::Sctp,
        what: "SCTP is a beta feature that is off unless `sctp.enabled` is set",
        source: "https://docs.cilium.io/en/stable/configuration/sctp/ (Nov 2026)",
    },
    Gap {
        plugin: "Cilium",
        feature: Feature::EndPort,
        what: "versions before 1.16 accept it and ignore it",
        source: "https://github.com/cilium/cilium/issues/28684 (Nov 2026)",
    },
    Gap {
        plugin: "kube-router",
        feature: Feature::Sctp,
        what: "SCTP in policies is an open request",
        source: "https://github.com/cloudnativelabs/kube-router/issues/1019 (Nov 2026)",
    },
    Gap {
        plugin: "k3s",
        feature: Feature::Sctp,
        what: "its policy controller is kube-router's, where SCTP in policies is an open request",
        source: "https://github.com/cloudnativelabs/kube-router/issues/1019 (Nov 2026)",
    },
    Gap {
        plugin: "Azure Network Policy Manager",
        feature: Feature::EndPort,
        what: "port ranges are a request",
        source: "https://github.com/Azure/azure-container-networking/issues/2313 (Nov 2026)",
    },
];

/// The gap of a plugin, if one is known.
pub fn gap(plugin: &str, feature: Feature) -> Option<&'static Gap> {
    GAPS.iter().find(|g| g.plugin == plugin && g.feature == feature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cni::table::PLUGINS;

    /// Names are those of the table of plugins, each cell stands once, and each has a source with a date.
    #[test]
    fn every_cell_is_sound() {
        for (i, this) in GAPS.iter().enumerate() {
            assert!(PLUGINS.iter().any(|p| p.name == this.plugin), "{}", this.plugin);
            assert!(this.source.starts_with("https://") && this.source.ends_with("2026)"), "{}", this.source);
            assert!(!GAPS[..i].iter().any(|g| (g.plugin, g.feature) == (this.plugin, this.feature)), "{this:?}");
        }
        assert!(gap("Cilium", Feature::Sctp).is_some() && gap("Calico", Feature::Sctp).is_none());
    }
}
