#!/usr/bin/env bash
# Proves that the main job works on this machine: sets up what is lacking, builds the sample Lambda in prod and in dev
# mode, invokes both packages, and checks the properties.
#
# USAGE
#   verify.sh [-h]
#
# The sample is fixtures/hello-lambda; where its crates cannot be downloaded, fixtures/hello-offline, with a warning.
# LAYERPROOF_OFFLINE=1 takes the offline one at once.
# Exit codes: 0 all of it works, 1 something does not, 2 usage, 3 the environment lacks something, 130 interrupted.

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

LOG=''
SAMPLE=''

usage() {
  sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

# is_download_failure LOG: did cargo fail to reach its registry, rather than to compile?
is_download_failure() {
  grep -Eq 'failed to (download|fetch|get|query)|[Cc]ould ?n.t resolve host|download of .* failed|network failure' "$1"
}

# build_sample METHOD: in the sample's directory; its words are shown and kept in LOG.
build_sample() {
  info "building fixtures/$SAMPLE: $1"
  (cd "$ROOT/fixtures/$SAMPLE" && "$SCRIPTS/build-lambda.sh" "$1") 2>&1 | tee "$LOG" >&2
}

# build_first: a production build of the real sample, or of the offline one where there is nothing to download from.
build_first() {
  SAMPLE=hello-lambda
  if [ "${LAYERPROOF_OFFLINE:-0}" != 1 ]; then
    build_sample prod && return 0
    is_download_failure "$LOG" || return 1
    warn 'the crates of hello-lambda cannot be downloaded; going on with hello-offline, whose crates are in the repository'
  fi
  SAMPLE=hello-offline
  LAYERPROOF_OFFLINE=1 build_sample prod
}

# invoke_sample METHOD: the package must greet whom the request names.
invoke_sample() {
  local answer
  answer="$(cd "$ROOT/fixtures/$SAMPLE" && "$SCRIPTS/invoke.sh" '/?name=Ada')" || {
    error "the $1 package of $SAMPLE does not answer"
    return 1
  }
  case "$answer" in
    *Ada*) success "the $1 package of $SAMPLE answers: $answer" ;;
    *)
      error "the $1 package of $SAMPLE answers: $answer; expected a greeting of Ada"
      return 1
      ;;
  esac
}

stop_dev_container() {
  (cd "$ROOT/fixtures/$SAMPLE" && LAYERPROOF_QUIET=1 "$SCRIPTS/dev-container.sh" stop) >/dev/null || :
}

check_properties() {
  [ -d "$ROOT/properties" ] || return 0
  info 'checking the properties on generated projects (pytest properties/)'
  (cd "$ROOT" && .venv/bin/python -m pytest -n "$(workers)" properties/)
}

cleanup() {
  local status=$?
  trap - EXIT
  [ -z "$SAMPLE" ] || stop_dev_container
  [ -z "$LOG" ] || rm -f "$LOG"
  exit "$status"
}

main() {
  case "${1:-}" in
    '') ;;
    -h | --help)
      usage
      return 0
      ;;
    *)
      error "unknown argument: $1"
      usage >&2
      return 2
      ;;
  esac
  local status=0
  provide_all || exit
  LOG="$(mktemp "${TMPDIR:-/tmp}/layerproof-verify.XXXXXX")"
  trap cleanup EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  build_first || die 1 "the production build of $SAMPLE failed"
  invoke_sample prod || exit 1
  build_sample dev || die 1 "the dev build of $SAMPLE failed"
  invoke_sample dev || exit 1
  check_properties || status=$?
  [ "$status" -eq 0 ] || die 1 "the properties do not hold (pytest's exit status: $status)"
  success 'verified: prod and dev build the sample, both packages answer, the properties hold'
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  main "$@"
fi
