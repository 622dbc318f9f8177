# shellcheck shell=bash
# What a cluster has beside Kubernetes, and what tests ask of it while it runs.

# install_addons CNI NODES
install_addons() {
  kubectl apply --server-side -f "$(part_dir policy-api)" >/dev/null
  if [ "$2" -eq 0 ]; then return; fi
  if [ "$1" = flannel ]; then kubectl apply --server-side -f "$TESTBED/manifests/flannel.yaml" >/dev/null; fi
  sed -e "s|IMAGE|$COREDNS_IMAGE|" -e "s|DNS_IP|$DNS_IP|" "$TESTBED/manifests/coredns.yaml" |
    kubectl apply --server-side -f - >/dev/null
}

# account NAME [NAMESPACE...]: a service account that may read what watertight reads, everywhere or in these namespaces.
account() {
  local name="${1:-}" namespace token
  [ -n "$name" ] || die "account wants a name" "./dev cluster account reader"
  shift
  kubectl apply --server-side -f "$TESTBED/../deploy/read-only.yaml" >/dev/null
  kubectl -n default create serviceaccount "$name" --dry-run=client -o yaml | kubectl apply --server-side -f - >/dev/null
  if [ "$#" -eq 0 ]; then
    kubectl create clusterrolebinding "$name" --clusterrole watertight-read --serviceaccount "default:$name" --dry-run=client -o yaml |
      kubectl apply --server-side -f - >/dev/null
  fi
  for namespace in "$@"; do
    kubectl -n "$namespace" create rolebinding "$name" --clusterrole watertight-read --serviceaccount "default:$name" --dry-run=client -o yaml |
      kubectl apply --server-side -f - >/dev/null
  done
  token="$(kubectl -n default create token "$name")"
  write_kubeconfig /dev/stdout "token: \"$token\"" "$name"
}

# helm ARGS: of this cluster; built when it is first asked for.
helm() {
  if [ ! -d "$(part_dir helm)" ]; then
    ensure_packages "${BUILD_NEEDS[@]}"
    ensure_go
    part helm build_helm
  fi
  "$(part_dir helm)/helm" --kubeconfig "$KUBECONFIG_ADMIN" "$@"
}

# load [ARCHIVE]: an image to every node.
load() {
  need_root load
  local archive="${1:-}" node
  if [ -z "$archive" ]; then
    local program="$TESTBED/../target/release/watertight"
    [ -x "$program" ] || die "there is no \`target/release/watertight\` yet" "./dev build"
    archive="$STATE/watertight.tar"
    watertight_image "$archive" "$program"
  fi
  for node in "$STATE"/nodes/*/; do
    node="$(basename "$node")"
    in_node "$node" ctr --namespace k8s.io images import --local --snapshotter overlayfs - <"$archive" >&2
  done
}

# simulate NODES: nodes that kwok pretends, tainted so that nothing lands on them unasked.
simulate() {
  need_root simulate
  local number stage stages=()
  [[ "${1:-}" =~ ^[0-9]+$ ]] || die "simulate wants a number of nodes"
  # One flag a file: of several documents in one it reads some.
  for stage in "$(part_dir kwok)"/stages/*; do stages+=(--config "$stage"); done
  running kwok || daemon kwok "$(part_dir kwok)/kwok" "${stages[@]}" --kubeconfig "$KUBECONFIG_ADMIN" --server-address "$HOST_IP:10247" \
    --manage-all-nodes=false --manage-nodes-with-label-selector type=kwok --node-ip "$HOST_IP" --cidr 10.64.0.0/10
  for ((number = 0; number < $1; number++)); do
    cat <<YAML
---
apiVersion: v1
kind: Node
metadata:
  name: kwok-$number
  labels: {type: kwok}
spec:
  taints:
  - {key: kwok.x-k8s.io/node, value: fake, effect: NoSchedule}
YAML
  done | kubectl apply --server-side -f - >/dev/null
}

# stop_process NAME: as a crash would.
stop_process() {
  need_root stop
  lock
  [ -e "$STATE/pids/${1:-}" ] || die "cluster $ID has no process \`${1:-}\`" "./dev cluster status"
  stop "$1" -KILL
}

# pause_process NAME, continue_process NAME: it stands still, and does not know it.
pause_process() { signal_process "${1:-}" STOP; }
continue_process() { signal_process "${1:-}" CONT; }
signal_process() {
  need_root "$2"
  running "$1" || die "cluster $ID has no process \`$1\`" "./dev cluster status"
  kill -"$2" "$(cat "$STATE/pids/$1")"
}

# start_process kube-apiserver [expired] | kube-controller-manager
start_process() {
  need_root start
  lock
  case "${1:-}" in
  kube-apiserver)
    if [ "${2:-}" = expired ]; then
      running kube-apiserver || start_api_server apiserver-expired
      wait_for 60 "the API server" api_listens
    else
      running kube-apiserver || start_api_server
      wait_for 60 "the API server" api_ready
    fi
    ;;
  kube-controller-manager) running kube-controller-manager || start_controller_manager ;;
  *) die "start knows kube-apiserver and kube-controller-manager" ;;
  esac
}

# expired_account: the kubeconfig of an administrator whose certificate has run out, on standard output.
expired_account() { kubeconfig admin-expired /dev/stdout; }
