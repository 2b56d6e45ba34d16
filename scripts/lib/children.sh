# shellcheck shell=bash
# Runs what takes long so that a signal ends it at once, with everything it started. Functions only. Needs log.sh.

CHILD=''

# run_child COMMAND...: in a process group of its own; returns its status. The shell waits in `wait`, which a trapped signal
# interrupts; in the foreground it would run the trap only when the command has ended.
run_child() {
  local status=0
  set -m
  "$@" </dev/null &
  CHILD=$!
  set +m
  wait "$CHILD" || status=$?
  CHILD=''
  return "$status"
}

# stop_child: asks, waits a little, then insists. Nothing in it can fail for long: the child may end at any moment.
stop_child() {
  local tries=0
  [ -n "$CHILD" ] || return 0
  signal_child INT || :
  while signal_child 0; do
    tries=$((tries + 1))
    case "$tries" in
      80) signal_child TERM || break ;;
      110) signal_child KILL || break ;;
      130) break ;;
    esac
    sleep 0.1
  done
  CHILD=''
}

# signal_child SIGNAL: to its whole group; 1 when that is gone, and then its status is collected.
signal_child() {
  kill -s "$1" -- "-$CHILD" 2>/dev/null && return 0
  wait "$CHILD" 2>/dev/null || return 1
  return 1
}

# on_signal: what the traps of INT, TERM and HUP call. EXIT's trap cleans up.
on_signal() {
  trap '' INT TERM HUP
  stop_child
  error 'interrupted; the previous package is as it was'
  exit 130
}
