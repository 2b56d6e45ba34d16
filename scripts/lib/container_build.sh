# shellcheck shell=bash
# Runs builds and commands in the dev container. Functions only. Needs container.sh.

# run_tethered TEXT COMMAND...: runs the command with TEXT on standard input, which then stays open as long as this shell
# lives: whatever ends the shell closes it. On a signal it is closed and the command ends in its own time.
# (Descriptors 7 and 8 are the pipe's ends. The command gets a process group of its own, so that the terminal's Ctrl-C reaches us alone.)
run_tethered() {
  local text="$1" directory status=0
  shift
  directory="$(mktemp -d "${TMPDIR:-/tmp}/layerproof.XXXXXX")" || return 3
  mkfifo "$directory/tether" || return 3
  exec 8<>"$directory/tether"
  exec 7<"$directory/tether"
  rm -rf "$directory"
  TETHER_SIGNAL=''
  trap 'cut_tether INT' INT
  trap 'cut_tether TERM' TERM
  trap 'cut_tether HUP' HUP
  set -m
  "$@" <&7 7<&- 8>&- &
  TETHERED=$!
  set +m
  exec 7<&-
  { printf '%s\n' "$text" >&8; } 2>/dev/null || :
  while :; do
    status=0
    wait "$TETHERED" 2>/dev/null || status=$?
    kill -0 "$TETHERED" 2>/dev/null || break
  done
  trap - INT TERM HUP
  exec 8>&-
  case "$TETHER_SIGNAL" in
    '') return "$status" ;;
    INT) return 130 ;;
    TERM) return 143 ;;
    *) return 129 ;;
  esac
}

# cut_tether SIGNAL: the first time lets the command end in order, the second time ends it.
cut_tether() {
  if [ -n "$TETHER_SIGNAL" ]; then
    kill -s KILL "$TETHERED" 2>/dev/null || :
    return 0
  fi
  TETHER_SIGNAL="$1"
  exec 8>&-
}

# set_build_arguments ARGUMENTS...: BUILD_ARGUMENTS, of cargo build: the caller's and CARGO_FLAGS.
set_build_arguments() {
  local flags=()
  BUILD_ARGUMENTS=("$@")
  is_offline && BUILD_ARGUMENTS+=(--offline)
  [ -z "${CARGO_FLAGS:-}" ] || read -r -d '' -a flags <<<"$CARGO_FLAGS" || :
  BUILD_ARGUMENTS+=(${flags[@]+"${flags[@]}"})
}

# set_exec_environment: EXEC_ENVIRONMENT, options of `docker exec`: how cargo is to write.
set_exec_environment() {
  EXEC_ENVIRONMENT=(--env "LAYERPROOF_QUIET=${LAYERPROOF_QUIET:-0}")
  if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
    EXEC_ENVIRONMENT+=(--env CARGO_TERM_COLOR=always)
  fi
}

# run_build ARGUMENTS...: one build in the running container; the guest's exit code.
run_build() {
  log_command docker exec "$CONTAINER_ID" cargo build "$@"
  # shellcheck disable=SC2016 # expanded in the container
  run_tethered "$(guest_program 'guest_build "$@"')" \
    docker exec --interactive "${EXEC_ENVIRONMENT[@]}" "$CONTAINER_ID" sh -s -- "$@"
}

# build_in_container ARGUMENTS...: whatever state the container is in, builds in it. Prints the artifacts' paths.
# 0 built, 1 not, 3 no container to be had, 130 interrupted.
build_in_container() {
  local attempt status
  set_build_arguments "$@"
  set_exec_environment
  for attempt in 1 2 3; do
    ensure_container || return
    status=0
    run_build ${BUILD_ARGUMENTS[@]+"${BUILD_ARGUMENTS[@]}"} || status=$?
    case "$status" in
      0 | 129 | 130 | 143) return "$status" ;;
      90)
        info 'the project directory was replaced; so is the container'
        try_docker rm --force "$CONTAINER_ID" || :
        ;;
      94)
        prepare_volumes "$CONTAINER_ID" || warn "the volumes cannot be prepared: $FAILURE"
        ;;
      1 | 125 | 126 | 137)
        [ "$attempt" -lt 3 ] || break
        warn 'the dev container went away during the build; once more'
        ;;
      *)
        report_build_failure "$status"
        return 1
        ;;
    esac
  done
  error 'the dev container was not fit to build in, three times over'
  return 3
}

report_build_failure() {
  case "$1" in
    91)
      error "the artifact cannot be written: target/ in $PWD is not writable for you (user $CALLER)"
      hint 'a read-only source tree cannot be built here; a target/ of another user can be handed over with chown'
      ;;
    92) error "the dev image lacks what a build needs (cargo, flock, find, awk); it is made from $DOCKERFILE" ;;
    93) error 'the build made no binary: the project, or what was named of it, has no binary target' ;;
    *) error 'the build failed' ;;
  esac
}

# run_command COMMAND...: in the container, on the terminal where there is one. Its exit code.
# Without a terminal the command would outlive a client that is interrupted, so it is ended from here.
run_command() {
  local mark="LAYERPROOF_EXEC_MARK=$$.$RANDOM." status=0
  need_cargo_project
  ensure_container || return
  if [ -t 0 ] && [ -t 1 ]; then
    docker exec --interactive --tty --env "TERM=${TERM:-dumb}" "$CONTAINER_ID" "$@"
    return
  fi
  set -m
  docker exec --interactive --env "$mark" "$CONTAINER_ID" "$@" <&0 &
  TETHERED=$!
  set +m
  TETHER_SIGNAL=''
  trap 'TETHER_SIGNAL=130' INT
  trap 'TETHER_SIGNAL=143' TERM HUP
  wait "$TETHERED" || status=$?
  trap - INT TERM HUP
  [ -n "$TETHER_SIGNAL" ] || return "$status"
  # shellcheck disable=SC2016 # expanded in the container
  guest_program 'guest_end_processes "$1"' | docker exec --interactive "$CONTAINER_ID" sh -s "$mark" || :
  wait "$TETHERED" 2>/dev/null || :
  return "$TETHER_SIGNAL"
}

# remove_all: this project's container, volumes and image; nothing of anyone else's.
remove_all() {
  local id ours="label=layerproof.project=$PROJECT_ID"
  for id in $(find_labelled); do
    try_docker rm --force "$id" || :
  done
  for id in $(docker volume ls --quiet --filter "$ours" --filter label=layerproof.role=dev); do
    try_docker volume rm --force "$id" || :
  done
  try_docker image rm --force "$DEV_IMAGE" || :
  forget_untagged_images
}
