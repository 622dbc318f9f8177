# shellcheck shell=bash
# Names, folders, and the few things that every part of the testbed does: say, wait, keep and find its processes.
#
# Several clusters can run on one machine: WATERTIGHT_CLUSTER=0..9 picks one. Everything that exists outside the state
# folder carries the prefix `wtc<number>`: bridge, interfaces, nftables table, control groups.

readonly ID="${WATERTIGHT_CLUSTER:-0}"
readonly PREFIX="wtc$ID"
readonly STATE="${WATERTIGHT_CLUSTER_STATE:-/var/lib/watertight-testbed}/$ID"
readonly CACHE="${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/watertight/testbed"
readonly PARTS="$CACHE/parts"

# 198.18.0.0/15 is set aside for tests (RFC 2544): no machine's real network.
readonly NETWORK="198.18.$ID"
readonly HOST_IP="$NETWORK.1"
readonly API="https://$HOST_IP:6443"
readonly POD_CIDR=10.244.0.0/16
readonly SERVICE_CIDR=10.96.0.0/16
readonly API_SERVICE_IP=10.96.0.1
readonly DNS_IP=10.96.0.10
readonly KUBECONFIG_ADMIN="$STATE/kubeconfig"

say() { printf '== %s\n' "$*" >&2; }
note() { printf '   %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$1" >&2
  shift
  local line
  for line in "$@"; do printf '  help: %s\n' "$line" >&2; done
  exit 2
}

has() { command -v "$1" >/dev/null 2>&1; }

# Where a part's programs are: `part_dir kubernetes`.
part_dir() {
  case "$1" in
  kubernetes) echo "$PARTS/kubernetes-$KUBERNETES" ;;
  etcd) echo "$PARTS/etcd-$ETCD" ;;
  containerd) echo "$PARTS/containerd-$CONTAINERD" ;;
  runc) echo "$PARTS/runc-$RUNC" ;;
  cni) echo "$PARTS/cni-plugins-$CNI_PLUGINS" ;;
  flannel) echo "$PARTS/flannel-$FLANNEL" ;;
  images) echo "$PARTS/images-$IMAGES-$KUBERNETES-$COREDNS" ;;
  coredns) echo "$PARTS/coredns-$COREDNS" ;;
  helm) echo "$PARTS/helm-$HELM" ;;
  kwok) echo "$PARTS/kwok-$IMAGES-$KWOK" ;;
  policy-api) echo "$PARTS/policy-api-$IMAGES-$NETWORK_POLICY_API" ;;
  e2e) echo "$PARTS/e2e-$KUBERNETES" ;;
  *) die "no such part: $1" ;;
  esac
}

kubectl() { "$(part_dir kubernetes)/kubectl" --kubeconfig "$KUBECONFIG_ADMIN" "$@"; }

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
  local limit=$((SECONDS + $1)) what="$2"
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$limit" ]; then
      printf 'error: gave up waiting for %s\n' "$what" >&2
      return 1
    fi
    sleep 0.1
  done
}

need_root() {
  [ "$(id -u)" -eq 0 ] || die "the testbed makes network namespaces, mounts and control groups, and needs root" "sudo ./dev cluster $*"
  [[ "$ID" =~ ^[0-9]$ ]] || die "WATERTIGHT_CLUSTER must be a digit, not \`$ID\`"
}

# One command at a time works on a cluster. The lock is also held by each process of ours between its birth and its
# entry into the cluster's control group: who has the lock sees them all.
lock() {
  mkdir -p "$(dirname "$STATE")"
  exec 9>"$STATE.lock"
  flock -w 60 9 || die "another ./dev cluster is at work on cluster $ID" "wait for it, or end it: fuser $STATE.lock"
}

# --- processes -----------------------------------------------------------------------------------------------------

# The control group hierarchies of this machine: one with v2, several with v1.
hierarchies() {
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    echo /sys/fs/cgroup
  else
    find /sys/fs/cgroup -mindepth 1 -maxdepth 1 -type d
  fi
}

# The hierarchy in which we keep count of our processes.
counting() {
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo /sys/fs/cgroup; else echo /sys/fs/cgroup/pids; fi
}

# make_cgroup PATH: in every hierarchy.
make_cgroup() {
  local root dir file
  for root in $(hierarchies); do
    dir="$root"
    local name
    for name in ${1//\// }; do
      dir="$dir/$name"
      [ -d "$dir" ] || mkdir "$dir"
      # A cpuset is born empty, and refuses processes until it is not.
      for file in cpuset.cpus cpuset.mems; do
        if [ "$root" != /sys/fs/cgroup ] && [ -e "$dir/$file" ] && [ -z "$(<"$dir/$file")" ]; then
          cat "$(dirname "$dir")/$file" >"$dir/$file"
        fi
      done
    done
  done
}

# daemon NAME COMMAND...: in the background, in the cluster's control group, its output in logs/NAME.
daemon() {
  local name="$1"
  shift
  (
    # From here on `down` finds it, whatever becomes of us.
    echo "$BASHPID" >"$(counting)/$PREFIX/daemons/cgroup.procs"
    echo "$BASHPID" >"$STATE/pids/$name"
    exec setsid "$@" </dev/null >>"$STATE/logs/$name" 2>&1 9>&-
  ) &
  disown
}

# The processes of the cluster, pods included.
processes() {
  local root
  root="$(counting)/$PREFIX"
  [ -d "$root" ] || return 0
  find "$root" -name cgroup.procs -exec cat {} + 2>/dev/null || true
}

# running NAME: true if the daemon of this name is alive. A recorded number may be another process by now, so it must
# also be in our control group.
running() {
  local pid
  pid="$(cat "$STATE/pids/$1" 2>/dev/null)" || return 1
  grep -qx "$pid" "$(counting)/$PREFIX/daemons/cgroup.procs" 2>/dev/null
}

# stop NAME: ends a daemon and waits until it is gone.
stop() {
  local pid
  running "$1" || return 0
  pid="$(cat "$STATE/pids/$1")"
  kill "${2:--TERM}" "$pid"
  wait_for 30 "the end of $1" not running "$1"
}

not() { ! "$@"; }
