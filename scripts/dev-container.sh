#!/usr/bin/env bash
# Usage: dev-container.sh COMMAND [ARGUMENTS]
#
# Keeps a container in which the cargo project of the current directory is compiled, with all that was compiled before.
# The source is mounted: an edit is compiled without a copy. There is one container per directory.
#
# COMMANDS
#   build [CARGO-ARGUMENTS]  compile (cargo build) and put the binaries under target/; starts or repairs the container
#                            where needed. Prints the paths of the binaries. --release, --bin NAME and so on are cargo's.
#   start                    bring the container up, replacing one that is out of date
#   stop                     stop it; all that was compiled stays
#   restart                  stop, then start
#   status [--json]          what state it is in; exit code 0 if it is running and current, else 1
#   shell                    a shell in it
#   exec -- COMMAND...       run a command in it
#   logs [OPTIONS]           what happened in it (options of docker logs)
#   clean                    remove it with its volumes and image: the next build is a cold one
#
# ENVIRONMENT VARIABLES
#   DOCKER_IMAGE             base image with the Rust toolchain
#   CARGO_FLAGS              further arguments of cargo build
#   LAYERPROOF_DOCKERFILE    the Dockerfile whose base stage is the container's image (default: Dockerfile.optimized)
#   LAYERPROOF_DEV_STAGE     the name of that stage (default: base)
#   LAYERPROOF_NETWORK       network of the container (default: the engine's, or host where that is broken)
#   LAYERPROOF_OFFLINE=1     no network, and cargo --offline
#   LAYERPROOF_CA_BUNDLE     certificates to trust (default: this machine's; empty: none)
#   LAYERPROOF_QUIET=1       only warnings and errors
#   LAYERPROOF_VERBOSE=1     show the docker commands
#   NO_COLOR=1               no colour
#
# EXIT CODES: 0 done, 1 the build failed, 2 usage, 3 no engine or no container to be had, 130 interrupted

# layerproof: sees files that change to an older date
# layerproof: prod, too, sees files that change and keep their size and date
# layerproof: CARGO_FLAGS reach the cargo that compiles the dependencies, too
# layerproof: ends what an interrupted build runs
# layerproof: one container for a directory, whatever path leads to it and whatever its name
# layerproof: start and exec, too, replace a container that is not current
# layerproof: a container is not current in another network
# layerproof: a project, and these scripts, may lie at any path that is text
# layerproof: status ends with 0 only where the container is up and current
# layerproof: an engine that answers late is waited for
# layerproof: dev, too, packages what it built
# layerproof: a package that cannot be made leaves the one before as it was
# layerproof: what cargo kept is compiled anew where it is damaged

set -Eeuo pipefail

SCRIPTS="$(CDPATH='' cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
LIBRARY="$SCRIPTS/lib"
# shellcheck source=scripts/lib/log.sh
. "$LIBRARY/log.sh"
# shellcheck source=scripts/lib/project.sh
. "$LIBRARY/project.sh"
# shellcheck source=scripts/lib/quote.sh
. "$LIBRARY/quote.sh"
# shellcheck source=scripts/lib/engine.sh
. "$LIBRARY/engine.sh"
# shellcheck source=scripts/lib/container.sh
. "$LIBRARY/container.sh"
# shellcheck source=scripts/lib/container_image.sh
. "$LIBRARY/container_image.sh"
# shellcheck source=scripts/lib/container_build.sh
. "$LIBRARY/container_build.sh"

show_usage() {
  sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

usage_error() {
  error "$*"
  show_usage >&2
  exit 2
}

# open_project: what every command needs to know.
open_project() {
  enter_physical_project
  need_cmd docker 'to keep a dev container' 'make setup installs it on Debian and Ubuntu; elsewhere: https://docs.docker.com/get-docker/'
  name_project
  CALLER="${UID:-$(id -u)}:$(id -g)"
  DOCKERFILE="$(find_dockerfile "$SCRIPTS")" || exit
  CA_BUNDLE="$(find_ca_bundle)" || exit
  CREDENTIALS="$(find_cargo_credentials)" || exit
}

command_build() {
  need_cargo_project
  build_in_container "$@"
}

command_start() {
  [ $# -eq 0 ] || usage_error "start takes no arguments: $*"
  need_cargo_project
  ensure_container || return
  success "the dev container is up: ${CONTAINER_ID:0:12}"
}

command_stop() {
  local id
  [ $# -eq 0 ] || usage_error "stop takes no arguments: $*"
  look
  if [ "$CONTAINER_STATE" = absent ]; then
    info 'there is no dev container'
    return 0
  fi
  for id in $(find_labelled); do
    [ "$CONTAINER_STATE" != paused ] || try_docker unpause "$id" || :
    try_docker stop --time 1 "$id" || case "$FAILURE" in
      *[Nn]'o such container'*) ;;
      *)
        error 'the dev container cannot be stopped'
        printf '%s\n' "$FAILURE" >&2
        return 3
        ;;
    esac
  done
  success 'the dev container is stopped'
}

command_restart() {
  [ $# -eq 0 ] || usage_error "restart takes no arguments: $*"
  need_cargo_project
  command_stop "$@"
  command_start "$@"
}

show_status_json() {
  local current=false
  ! is_current || current=true
  printf '{"state": "%s", "id": "%s", "name": "%s", "started_at": "%s", "current": %s, "stale_because": %s, "project": "%s", "image": "%s"}\n' \
    "$CONTAINER_STATE" "$CONTAINER_ID" "$CONTAINER_NAME" "$CONTAINER_STARTED" "$current" \
    "$(json_strings ${STALE_BECAUSE[@]+"${STALE_BECAUSE[@]}"})" "$PROJECT_ID" "$DEV_IMAGE"
}

show_status() {
  printf 'project    %s\nstate      %s\n' "$PWD" "$CONTAINER_STATE"
  [ "$CONTAINER_STATE" != absent ] || return 0
  printf 'container  %s\nstarted    %s\n' "${CONTAINER_ID:0:12}" "$CONTAINER_STARTED"
  if is_current; then
    printf 'current    yes\n'
  else
    printf 'current    no: %s\n' "$(stale_words)"
  fi
}

command_status() {
  case "$*" in
    '' | --json) ;;
    *) usage_error "status takes --json or nothing: $*" ;;
  esac
  look
  if [ "$*" = --json ]; then show_status_json; else show_status; fi
  [ "$CONTAINER_STATE" = running ] && is_current
}

command_shell() {
  [ $# -eq 0 ] || usage_error "shell takes no arguments: $*"
  run_command sh -c 'if command -v bash >/dev/null; then exec bash; else exec sh; fi'
}

command_exec() {
  [ "${1:-}" != -- ] || shift
  [ $# -gt 0 ] || usage_error 'exec needs a command: dev-container.sh exec -- COMMAND...'
  run_command "$@"
}

command_logs() {
  look
  [ "$CONTAINER_STATE" != absent ] || die 1 'there is no dev container'
  docker logs "$@" "$CONTAINER_ID"
}

command_clean() {
  [ $# -eq 0 ] || usage_error "clean takes no arguments: $*"
  observe "$CONTAINER_NAME"
  remove_all
  success 'removed the dev container, its volumes and its image'
}

main() {
  local name="${1:-}"
  case "$name" in
    -h | --help | help)
      show_usage
      exit 0
      ;;
    build | start | stop | restart | status | shell | exec | logs | clean) shift ;;
    '') usage_error 'a command is missing' ;;
    *) usage_error "unknown command: $name" ;;
  esac
  open_project
  "command_$name" "$@"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  main "$@"
fi
