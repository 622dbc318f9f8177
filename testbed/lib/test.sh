# shellcheck shell=bash
# The tests that need clusters, each on one that is made for it: `./dev cluster test`.

readonly TEST_API=9 TEST_NODES=8

# test_all: every test, whatever fails; false if one did.
test_all() {
  need_root test
  build_all
  cd "$TESTBED/.." || return
  local failed=()
  say "release build (for the audit of 10,000 pods, and for the image)"
  cargo build --release --locked -p watertight-cli --bin watertight
  say "the life of a cluster"
  testbed/test/life || failed+=("testbed/test/life")
  say "pods, Services and names without an overlay"
  testbed/test/pods bridge ptp || failed+=("testbed/test/pods")

  say "against an API server"
  export WATERTIGHT_CLUSTER=$TEST_API
  testbed/cluster up --control-plane-only
  testbed/cluster kubectl create namespace shop >/dev/null
  ensure_packages jq:jq
  testbed/test/chart || failed+=("testbed/test/chart")
  cluster_test -p watertight-ingest --test online -- || failed+=("the validation cases")
  cluster_test -p watertight-cli --test cluster -- api:: || failed+=("reading a live cluster")
  cluster_test -p watertight-cli --test cluster -- watching:: || failed+=("watching a live cluster")
  testbed/cluster down
  testbed/cluster up --control-plane-only
  cluster_test -p watertight-cli --test cluster -- equal::the_demo || failed+=("files and cluster: the demo")
  testbed/cluster down
  testbed/cluster up --control-plane-only
  cluster_test -p watertight-cli --test cluster -- equal::every_example || failed+=("files and cluster: published examples")
  testbed/cluster down
  testbed/cluster up --control-plane-only
  cluster_test -p watertight-cli --test cluster -- scale:: || failed+=("10,000 pods, read and watched")
  testbed/cluster down

  say "on two nodes with Flannel"
  export WATERTIGHT_CLUSTER=$TEST_NODES
  testbed/cluster up
  cluster_test -p watertight-cli --test cluster -- nodes:: || failed+=("the network plugin, and a probe")
  say "with the agent on each"
  cluster_test -p watertight-cli --test cluster -- agents:: || failed+=("the agent")
  testbed/cluster down

  if [ "${#failed[@]}" -gt 0 ]; then
    say "failed"
    printf '   %s\n' "${failed[@]}" >&2
    return 1
  fi
  say "all cluster tests passed"
}

# One at a time: they share a cluster.
cluster_test() { cargo test --locked "$@" --test-threads 1 --nocapture; }
