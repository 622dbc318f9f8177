# shellcheck shell=bash
# Builds every part from source into the cache, one after the other, each once. The sources are Go modules of the public
# proxy, checked against the checksum database; the C of runc and of the pause program is compiled here.
#
# A part appears in the cache only when it is whole (`part`), so an interrupted build leaves nothing half done.

readonly KUBERNETES_MODULE="$TESTBED/go/kubernetes"

# Debian's packages: what builds need, and what nodes run. `program:package`.
readonly BUILD_NEEDS=(gcc:gcc pkg-config:pkg-config make:make)
readonly RUN_NEEDS=(ip:iproute2 nft:nftables openssl:openssl unshare:util-linux flock:util-linux sysctl:procps
  mount:mount tar:tar conntrack:conntrack iptables:iptables)

ensure_packages() {
  local missing=() need
  for need in "$@"; do has "${need%%:*}" || missing+=("${need##*:}"); done
  if [ "${#missing[@]}" -eq 0 ]; then return; fi
  has apt-get || die "missing programs of these packages: ${missing[*]}, and this system has no apt-get"
  say "installing ${missing[*]}"
  apt-get update -qq </dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >&2
}

# The Go of a distribution may be too old to build with, and is good enough to fetch a newer one: that is a module as well,
# and checked like one.
ensure_go() {
  ensure_packages go:golang-go
  if printf '%s\n%s\n' "go$GO" "$(go env GOVERSION)" | sort -V -C; then return; fi
  local dir="$CACHE/tools/go-$GO" source
  if [ ! -d "$dir" ]; then
    say "fetching Go $GO"
    source="$(module_dir "golang.org/toolchain@v0.0.1-go$GO.linux-$(image_architecture)")"
    [ -n "$source" ] || die "Go $GO could not be fetched" "install it: https://go.dev/doc/install"
    rm -rf "$dir.new"
    mkdir -p "$dir.new"
    cp -r --no-preserve=mode "$source/." "$dir.new"
    chmod +x "$dir.new"/bin/* "$dir.new"/pkg/tool/*/*
    mv "$dir.new" "$dir"
  fi
  PATH="$dir/bin:$PATH"
  export PATH
}

ensure_seccomp() {
  # A header is no program: libseccomp says by pkg-config whether it is there.
  pkg-config --exists libseccomp 2>/dev/null && return
  has apt-get || die "missing: libseccomp's headers"
  say "installing libseccomp-dev"
  apt-get update -qq </dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libseccomp-dev libc6-dev </dev/null >&2
}

# Static, without paths of this machine, without symbols.
go_build() { CGO_ENABLED="${CGO_ENABLED:-0}" GOFLAGS='-buildvcs=false' go "$1" -trimpath "${@:2}"; }

# go_install FOLDER PACKAGE@VERSION...: of one module, with the versions that the module itself asks for.
go_install() {
  local folder="$1"
  shift
  GOBIN="$folder" go_build install -ldflags "-s -w" "$@"
}

# part NAME BUILDER: runs BUILDER with an empty folder, and makes that the part if it succeeds.
part() {
  local dir began=$SECONDS
  dir="$(part_dir "$1")"
  if [ -d "$dir" ]; then return; fi
  say "building $(basename "$dir")"
  rm -rf "$dir.new"
  mkdir -p "$dir.new"
  # In a subshell of its own: `set -e` would be ignored in a function that is a condition.
  ("$2" "$dir.new")
  mv "$dir.new" "$dir"
  note "$(basename "$dir"): $((SECONDS - began)) s, $(du -sh "$dir" | cut -f1)"
}

# The version is stamped in, as upstream's own build does: components refuse peers that are too far apart.
kubernetes_flags() {
  local package=k8s.io/component-base/version
  echo "-s -w -X $package.gitVersion=v$KUBERNETES -X $package.gitMajor=1 -X $package.gitMinor=$(cut -d. -f2 <<<"$KUBERNETES") -X $package.gitTreeState=clean"
}

# kubernetes_build OUTPUT PACKAGE [FLAG...]: in the module that holds Kubernetes together.
kubernetes_build() {
  (cd "$KUBERNETES_MODULE" && go_build build -mod=readonly "${@:3}" -ldflags "$(kubernetes_flags)" -o "$1" "$2")
}

build_etcd() { kubernetes_build "$1/etcd" go.etcd.io/etcd/server/v3; }

build_kubernetes() {
  local program
  for program in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
    note "$program"
    kubernetes_build "$1/$program" "k8s.io/kubernetes/cmd/$program"
  done
}

build_containerd() {
  go_install "$1" "github.com/containerd/containerd/v2/cmd/"{containerd,containerd-shim-runc-v2,ctr}"@v$CONTAINERD"
}

build_runc() {
  GOBIN="$1" CGO_ENABLED=1 go_build install -tags seccomp -ldflags "-s -w -X main.version=$RUNC" "github.com/opencontainers/runc@v$RUNC"
}

build_cni() {
  local of=github.com/containernetworking/plugins/plugins
  go_install "$1" "$of/main/"{bridge,ptp,loopback}"@v$CNI_PLUGINS" "$of/ipam/host-local@v$CNI_PLUGINS" \
    "$of/meta/portmap@v$CNI_PLUGINS"
}

