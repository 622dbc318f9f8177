# shellcheck shell=bash
# The life of a cluster: up, status, down.

# The folder that says that `up` came to its end, on this boot of the machine.
is_up() {
  [ "$(cat "$STATE/ready" 2>/dev/null)" = "$(cat /proc/sys/kernel/random/boot_id)" ] && running etcd
}

up() {
  local nodes=2 cni=flannel
  while [ "$#" -gt 0 ]; do
    case "$1" in
    --nodes) nodes="${2:-}" && shift ;;
    --nodes=*) nodes="${1#*=}" ;;
    --cni) cni="${2:-}" && shift ;;
    --cni=*) cni="${1#*=}" ;;
    --control-plane-only) nodes=0 ;;
    *) die "up does not know \`$1\`" "./dev cluster help" ;;
    esac
    shift
  done
  [[ "$nodes" =~ ^[0-9]$ ]] || die "--nodes wants a number from 0 to 9, not \`$nodes\`"
  case "$cni" in flannel | bridge | ptp | none) ;; *) die "no pod network \`$cni\`" "--cni flannel, bridge, ptp or none" ;; esac
  need_root up
  build_all
  lock
  local wanted="nodes=$nodes cni=$cni"
  if is_up; then
    [ "$(cat "$STATE/options")" = "$wanted" ] ||
      die "cluster $ID is up with other options ($(cat "$STATE/options"))" "./dev cluster down" "WATERTIGHT_CLUSTER=1 ./dev cluster up, for a second one beside it"
    note "cluster $ID is up already"
    return
  fi
  if [ -e "$STATE" ] || [ -n "$(processes)" ]; then
    note "an earlier cluster $ID did not end well: cleaning up"
    clean
  fi

  local began=$SECONDS
  trap failed EXIT
  umask 022
  mkdir -p "$STATE"/{logs,pids}
  chmod 700 "$STATE"
  echo "$wanted" >"$STATE/options"
  say "cluster $ID: control plane at $API"
  make_cgroup "$PREFIX/daemons"
  make_network
  make_pki
  start_etcd
  start_api_server
  # Nodes come up beside the control plane, and ask for it until it is there.
  local number
  for ((number = 1; number <= nodes; number++)); do
    write_node "$number" "$cni"
    start_node "$number"
  done
  wait_for 60 "the API server" api_ready
  # Not earlier: without the roles that a ready API server has, the controller manager gives up.
  start_controllers
  install_addons "$cni" "$nodes"
  wait_for 30 "the controllers" controllers_ready
  if [ "$nodes" -gt 0 ] && [ "$cni" != none ]; then
    wait_for 120 "nodes to be Ready" nodes_ready "$nodes"
    wait_for 60 "CoreDNS" kubectl -n kube-system rollout status deployment/coredns --timeout 1s
  fi
  cat /proc/sys/kernel/random/boot_id >"$STATE/ready"
  trap - EXIT
  say "cluster $ID is up after $((SECONDS - began)) s: $nodes nodes, $cni"
  note "export KUBECONFIG=$KUBECONFIG_ADMIN"
}

nodes_ready() {
  local ready
  ready="$(kubectl get nodes -o jsonpath='{range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' | grep -c True)"
  [ "$ready" -eq "$1" ]
}

# `up` did not come to its end: say what is known, and undo.
failed() {
  local log
  for log in "$STATE"/logs/* "$STATE"/nodes/*/var/log/*.log; do
    [ -s "$log" ] || continue
    printf -- '--- %s\n' "${log#"$STATE/"}" >&2
    tail -n 5 "$log" | cut -c1-240 >&2
  done
  if [ -n "${WATERTIGHT_CLUSTER_KEEP:-}" ]; then
    note "left as it is (WATERTIGHT_CLUSTER_KEEP); ./dev cluster down removes it"
    return
  fi
  clean
}

down() {
  need_root down
  if [ -e "$STATE" ] || [ -d "$(counting)/$PREFIX" ] || ip link show "$PREFIX" >/dev/null 2>&1; then
    lock
    clean
    say "cluster $ID is gone"
  else
    note "there is no cluster $ID"
  fi
  rm -f "$STATE.lock"
}

# Everything of this cluster, whatever state it is in: processes by control group, network by prefix, the state folder.
# What nodes mounted ends with their namespaces, and those with their processes.
clean() {
  local round pids
  for ((round = 0; round < 200; round++)); do
    pids="$(processes)"
    [ -n "$pids" ] || break
    # shellcheck disable=SC2086 # one number per word
    kill -KILL $pids 2>/dev/null || true
    sleep 0.05
  done
  [ -z "$(processes)" ] || die "processes of cluster $ID do not end: $(processes | tr '\n' ' ')"
  remove_network
  remove_cgroups
  # The last mounts of a node go with its last process, which the kernel may still be taking apart.
  wait_for 20 "$STATE to be free" rm -rf --one-file-system "$STATE"
}

remove_cgroups() {
  local root
  for root in $(hierarchies); do
    if [ -d "$root/$PREFIX" ]; then
      wait_for 10 "the control groups in $root to be empty" find "$root/$PREFIX" -depth -type d -exec rmdir {} +
    fi
  done
}

status() {
  if [ ! -e "$STATE" ]; then
    note "there is no cluster $ID"
    return 1
  fi
  need_root status
  is_up || note "cluster $ID is not up: a start is on its way, or was cut off (./dev cluster down)"
  local file name
  for file in "$STATE"/pids/*; do
    name="$(basename "$file")"
    if running "$name"; then printf '%-24s %s\n' "$name" "pid $(cat "$file")"; else printf '%-24s %s\n' "$name" "ended"; fi
  done
  kubectl get nodes --request-timeout 5s
  kubectl get pods --all-namespaces --request-timeout 5s
}
