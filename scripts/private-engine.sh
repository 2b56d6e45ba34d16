#!/usr/bin/env bash
# Private Docker engines: throwaway dockerds with their own data, socket and processes (Linux, root).
#
# USAGE
#   private-engine.sh start NAME [OPTIONS]   start it, or find it running; prints its DOCKER_HOST
#   private-engine.sh stop NAME [OPTION]     end its containers and itself; its data stays for the next start
#   private-engine.sh remove NAME            stop it and delete its data
#   private-engine.sh env NAME               print `export DOCKER_HOST=…` if it runs, else exit 1
#   private-engine.sh list                   one line each: NAME STATE DRIVER DOCKER_HOST OWNER
#   private-engine.sh sweep                  stop engines whose owner is dead, clear what killed ones left
#
# OPTIONS of start
#   --dockerd PATH|newer   this dockerd, its companions beside it; newer: what `setup.sh newer-engine` provides
#   --storage-driver D     default: overlay2, fuse-overlayfs or vfs, the first that works
#   --owner-pid PID        sweep stops the engine once this process is gone. It waits for no disk, and begins anew after
#                          a reboot
#   --ephemeral            sweep, and stop, delete its data too
#   --images               load the base images that set-up made (see setup.sh images)
#
# OPTION of stop
#   --most-layers N        delete its data too if it holds more layers than that: images, containers and build cache.
#                          That goes on after the command has ended
#
# NAME: lower-case letters, digits and hyphens, up to 32. State: $LAYERPROOF_HOME/engines/NAME; socket:
# ${XDG_RUNTIME_DIR:-/tmp}/layerproof-UID/NAME.sock. What an engine killed in an earlier run left behind (socket, pidfile,
# containerd, containers, mounts) is recognised and taken over by start, stop, remove and sweep. There is no
# bridge network: run containers and builds with --network=host or none.
#
# Exit codes: 0 done, 1 not running (env), 2 usage, 3 the machine cannot do it.

set -Eeuo pipefail

SCRIPTS="$(CDPATH='' cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=scripts/lib/log.sh
. "$SCRIPTS/lib/log.sh"
# shellcheck source=scripts/lib/project.sh
. "$SCRIPTS/lib/project.sh"
# shellcheck source=scripts/lib/engine.sh
. "$SCRIPTS/lib/engine.sh"
# shellcheck source=scripts/lib/private_engine.sh
. "$SCRIPTS/lib/private_engine.sh"
# shellcheck source=scripts/lib/base_images.sh
. "$SCRIPTS/lib/base_images.sh"

DOCKERD=dockerd
DRIVER=''
OWNER_PID=''
EPHEMERAL=0
WITH_IMAGES=0
MOST_LAYERS=''
START_SECONDS="${LAYERPROOF_START_SECONDS:-60}"

