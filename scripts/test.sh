#!/usr/bin/env bash
# Runs all the tests there are: unit, integration, properties. Sets up what is lacking first.
#
# USAGE
#   test.sh [PYTEST-ARGUMENTS...]
#
# LAYERPROOF_PROFILE names the profile of the properties: dev (10 scenarios a test, the default), ci (100), nightly (1000).
# With CI=true a missing engine fails the tests that need one.
# Exit codes: pytest's (0 passed, 1 failed, 2 interrupted, 4 usage), 3 where the environment lacks something.

set -Eeuo pipefail

SCRIPTS="$(CDPATH='' cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
ROOT="${SCRIPTS%/*}"
# shellcheck source=scripts/lib/log.sh
. "$SCRIPTS/lib/log.sh"
# shellcheck source=scripts/lib/project.sh
. "$SCRIPTS/lib/project.sh"
# shellcheck source=scripts/lib/engine.sh
. "$SCRIPTS/lib/engine.sh"
# shellcheck source=scripts/lib/private_engine.sh
. "$SCRIPTS/lib/private_engine.sh"
# shellcheck source=scripts/lib/provide.sh
. "$SCRIPTS/lib/provide.sh"

# test_arguments: what pytest is given before the caller's own.
test_arguments() {
  printf '%s\n' -n "$(workers)"
  printf '%s\n' "--hypothesis-profile=${LAYERPROOF_PROFILE:-dev}"
  [ "${CI:-}" != true ] || printf '%s\n' --require-engine
}

main() {
  local argument arguments=()
  provide_all || exit
  while IFS= read -r argument; do arguments+=("$argument"); done < <(test_arguments)
  cd "$ROOT"
  exec .venv/bin/python -m pytest "${arguments[@]}" "$@"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  main "$@"
fi
