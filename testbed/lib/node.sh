# shellcheck shell=bash
# Nodes. A node is a set of namespaces (network, mount, process, host name, IPC) with a view of the machine's root of its
# own: containerd, kubelet, kube-proxy and flanneld find their usual paths, and everything they mount, start or listen on
# ends with the node's first process (node-init.sh).

readonly TESTBED_NODE=/run/testbed

# write_node NUMBER CNI: the node's folder: settings, credentials, and what will be its /var, /opt and /etc.
write_node() {
  local number="$1" name="node$1" ip dir
  ip="$(node_ip "$number")"
  dir="$STATE/nodes/$name"
  mkdir -p "$dir"/{config,var/{lib,log,tmp,cache},opt/cni/bin,etc/{upper,work}}
  cp "$(part_dir cni)"/* "$dir/opt/cni/bin/"
  node_pki "$name" "$ip"
  cp "$PKI/ca.crt" "$PKI/kubelet-$name".{crt,key,kubeconfig} "$PKI"/{kube-proxy,flannel}.kubeconfig "$dir/config/"
  cat >"$dir/config/settings" <<SETTINGS
NAME=$name
ADDRESS=$ip
GATEWAY=$HOST_IP
CNI=$2
POD_CIDR=$POD_CIDR
API_SERVER=$API
CGROUP=$PREFIX/$name
IMAGES=$(part_dir images)
STATE_PARTS=$PARTS
PATH=$TESTBED_NODE/parts/$(basename "$(part_dir kubernetes)"):$TESTBED_NODE/parts/$(basename "$(part_dir containerd)"):$TESTBED_NODE/parts/$(basename "$(part_dir runc)"):$TESTBED_NODE/parts/$(basename "$(part_dir flannel)"):/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
SETTINGS
  kubelet_settings "$name" "$ip" >"$dir/config/kubelet.yaml"
  containerd_settings >"$dir/config/containerd.toml"
  kube_proxy_settings "$name" "$ip" >"$dir/config/kube-proxy.yaml"
  # Flannel's own iptables rules are not wanted: node-init.sh has a masquerade rule that needs no iptables.
  echo "{\"Network\": \"$POD_CIDR\", \"EnableNFTables\": true, \"Backend\": {\"Type\": \"vxlan\"}}" >"$dir/config/flannel.json"
  # Names outside the cluster lead nowhere.
  : >"$dir/config/resolv.conf"
}

kubelet_settings() {
  cat <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $2
healthzPort: 0
clusterDNS: [$DNS_IP]
clusterDomain: cluster.local
resolvConf: $TESTBED_NODE/config/resolv.conf
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $TESTBED_NODE/config/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: $TESTBED_NODE/config/kubelet-$1.crt
tlsPrivateKeyFile: $TESTBED_NODE/config/kubelet-$1.key
cgroupDriver: cgroupfs
cgroupRoot: /$PREFIX/$1
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
serializeImagePulls: false
# Nothing can be pulled again, and the disk is the machine's.
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 50Mi}
YAML
}

containerd_settings() {
  cat <<TOML
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "$PAUSE_IMAGE"

[plugins."io.containerd.cri.v1.runtime"]
# A machine without CAP_SYS_RESOURCE may not make a process less likely to be killed than itself.
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["/opt/cni/bin"]
conf_dir = "/etc/cni/net.d"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
TOML
}

kube_proxy_settings() {
  cat <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: $1
bindAddress: $2
healthzBindAddress: $2:10256
metricsBindAddress: 127.0.0.1:10249
clusterCIDR: $POD_CIDR
clientConnection: {kubeconfig: $TESTBED_NODE/config/kube-proxy.kubeconfig}
# The table is the machine's, and not ours to size.
conntrack: {maxPerCore: 0, min: 0}
YAML
}

# start_node NUMBER: node-init.sh in new namespaces, and the wire to it.
start_node() {
  local name="node$1" dir="$STATE/nodes/node$1"
  make_cgroup "$PREFIX/$name"
  daemon "$name" unshare --net --mount --propagation private --uts --ipc --pid --fork --kill-child \
    bash "$TESTBED/lib/node-init.sh" "$dir"
  wait_for 10 "the namespaces of $name" node_pid "$name"
  connect_node "$1" "$(node_pid "$name")"
}

# node_pid NODE: the node's first process, as the machine numbers it: the only child of the recorded `unshare`.
node_pid() {
  local parent child
  parent="$(cat "$STATE/pids/$1")" || return 1
  child="$(cat "/proc/$parent/task/$parent/children" 2>/dev/null)" || return 1
  child="${child%% *}"
  # Until it runs its script, it may still be on its way into the namespaces.
  [ -n "$child" ] && grep -qa node-init.sh "/proc/$child/cmdline" && echo "$child"
}

# in_node NODE COMMAND...
in_node() {
  local pid
  pid="$(node_pid "$1")" || die "no node \`$1\` is running" "./dev cluster status"
  shift
  nsenter --target "$pid" --net --mount --uts --ipc --pid -- \
    env PATH="$TESTBED_NODE/path:$(sed -n 's/^PATH=//p' "/proc/$pid/root$TESTBED_NODE/config/settings")" "$@"
}
