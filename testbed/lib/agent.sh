# shellcheck shell=bash
# Watertight's own agent on a cluster, from deploy/agent.yaml.

readonly DEPLOY="$TESTBED/../deploy"

# agent up|down
agent() {
  need_root agent
  is_up || die "cluster $ID is not up" "./dev cluster up"
  case "${1:-}" in
  up) agent_up ;;
  down) agent_down ;;
  *) die "agent knows \`up\` and \`down\`" "./dev cluster agent up" ;;
  esac
}

# Builds the program, puts it on every node, and waits until each agent says that it enforces. Again after a change: the agents
# are replaced one by one.
agent_up() {
  local profile="${WATERTIGHT_PROFILE:-release}" archive="$STATE/watertight.tar" before began
  case "$profile" in release | debug) ;; *) die "WATERTIGHT_PROFILE is \`release\` or \`debug\`, not \`$profile\`" ;; esac
  say "building watertight ($profile)"
  local how=(--locked -p watertight-cli --bin watertight -p watertight-cni --bin watertight-cni)
  if [ "$profile" = release ]; then how+=(--release); fi
  (cd "$TESTBED/.." && cargo build --quiet "${how[@]}")
  watertight_image "$archive" "$TESTBED/../target/$profile/watertight"
  load "$archive"
  before="$(kubectl -n watertight get daemonset watertight-agent -o name 2>/dev/null || true)"
  # The manifest and the testbed name the same image (a test).
  kubectl apply --server-side -f "$DEPLOY/agent.yaml" >/dev/null
  # The name of the image is the same as before, so nothing would notice.
  if [ -n "$before" ]; then kubectl -n watertight rollout restart daemonset/watertight-agent >/dev/null; fi
  began=$SECONDS
  say "waiting for the agents"
  if ! kubectl -n watertight rollout status daemonset/watertight-agent --timeout "${WATERTIGHT_AGENT_WAIT:-60}s" >/dev/null; then
    kubectl -n watertight get pods -o wide >&2 || true
    kubectl -n watertight logs daemonset/watertight-agent --all-containers --tail 20 >&2 || true
    die "not every agent is ready" "./dev cluster kubectl -n watertight describe pods"
  fi
  note "every agent enforces after $((SECONDS - began)) s"
}

# The agents go, then what they left in each node's network configuration and kernel.
agent_down() {
  local node
  kubectl delete --ignore-not-found --wait -f "$DEPLOY/agent.yaml" >/dev/null
  for node in "$STATE"/nodes/*/; do
    node="$(basename "$node")"
    if [ -x "$(agent_program)-cni" ]; then in_node "$node" "$(agent_program)-cni" uninstall; fi
    in_node "$node" "$(agent_program)" agent uninstall
  done
}

# The program of this machine; nodes see the same files.
agent_program() {
  local profile="${WATERTIGHT_PROFILE:-release}"
  readlink -f "$TESTBED/../target/$profile/watertight"
}
