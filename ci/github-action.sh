#!/usr/bin/env bash
# The audit step of action.yml. Inputs come as environment variables and are never parsed by a shell; ends with the exit code
# of the audit, after the annotations, the summary and the SARIF file are written.
set -uo pipefail

arguments=(--no-input --fail-on "${WATERTIGHT_FAIL_ON:-error}")
while IFS= read -r file; do
  [ -z "$file" ] || arguments+=(-f "$file")
done <<<"${WATERTIGHT_FILES:-.}"
[ -z "${WATERTIGHT_BASELINE:-}" ] || arguments+=(--baseline "$WATERTIGHT_BASELINE")
[ "${WATERTIGHT_STRICT:-false}" != true ] || arguments+=(--strict)

folder=$(mktemp -d "${RUNNER_TEMP:-${TMPDIR:-/tmp}}/watertight.XXXXXX") || exit 3
sarif=$folder/watertight.sarif

# Annotations go to the log, which the runner reads; so do warnings.
watertight audit "${arguments[@]}" -o github
code=$?

{
  echo '## Watertight'
  watertight audit "${arguments[@]}" -q -o markdown 2>&1
} >>"${GITHUB_STEP_SUMMARY:-/dev/null}"

# GitHub reads neither `suppressions` nor `baselineState`: what is accepted would come up as open alerts.
accepted='(.suppressions // []) != [] or .baselineState == "unchanged"'
if watertight audit "${arguments[@]}" -q -o sarif >"$folder/all.sarif" 2>/dev/null || [ -s "$folder/all.sarif" ]; then
  jq "del(.runs[].results[] | select($accepted))" "$folder/all.sarif" >"$sarif" || exit 3
fi

{
  echo "exit-code=$code"
  if [ -s "$sarif" ]; then echo "sarif=$sarif"; fi
} >>"${GITHUB_OUTPUT:-/dev/null}"
exit "$code"