# module_dir MODULE@VERSION: its source, in Go's cache.
module_dir() { GOFLAGS='' go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p'; }

build_flannel() {
  # Two back ends are left out: one needs a library that the proxy does not have, the other cgo. Each is one import of
  # the main package.
  local source
  source="$(mktemp -d)"
  cp -r --no-preserve=mode "$(module_dir "github.com/flannel-io/flannel@v$FLANNEL")/." "$source"
  sed -i '/pkg\/backend\/\(tencentvpc\|udp\)"/d' "$source/main.go"
  (cd "$source" && go_build build -mod=mod -ldflags "-s -w -X github.com/flannel-io/flannel/pkg/version.Version=v$FLANNEL" -o "$1/flanneld" .)
  rm -rf "$source"
}

build_coredns() { go_install "$1" "github.com/coredns/coredns@v$COREDNS"; }

build_helm() { go_install "$1" "helm.sh/helm/v3/cmd/helm@v$HELM"; }

build_kwok() {
  local stages
  go_install "$1" "sigs.k8s.io/kwok/cmd/kwok@v$KWOK"
  # How a simulated node and its pods get on: at once.
  stages="$(module_dir "sigs.k8s.io/kwok@v$KWOK")/kustomize/stage"
  mkdir "$1/stages"
  cp "$stages"/node/fast/node-initialize.yaml "$stages"/node/heartbeat/node-heartbeat.yaml "$stages"/pod/fast/pod-*.yaml "$1/stages"
}

# The images that every node gets.
build_images() {
  local root source
  root="$(mktemp -d)"
  source="$(module_dir "k8s.io/kubernetes@v$KUBERNETES")"
  gcc -Os -static -s -DVERSION="v$KUBERNETES" -o "$root/pause" "$source/build/pause/linux/pause.c"
  make_image "$1/pause.tar" '["/pause"]' '[]' "$root" "$PAUSE_IMAGE"
  rm "$root/pause"

  install "$(part_dir coredns)/coredns" "$root/coredns"
  make_image "$1/coredns.tar" '["/coredns"]' '[]' "$root" "$COREDNS_IMAGE"
  rm "$root/coredns"

  build_agnhost "$root/agnhost"
  mkdir "$root/uploads" "$root/tmp"
  # The ClusterNetworkPolicy suite starts agnhost by a shell.
  install -D -m 755 /bin/bash "$root/bin/bash"
  ln -s bash "$root/bin/sh"
  add_libraries "$root" /bin/bash
  make_image "$1/agnhost.tar" '["/agnhost"]' '["pause"]' "$root" "${AGNHOST_IMAGES[@]}"
  rm -r "$root"
}

# build_agnhost FILE: both suites serve and open SCTP with it. Where the kernel has no SCTP sockets it speaks SCTP itself, over raw
# sockets (go/sctp): packets are as real as others. Where the kernel has them, it would answer such packets as well.
build_agnhost() {
  local modules flags=()
  modules="$(mktemp -d)"
  if ! has_sctp; then
    cp "$KUBERNETES_MODULE"/go.{mod,sum} "$modules"
    go mod edit -replace "github.com/ishidawataru/sctp=$TESTBED/go/sctp" "$modules/go.mod"
    flags=(-modfile "$modules/go.mod")
  fi
  kubernetes_build "$1" k8s.io/kubernetes/test/images/agnhost "${flags[@]}"
  rm -r "$modules"
}

has_sctp() { [ -d /proc/net/sctp ] || modprobe -q sctp 2>/dev/null; }

# The CRDs and the suite of ClusterNetworkPolicy.
build_policy_api() {
  local source
  source="$(mktemp -d)"
  cp -r --no-preserve=mode "$(module_dir "sigs.k8s.io/network-policy-api@v$NETWORK_POLICY_API")/." "$source"
  install -m 644 "$source/config/crd/experimental/"policy.networking.k8s.io_*.yaml "$1"
  (cd "$source" && go_build test -c -ldflags "-s -w" -o "$1/conformance.test" ./conformance)
  rm -rf "$source"
}

build_e2e() {
  (cd "$KUBERNETES_MODULE" && go_build test -c -mod=readonly -ldflags "$(kubernetes_flags)" -o "$1/e2e.test" k8s.io/kubernetes/test/e2e)
}

# Everything that `up` needs. The suites are built when they are first asked for.
build_all() {
  ensure_packages "${RUN_NEEDS[@]}"
  local name complete=1
  for name in etcd kubernetes containerd runc cni flannel coredns images kwok policy-api; do
    [ -d "$(part_dir "$name")" ] || complete=0
  done
  if [ "$complete" -eq 1 ]; then return; fi
  ensure_packages "${BUILD_NEEDS[@]}"
  ensure_seccomp
  ensure_go
  say "building a Kubernetes: about 13 minutes on two cores, 8 GB of Go's caches, 1 GB of programs, once"
  part etcd build_etcd
  part kubernetes build_kubernetes
  part containerd build_containerd
  part runc build_runc
  part cni build_cni
  part flannel build_flannel
  part coredns build_coredns
  part images build_images
  part kwok build_kwok
  part policy-api build_policy_api
}
