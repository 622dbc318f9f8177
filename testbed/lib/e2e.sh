# shellcheck shell=bash
# The upstream suites as a judge of whatever enforces policies on the cluster, and their results as a table.

e2e() {
  local focus=Netpol suites=(netpol cnp)
  while [ "$#" -gt 0 ]; do
    case "$1" in
    --focus) focus="Netpol.*${2:-}" && suites=(netpol) && shift ;;
    --suite) suites=("${2:-}") && shift ;;
    *) die "e2e does not know \`$1\`" "./dev cluster help" ;;
    esac
    shift
  done
  need_root e2e
  is_up || die "cluster $ID is not up" "./dev cluster up"
  ensure_packages jq:jq
  local results suite failed=0 open_count
  results="$STATE/e2e"
  mkdir -p "$results"
  for suite in "${suites[@]}"; do
    case "$suite" in
    netpol)
      ensure_go
      part e2e build_e2e
      run_netpol "$focus" "$results"
      ;;
    cnp) run_cnp "$results" ;;
    *) die "no suite \`$suite\`" "--suite netpol or --suite cnp" ;;
    esac
    table "$suite" "$results/$suite.tsv" || failed=1
    open_count="$(grep -c 'connectivity not expected' "$results/$suite.log" || true)"
    if [ "$open_count" -gt 0 ]; then
      note "$open_count times a connection succeeded that a policy denies: what fails for that is enforcement, not the suite"
    fi
  done
  return "$failed"
}

# run_netpol FOCUS FOLDER: netpol.tsv of it.
run_netpol() {
  local rc=0
  say "NetworkPolicy specs of Kubernetes $KUBERNETES (10 to 60 minutes; $2/netpol.log)"
  "$(part_dir e2e)/e2e.test" --kubeconfig "$KUBECONFIG_ADMIN" --provider local --ginkgo.focus "$1" \
    --ginkgo.no-color --ginkgo.json-report "$2/netpol.json" --ginkgo.timeout 3h --report-dir "" \
    --dump-logs-on-failure=false >"$2/netpol.log" 2>&1 || rc=$?
  [ -s "$2/netpol.json" ] || die "the suite did not run (exit code $rc): $(tail -n 3 "$2/netpol.log")"
  # One line per spec: result, seconds, name, first line of the reason. Specs of other features are not the table's business.
  jq -r --arg focus "$1" '
    .[].SpecReports[]
    | select(.LeafNodeType == "It")
    | (.ContainerHierarchyTexts + [.LeafNodeText] | join(" ")) as $name
    | select($name | test($focus))
    | [.State, (.RunTime / 1e9 | round), (.LeafNodeText | sub(" *\\[Feature:NetworkPolicy\\]"; "")) + " (" + .ContainerHierarchyTexts[-1] + ")",
       (.Failure.Message // "" | split("\n")[0])]
    | @tsv' "$2/netpol.json" >"$2/netpol.tsv"
}

# run_cnp FOLDER: cnp.tsv of the ClusterNetworkPolicy suite.
run_cnp() {
  say "ClusterNetworkPolicy conformance $NETWORK_POLICY_API ($1/cnp.log)"
  KUBECONFIG="$KUBECONFIG_ADMIN" "$(part_dir policy-api)/conformance.test" -test.v -test.run '^TestConformance$' -all-features -test.timeout 2h >"$1/cnp.log" 2>&1 || true
  # `    --- FAIL: TestConformance/Name/case (12.34s)`: cases only, not the groups that they are in.
  sed -nE 's|^ *--- (PASS\|FAIL\|SKIP): TestConformance/([^/ ]+/[^ ]+) \(([0-9]+)[.0-9]*s\)|\1\t\3\t\2\t|p' "$1/cnp.log" |
    sed -e 's/^PASS/passed/' -e 's/^FAIL/failed/' -e 's/^SKIP/skipped/' >"$1/cnp.tsv"
  [ -s "$1/cnp.tsv" ] || die "the suite did not run: $(tail -n 3 "$1/cnp.log")"
}

# table SUITE FILE: on standard output; false if something failed.
table() {
  awk -F'\t' -v suite="$1" '
    { printf "%-8s %5s s  %s\n", $1, $2, $3; if ($4 != "") printf "                    %s\n", substr($4, 1, 140) }
    { n[$1]++; seconds += $2 }
    END {
      printf "\n%s: %d passed, %d failed, %d skipped, %d s\n", suite, n["passed"], n["failed"] + n["timedout"] + n["panicked"], n["skipped"], seconds
      exit (n["passed"] + n["skipped"] == NR) ? 0 : 1
    }' "$2"
}