usage() {
  sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

# resolve_dockerd WORD: a path, a command, or what set-up unpacked.
resolve_dockerd() {
  local found="$1"
  if [ "$1" = newer ]; then
    found="$(layerproof_home)/tools/newer-engine/usr/sbin/dockerd"
    [ -x "$found" ] || "$SCRIPTS/setup.sh" newer-engine >&2 || return
  fi
  command -v "$found" || {
    error "there is no dockerd at $1"
    hint 'Debian and Ubuntu have it in the package docker.io; make setup installs it'
    return 3
  }
}

# can_have_engines: returns 3 with the reason where no private engine can run.
can_have_engines() {
  local reason=''
  [ "$(uname -s)" = Linux ] || reason='a private engine needs Linux'
  [ -n "$reason" ] || [ "$(id -u)" = 0 ] || reason='a private engine needs root'
  [ -n "$reason" ] || has_command flock || reason='a private engine needs flock (util-linux)'
  [ -n "$reason" ] || return 0
  error "$reason"
  hint 'start Docker, or set DOCKER_HOST to an engine that you can reach'
  return 3
}

# launch NAME DOCKERD DRIVER: starts the daemon in a session of its own and returns at once.
launch() {
  local name="$1" dockerd="$2" driver="$3" dir memory command
  dir="$(engine_dir "$name")"
  command=("$dockerd")
  ! is_unsynced "$name" || command=(python3 -I "$SCRIPTS/lib/unsynced.py" "$dockerd")
  memory="$(take_memory "$name")"
  printf '{}\n' >"$dir/daemon.json" # without it, dockerd would read /etc/docker/daemon.json
  # Beside dockerd may lie the containerd and docker that belong to it. GOGC: a daemon that lives for one run has memory
  # to spare and two cores, perhaps, to share; collecting less often makes a build an eighth cheaper.
  PATH="${dockerd%/*}:${dockerd%/*}/../bin:$PATH" GOGC="${GOGC:-400}" DOCKER_TMPDIR="$memory" \
    DOCKER_HOST='' setsid "${command[@]}" \
    --config-file "$dir/daemon.json" --data-root "$dir/data" --exec-root "$(exec_root "$name")" \
    -H "$(engine_host "$name")" --pidfile "$(pid_file "$name")" --storage-driver "$driver" \
    --bridge=none --iptables=false --ip-forward=false --shutdown-timeout 2 \
    >"$dir/log" 2>&1 </dev/null 8>&- 9>&- &
}

# await_engine NAME PID: until it answers; 1 once it has died or the time is up.
await_engine() {
  local waited=0
  while :; do
    ! engine_answers "$1" >/dev/null || return 0
    kill -0 "$2" 2>/dev/null || return 1
    [ "$waited" -lt $((START_SECONDS * 10)) ] || return 1
    sleep 0.1
    waited=$((waited + 1))
  done
}

# start_once NAME DOCKERD: launches and waits; on failure nothing of it goes on running.
start_once() {
  local driver
  forget_unsynced "$1"
  [ -z "$OWNER_PID" ] || ! has_command python3 || mark_unsynced "$1"
  driver="${DRIVER:-$(choose_driver "$1")}" || return
  printf '%s\n' "$driver" >"$(engine_dir "$1")/driver"
  launch "$1" "$2" "$driver"
  await_engine "$1" $! && return 0
  clear_leftovers "$1"
  return 1
}

# refuse_foreign NAME: another state directory may have an engine of this name on the same socket.
refuse_foreign() {
  local pid data
  pid="$(engine_pid "$1")" || return 0
  data="$(engine_dir "$1")/data"
  tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qxF -- "$data" && return 0
  error "an engine named $1 is already running for another state directory (process $pid)"
  hint "choose another name, or use its LAYERPROOF_HOME, or another XDG_RUNTIME_DIR"
  return 3
}

start_engine() { # NAME; with the lock held
  local name="$1" dir dockerd state
  dir="$(engine_dir "$name")"
  [ "$(printf '%s' "$(private_socket "$name")" | wc -c)" -le 107 ] || {
    error "the socket's path is too long: $(private_socket "$name")"
    hint 'set XDG_RUNTIME_DIR to a shorter one'
    return 3
  }
  refuse_foreign "$name" || return
  mkdir -p "$dir" || return 3
  state="$(engine_state "$name")"
  if [ "$state" = silent ]; then
    warn "the engine $name is alive but does not answer; replacing it"
    clear_leftovers "$name"
  elif [ "$state" = stale ]; then
    info "the engine $name was killed in an earlier run; clearing what it left"
    clear_leftovers "$name"
  fi
  if [ "$state" != running ]; then
    dockerd="$(resolve_dockerd "$DOCKERD")" || return
    info "starting the private engine $name"
    if ! start_once "$name" "$dockerd"; then
      warn "it did not start; once more with an empty data root"
      sed 's/^/        | /' "$dir/log" | tail -n 5 >&2
      rm -rf --one-file-system "$dir/data" "$dir/driver"
      start_once "$name" "$dockerd" || {
        error "the private engine $name does not start; the end of its log ($dir/log):"
        tail -n 15 "$dir/log" | sed 's/^/        | /' >&2
        return 3
      }
    fi
  fi
  rm -f "$dir/owner" "$dir/ephemeral"
  [ -z "$OWNER_PID" ] || record_owner "$name" "$OWNER_PID" || return
  [ "$EPHEMERAL" = 0 ] || : >"$dir/ephemeral"
  [ "$WITH_IMAGES" = 0 ] || DOCKER_HOST="$(engine_host "$name")" load_made_images || return
  engine_host "$name"
}

stop_engine() { # NAME; with the lock held
  local name="$1" pid waited=0 running
  refuse_foreign "$name" || return
  if pid="$(engine_pid "$name")"; then
    # Containers that ignore SIGTERM would hold the daemon for ten seconds.
    if running="$(DOCKER_CONTEXT='' DOCKER_HOST="$(engine_host "$name")" limit_time 3 docker ps -q 2>/dev/null)" && [ -n "$running" ]; then
      # shellcheck disable=SC2086 # a list of ids
      DOCKER_CONTEXT='' DOCKER_HOST="$(engine_host "$name")" limit_time 3 docker kill $running >/dev/null 2>&1 || :
    fi
    kill -TERM "$pid" 2>/dev/null || :
    # It ends its containerd last, and then waits for seconds on a connection to it: that is not worth waiting for.
    while kill -0 "$pid" 2>/dev/null && engine_pid "$name" containerd >/dev/null && [ "$waited" -lt 30 ]; do
      sleep 0.1
      waited=$((waited + 1))
    done
  fi
  clear_leftovers "$name"
  rm -f "$(engine_dir "$name")/owner"
  if [ -e "$(engine_dir "$name")/ephemeral" ]; then
    put_data_away "$name" && delete_data "$name"
  elif has_more_layers "$name" "$MOST_LAYERS"; then
    put_data_away "$name" && delete_data_meanwhile
  fi
}

# put_data_away NAME: out of the way at once, so that no engine starts on half of what is being deleted.
put_data_away() {
  local container dir
  for container in "$(engine_dir "$1")"/data/containers/*; do
    for dir in /sys/fs/cgroup/docker/"${container##*/}" /sys/fs/cgroup/*/docker/"${container##*/}"; do
      rmdir "$dir" 2>/dev/null || : # empty since its processes are gone
    done
  done
  dir="$(engine_dir "$1")"
  [ ! -d "$dir" ] || mv "$dir" "${dir%/*}/.gone-$1-$$"
}

# delete_data NAME: what this call has put away.
delete_data() {
  rm -rf --one-file-system "$(engines_dir)/.gone-$1-$$"
}

# delete_data_meanwhile: all that was put away, by a call that was cut short too, beside whatever comes next, and without
# the locks of this call. Tens of thousands of files take a minute, and nobody waits for them.
delete_data_meanwhile() {
  local gone
  for gone in "$(engines_dir)"/.gone-*; do
    [ ! -d "$gone" ] || setsid -f nice flock -n "$gone" rm -rf --one-file-system "$gone" </dev/null >/dev/null 2>&1 9>&-
  done
}

remove_engine() { # NAME; with the lock held
  stop_engine "$1" || return
  put_data_away "$1" && delete_data "$1"
}

sweep_engine() { # NAME; with the lock held
  local state
  if has_dead_owner "$1"; then
    info "the owner of the engine $1 is gone; stopping it"
    stop_engine "$1"
  else
    state="$(engine_state "$1")"
    [ "$state" = stale ] || return 0
    info "the engine $1 was killed; clearing what it left"
    stop_engine "$1"
  fi
}

engine_names() {
  local dir
  for dir in "$(engines_dir)"/*/; do
    dir="${dir%/}"
    ! [ -d "$dir" ] || ! is_engine_name "${dir##*/}" || printf '%s\n' "${dir##*/}"
  done
}

list_engines() {
  local name dir owner driver
  while IFS= read -r name; do
    dir="$(engine_dir "$name")"
    owner="$(cut -d' ' -f1 "$dir/owner" 2>/dev/null)" || owner='-'
    driver="$(cat "$dir/driver" 2>/dev/null)" || driver='-'
    printf '%s %s %s %s %s\n' "$name" "$(engine_state "$name")" "$driver" "$(engine_host "$name")" "$owner"
  done < <(engine_names)
}

usage_error() {
  error "$1"
  usage >&2
  exit 2
}

parse_stop_options() {
  [ $# -gt 0 ] || return 0
  [ "$1" = --most-layers ] || usage_error "unknown option of stop: $1"
  [ $# -eq 2 ] || usage_error '--most-layers needs a value'
  MOST_LAYERS="$2"
  case "$MOST_LAYERS" in '' | *[!0-9]*) usage_error "not a number of layers: '$MOST_LAYERS'" ;; esac
}

parse_start_options() {
  while [ $# -gt 0 ]; do
    case "$1" in
      --dockerd | --storage-driver | --owner-pid)
        [ $# -ge 2 ] || usage_error "$1 needs a value"
        case "$1" in
          --dockerd) DOCKERD="$2" ;;
          --storage-driver) DRIVER="$2" ;;
          --owner-pid) OWNER_PID="$2" ;;
        esac
        shift
        ;;
      --ephemeral) EPHEMERAL=1 ;;
      --images) WITH_IMAGES=1 ;;
      *) usage_error "unknown option of start: $1" ;;
    esac
    shift
  done
  case "$OWNER_PID" in *[!0-9]*) usage_error "not a process id: $OWNER_PID" ;; esac
}

main() {
  local action="${1:-}" name="${2:-}"
  case "$action" in
    -h | --help)
      usage
      return 0
      ;;
    start | stop | remove | env) is_engine_name "$name" || usage_error "not a name for an engine: '$name'" ;;
    list | sweep) ;;
    *) usage_error "unknown action: '$action'" ;;
  esac
  case "$action" in
    start) parse_start_options "${@:3}" ;;
    stop) parse_stop_options "${@:3}" ;;
  esac
  case "$action" in
    env)
      engine_answers "$name" >/dev/null || return 1
      printf 'export DOCKER_HOST=%q\n' "$(engine_host "$name")"
      ;;
    list) list_engines ;;
    start)
      can_have_engines || return
      need_cmd docker 'to talk to the engine'
      with_engine_lock "$name" start_engine "$name"
      ;;
    stop | remove)
      can_have_engines || return
      with_engine_lock "$name" "${action}_engine" "$name"
      ;;
    sweep)
      can_have_engines || return
      while IFS= read -r name; do
        with_engine_lock "$name" sweep_engine "$name"
      done < <(engine_names)
      delete_data_meanwhile
      ;;
  esac
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  main "$@"
fi
