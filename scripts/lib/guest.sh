# shellcheck shell=sh
# What runs inside the dev container: the first preparation of its volumes, the supervisor of a build.
# Functions only, for any POSIX sh. The client sends this text along with each call, so that no copy of it grows old; on
# standard input, so that the process list shows what runs and not this.
# Needs guest_fresh.sh and guest_cargo.sh.
#
# The places: GUEST_SOURCE is the project's mount; GUEST_BUILD is a volume with cargo's target directory (target/) and
# what is remembered from build to build (state/); CARGO_HOME is a volume.

GUEST_SOURCE="${GUEST_SOURCE:-/workspace}"
GUEST_BUILD="${GUEST_BUILD:-/layerproof/build}"

# Exit codes of guest_build, used in all three files. Docker itself uses 1 and 125 to 127, and 137 is a container that was stopped.
# shellcheck disable=SC2034
{
  GUEST_NO_SOURCE=90    # the mount shows a directory that is gone
  GUEST_NOT_WRITABLE=91 # there is no place for the artifact
  GUEST_INCOMPLETE=92   # the image lacks a tool
  GUEST_NO_BINARY=93    # all is built, and there was nothing to hand over
  GUEST_UNPREPARED=94   # the volumes are not the caller's
  GUEST_FAILED=101      # cargo's own code for a build that failed
  GUEST_INTERRUPTED=130
}

guest_say() { # TAG WORDS...
  guest_tag="$1"
  shift
  [ "$guest_tag" = INFO ] && [ "${LAYERPROOF_QUIET:-0}" = 1 ] && return 0
  printf '[%s] %s\n' "$guest_tag" "$*" >&2
}

# guest_log WORDS...: a line for `docker logs`.
guest_log() {
  { printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >/proc/1/fd/1; } 2>/dev/null || :
}

# guest_prepare OWNER CARGO_HOME-OF-THE-IMAGE: run as root on the volumes, gives them to the caller, one caller at a time.
# Configuration that the image carries in its CARGO_HOME holds in ours too.
guest_prepare() {
  if command -v flock >/dev/null; then
    exec 9>"$GUEST_BUILD/prepare.lock" && flock 9 || return
  fi
  mkdir -p "$GUEST_BUILD/target" "$GUEST_BUILD/state" "$CARGO_HOME/home" || return
  for guest_file in config.toml config; do
    [ ! -f "$2/$guest_file" ] || cp "$2/$guest_file" "$CARGO_HOME/$guest_file" || return
  done
  [ "$(stat -c %u:%g "$GUEST_BUILD/state")" != "$1" ] || [ "$(stat -c %u:%g "$CARGO_HOME/home")" != "$1" ] || return 0
  chown -R "$1" "$GUEST_BUILD" "$CARGO_HOME"
}

# guest_is_prepared: may the caller write what a build writes?
guest_is_prepared() {
  [ -w "$GUEST_BUILD/target" ] && [ -w "$GUEST_BUILD/state" ] && [ -w "$CARGO_HOME/home" ]
}

# guest_marked MARK: the processes of a build or a command, wherever they have gone: those whose environment holds MARK,
# which is BUILD_MARK, for any build, BUILD_MARK and the supervisor's number and a point, or the mark of run_command.
BUILD_MARK='LAYERPROOF_BUILD_MARK='
guest_marked() {
  grep -Fls "$1" /proc/[0-9]*/environ 2>/dev/null | sed 's|/proc/\([0-9]*\)/environ|\1|'
}

# guest_end_processes MARK: nothing of them is left afterwards. They have a second to end by themselves.
guest_end_processes() {
  guest_try=0
  while guest_pids="$(guest_marked "$1")" && [ -n "$guest_pids" ]; do
    guest_signal=TERM
    [ "$guest_try" -lt 10 ] || guest_signal=KILL
    # shellcheck disable=SC2086 # one word per process
    kill -s "$guest_signal" $guest_pids 2>/dev/null
    [ "$guest_try" -lt 100 ] || return 1
    guest_try=$((guest_try + 1))
    sleep 0.1
  done
}

# guest_watch SUPERVISOR: reads until the client hangs up (its end, whatever the reason, closes our input), then ends the
# build, again and again until the supervisor has noticed.
guest_watch() {
  trap - USR1
  while read -r _ <&3; do :; done
  while kill -s USR1 "$1" 2>/dev/null; do
    guest_end_processes "$BUILD_MARK$1."
    sleep 0.1
  done
}

# guest_await PID: its exit code; GUEST_INTERRUPTED as soon as the client has hung up.
guest_await() {
  while [ -z "$guest_hung_up" ]; do
    wait "$1"
    guest_status=$?
    kill -0 "$1" 2>/dev/null || break
  done
  [ -z "$guest_hung_up" ] || return "$GUEST_INTERRUPTED"
  return "$guest_status"
}

# guest_lock: one build at a time; descriptor 9 holds it.
guest_lock() {
  exec 9>"$GUEST_BUILD/state/lock" || return "$GUEST_INCOMPLETE"
  flock -n 9 && return 0
  guest_say INFO 'waiting for another build of this project'
  flock 9 &
  guest_waiter=$!
  guest_await "$guest_waiter"
}

# guest_build CARGO-ARGUMENTS...: compiles the mounted source, hands over its binaries, prints their paths.
# Standard input is the client's lifeline: when it ends, so does the build, with all its processes.
guest_build() {
  exec 3<&0 </dev/null
  guest_hung_up='' guest_temporary='' guest_waiter='' guest_locked=''
  trap 'guest_hung_up=1' USR1
  guest_watch $$ >/dev/null 2>&1 &
  guest_watcher=$!
  cargo_run_build "$@"
  guest_result=$?
  [ -z "$guest_hung_up" ] || guest_result="$GUEST_INTERRUPTED"
  trap '' USR1
  kill "$guest_watcher" 2>/dev/null
  [ -z "$guest_waiter" ] || kill "$guest_waiter" 2>/dev/null
  [ -z "$guest_temporary" ] || rm -f "$guest_temporary"
  [ -z "$guest_locked" ] || [ "$guest_result" -ne "$GUEST_INTERRUPTED" ] || guest_end_processes "$BUILD_MARK"
  guest_log "build ended with status $guest_result: cargo build $*"
  exit "$guest_result"
}
