# shellcheck shell=bash
# The wire between the nodes: a bridge of this machine that leads nowhere else.

make_network() {
  ip link add "$PREFIX" type bridge
  ip address add "$HOST_IP/24" dev "$PREFIX"
  ip link set "$PREFIX" up
  # Linux accepts packets for any of its addresses on any interface, and may forward: neither from outside to the
  # cluster nor from the cluster to outside.
  nft -f - <<NFT
table inet $PREFIX {
  chain input {
    type filter hook input priority -300;
    ip daddr $NETWORK.0/24 iifname != { "lo", "$PREFIX" } drop
  }
  chain forward {
    type filter hook forward priority -300;
    iifname "$PREFIX" oifname != "$PREFIX" drop
    oifname "$PREFIX" iifname != "$PREFIX" drop
  }
}
NFT
}

node_ip() { echo "$NETWORK.$((10 + $1))"; }

# connect_node NUMBER PID: an interface `eth0` in the network namespace of a process.
connect_node() {
  local port="${PREFIX}n$1"
  ip link add "$port" type veth peer name eth0 netns "$2"
  ip link set "$port" master "$PREFIX" up
}

remove_network() {
  nft delete table inet "$PREFIX" 2>/dev/null || true
  ip link delete "$PREFIX" 2>/dev/null || true
  # The nodes' ends go with their namespaces; one that was never moved would stay.
  local port
  for port in $(ip -o link show | grep -oE "\b${PREFIX}n[0-9]+\b" | sort -u); do
    ip link delete "$port" 2>/dev/null || true
  done
}
