# shellcheck shell=bash
# What the testbed is made of. A part's folder in the cache carries its version, so a new number here is a new build.

readonly GO=1.26.8         # the oldest that builds all of it
readonly KUBERNETES=1.36.3 # also in go/kubernetes/go.mod, with its staging modules as 0.36.3
readonly ETCD=3.6.8        # the one that go/kubernetes/go.mod selects
readonly CONTAINERD=2.4.2
readonly RUNC=1.5.2
readonly CNI_PLUGINS=1.9.1
readonly FLANNEL=0.28.10
readonly COREDNS=1.15.0
readonly HELM=3.21.4
readonly KWOK=0.8.0
readonly NETWORK_POLICY_API=0.2.0
# Of our own making: counts up when what goes into the images, or how the suite is built, changes.
readonly IMAGES=3

# Names under which pods ask for the images; nothing is ever pulled.
readonly PAUSE_IMAGE=registry.k8s.io/pause:3.10.2
readonly COREDNS_IMAGE=registry.k8s.io/coredns/coredns:v$COREDNS
# The first is what the suite of this Kubernetes wants, the second what the ClusterNetworkPolicy suite wants.
readonly AGNHOST_IMAGES=(registry.k8s.io/e2e-test-images/agnhost:2.63.0 registry.k8s.io/e2e-test-images/agnhost:2.45)
readonly WATERTIGHT_IMAGE=localhost/watertight:dev
