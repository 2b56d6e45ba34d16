#!/usr/bin/env bash
# Finds or provides what LayerProof needs. What is there is used and not changed.
#
# USAGE
#   setup.sh [PART...] [--check]
#
# PARTS (default: all but newer-engine and registry)
#   python        .venv in the checkout with the packages of pyproject.toml
#   engine        the engine of DOCKER_HOST or docker's context; else, as root on Linux, a private one
#   buildx        the docker-buildx plugin, 0.13 or later
#   images        base images on the engine: there, pulled, or made from Debian's packages
#   invoke        cargo-lambda, to invoke a package
#   newer-engine  dockerd 26 beside the system's (Debian), for tests on a second version
#   registry      docker-registry, to run on loopback, for the test of a shared cache
#   all           everything
#
# OPTIONS
#   --check       only tell what is there: exit 0 if all of it is, 3 otherwise
#   -h, --help    this text
#
# With `engine` its DOCKER_HOST is on stdout. Files of ours go to $LAYERPROOF_HOME (default
# ${XDG_CACHE_HOME:-~/.cache}/layerproof) and .venv.
# Exit codes: 0 done, 2 usage, 3 something is lacking and the message says what to do, 130 interrupted.

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
# shellcheck source=scripts/lib/apt.sh
. "$SCRIPTS/lib/apt.sh"
# shellcheck source=scripts/lib/base_images.sh
. "$SCRIPTS/lib/base_images.sh"
# shellcheck source=scripts/lib/provide.sh
. "$SCRIPTS/lib/provide.sh"

CHECK=0
PARTS=''

usage() {
  sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

parse_arguments() {
  while [ $# -gt 0 ]; do
    case "$1" in
      -h | --help)
        usage
        exit 0
        ;;
      --check) CHECK=1 ;;
      python | engine | buildx | images | invoke | newer-engine | registry) PARTS="$PARTS $1" ;;
      all) PARTS='python engine buildx images invoke newer-engine registry' ;;
      *)
        error "unknown part or option: $1"
        usage >&2
        exit 2
        ;;
    esac
    shift
  done
  PARTS="${PARTS:-python engine buildx images invoke}"
}

# take_lock: two set-ups at once would make the same twice.
take_lock() {
  has_command flock || return 0
  exec 8>"$(layerproof_home)/setup.lock"
  flock -n 8 && return 0
  info 'another set-up is running; waiting for it'
  flock -w 900 8 || die 3 'the other set-up has not ended for 15 minutes'
}

provide_part() {
  case "$1" in
    engine)
      provide_engine || return
      engine_url
      ;;
    newer-engine) provide_newer_engine ;;
    *) "provide_$1" ;;
  esac
}

# has_part PART: looks and changes nothing.
has_part() {
  case "$1" in
    python) is_python_ready ;;
    invoke) is_python_ready && [ -x "$ROOT/.venv/bin/cargo-lambda" ] ;;
    engine) has_command docker && try_engine && { [ "$ENGINE_STATE" = answers ] || { ! is_engine_named && use_private_engine; }; } ;;
    buildx) (find_buildx && is_buildx_recent "$(buildx_version "${BUILDX[@]}")") 2>/dev/null ;;
    images)
      has_part engine && is_image_ready rust && is_image_ready runtime
      ;;
    newer-engine) [ -x "$(layerproof_home)/tools/newer-engine/usr/sbin/dockerd" ] ;;
    registry) has_registry ;;
  esac
}

check_parts() {
  local part lacking=0
  for part in $PARTS; do
    if has_part "$part"; then
      success "$part: there"
    else
      warn "$part: not there"
      lacking=3
    fi
  done
  return "$lacking"
}

# cleanup: ends what runs in the background and removes what is half made.
cleanup() {
  local status=$? job
  trap - EXIT
  for job in $(jobs -p); do
    kill "$job" 2>/dev/null || :
  done
  wait 2>/dev/null || :
  exit "$status"
}

main() {
  local part
  parse_arguments "$@"
  if [ "$CHECK" = 1 ]; then
    check_parts
    return
  fi
  mkdir -p "$(layerproof_home)" || die 3 "cannot make $(layerproof_home)"
  trap cleanup EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  take_lock
  for part in $PARTS; do
    provide_part "$part" || exit
  done
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  main "$@"
fi
