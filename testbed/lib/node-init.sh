#!/usr/bin/env bash
# The first process of a node: makes the node's view of the machine, starts what a node runs, and starts it again if it
# dies. Runs as process 1 of new namespaces (node.sh): all that it starts ends with it.
# shellcheck disable=SC2153 # names in capitals come from the settings
set -euo pipefail

readonly DIR="$1" # the node's folder
readonly NODE=/run/testbed
set -a
# shellcheck source=/dev/null
source "$DIR/config/settings"
set +a

# --- the root ------------------------------------------------------------------------------------------------------

mount -t proc proc /proc
hostname "$NAME"

# /run is new, with the machine's programs and settings of ours in it. Before anything is covered: sources by descriptor,
# since the folders may lie below what is covered.
exec 7<"$DIR" 8<"$STATE_PARTS" 6<"$IMAGES"
mount -t tmpfs -o mode=755 run /run
mkdir -p "$NODE"/{config,parts,images} /run/{netns,lock,flannel,containerd}
mount --bind /proc/self/fd/8 "$NODE/parts"
mount --bind /proc/self/fd/6 "$NODE/images"
mount --bind /proc/self/fd/7/config "$NODE/config"
mount -t overlay -o "lowerdir=/etc,upperdir=$DIR/etc/upper,workdir=$DIR/etc/work" etc /etc
mount --bind /proc/self/fd/7/opt /opt
mount --bind /proc/self/fd/7/var /var
exec 6<&- 7<&- 8<&-
ln -sfn /run /var/run
mkdir -p /etc/cni/net.d

# /sys shows the network namespace of whoever mounted it. Control groups are the machine's.
mkdir /run/cgroup
mount --rbind /sys/fs/cgroup /run/cgroup
mount -t sysfs sysfs /sys
mount --rbind /run/cgroup /sys/fs/cgroup
umount -l /run/cgroup
rmdir /run/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null || true
# Pods may ask for mounts that reach the node and back.
mount --make-rshared /

# --- the network ---------------------------------------------------------------------------------------------------

ip link set lo up
until ip link show eth0 >/dev/null 2>&1; do sleep 0.02; done
ip address add "$ADDRESS/24" dev eth0
ip link set eth0 up
ip route add default via "$GATEWAY"
sysctl -qw net.ipv4.ip_forward=1
# Replies between pods of one bridge must pass the address translation of Services too.
sysctl -qw net.bridge.bridge-nf-call-iptables=1 2>/dev/null || true
nft -f - <<NFT
table ip testbed {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    ip saddr $POD_CIDR ip daddr != $POD_CIDR oifname "eth0" masquerade
  }
}
NFT

# --- pod network ---------------------------------------------------------------------------------------------------

# write_cni TYPE SUBNET MTU: the configuration that tells kubelet that the network is there.
write_cni() {
  local plugin
  case "$1" in
  bridge) plugin='"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true' ;;
  ptp) plugin='"type": "ptp"' ;;
  esac
  cat >/run/10-testbed.conflist <<JSON
{"cniVersion": "1.0.0", "name": "testbed", "plugins": [
  {$plugin, "mtu": $3,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$2"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}
]}
JSON
  mv /run/10-testbed.conflist /etc/cni/net.d/
}

# As kube-proxy: it may read all nodes, a kubelet only its own.
api() { kubectl --kubeconfig "$NODE/config/kube-proxy.kubeconfig" "$@"; }

# Nodes on one wire need no tunnel: a route to each other node's pods, as far as they are known now.
routes() {
  local name subnet address
  # Either may be missing yet: a separator that is no blank keeps the empty word.
  api get nodes -o jsonpath='{range .items[*]}{.metadata.name}|{.spec.podCIDR}|{.status.addresses[?(@.type=="InternalIP")].address}{"\n"}{end}' |
    while IFS='|' read -r name subnet address; do
      if [ "$name" = "$NAME" ]; then
        [ -e /etc/cni/net.d/10-testbed.conflist ] || [ -z "$subnet" ] || write_cni "$CNI" "$subnet" 1500
      elif [ -n "$subnet" ] && [ -n "$address" ]; then
        ip route replace "$subnet" via "$address"
      fi
    done
}

pod_network() {
  if [ "$CNI" = none ]; then return; fi
  if [ "$CNI" != flannel ]; then
    while :; do
      routes 2>/dev/null || true
      sleep 1
    done
  fi
  # Flannel's CNI plugin is a translator from this file to the bridge plugin.
  until [ -e /run/flannel/subnet.env ]; do sleep 0.1; done
  # shellcheck source=/dev/null
  source /run/flannel/subnet.env
  # It says the bridge's own address, as in 10.244.1.1/24.
  write_cni bridge "${FLANNEL_SUBNET%.1/24}.0/24" "$FLANNEL_MTU"
}

# --- what a node runs ----------------------------------------------------------------------------------------------

# keep NAME COMMAND...: runs it, and again when it ends.
keep() {
  local name="$1"
  shift
  while :; do
    "$@" >>"/var/log/$name.log" 2>&1 || true
    echo "node-init: $name ended, starting it again" >>"/var/log/$name.log"
    sleep 1
  done
}

images() {
  local archive
  until ctr version >/dev/null 2>&1; do sleep 0.05; done
  for archive in "$NODE"/images/*.tar; do
    ctr --namespace k8s.io images import --local --snapshotter overlayfs "$archive"
  done
}

keep containerd containerd --config "$NODE/config/containerd.toml" &
images >/var/log/images.log 2>&1 &
if [ "$CNI" = flannel ]; then
  keep flanneld env NODE_NAME="$NAME" flanneld --kube-subnet-mgr --iface eth0 --ip-masq=false --iptables-forward-rules=false \
    --kubeconfig-file "$NODE/config/flannel.kubeconfig" --net-config-path "$NODE/config/flannel.json" &
fi
pod_network &
keep kube-proxy kube-proxy --config "$NODE/config/kube-proxy.yaml" &
until [ -S /run/containerd/containerd.sock ]; do sleep 0.05; done
keep kubelet kubelet --config "$NODE/config/kubelet.yaml" --kubeconfig "$NODE/config/kubelet-$NAME.kubeconfig" \
  --hostname-override "$NAME" --node-ip "$ADDRESS" &

# Orphans of the node are ours to bury: bash does so while it waits.
while :; do
  sleep 3600 &
  wait $! || true
done
