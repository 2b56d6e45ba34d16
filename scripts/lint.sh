#!/usr/bin/env bash
# Style and types of all that is tracked: ruff, mypy, shellcheck, shfmt. Runs all of them, then tells.
#
# USAGE
#   lint.sh
#
# Exit codes: 0 clean, 1 findings, 3 the tools are lacking.

set -Eeuo pipefail

SCRIPTS="$(CDPATH='' cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
ROOT="${SCRIPTS%/*}"
# shellcheck source=scripts/lib/log.sh
. "$SCRIPTS/lib/log.sh"

FAILED=''

run_tool() { # NAME COMMAND...
  local name="$1"
  shift
  info "$name"
  "$@" || FAILED="$FAILED $name"
}

main() {
  local file scripts=()
  "$SCRIPTS/setup.sh" python || exit
  cd "$ROOT"
  PATH="$ROOT/.venv/bin:$PATH"
  for file in scripts/*.sh scripts/lib/*.sh harness/running/stand_in/* .ci/run; do scripts+=("$file"); done
  run_tool 'ruff check' ruff check .
  run_tool 'ruff format' ruff format --check .
  run_tool mypy mypy
  run_tool shellcheck shellcheck -x "${scripts[@]}"
  run_tool shfmt shfmt -i 2 -ci -bn -d "${scripts[@]}"
  [ -z "$FAILED" ] || die 1 "findings of:$FAILED"
  success 'clean'
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  main "$@"
fi
