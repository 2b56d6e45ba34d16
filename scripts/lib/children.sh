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

# stop_child: asks, waits a little, then insists.
stop_child() {
  local tries=0
  [ -n "$CHILD" ] || return 0
  kill -INT -- "-$CHILD" 2>/dev/null
  while kill -0 -- "-$CHILD" 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -ne 80 ] || kill -TERM -- "-$CHILD" 2>/dev/null
    [ "$tries" -ne 110 ] || kill -KILL -- "-$CHILD" 2>/dev/null
    [ "$tries" -lt 130 ] || break
    sleep 0.1
  done
  wait "$CHILD" 2>/dev/null
  CHILD=''
}

# on_signal: what the traps of INT, TERM and HUP call. EXIT's trap cleans up.
on_signal() {
  trap '' INT TERM HUP
  stop_child
  error 'interrupted; the previous package is as it was'
  exit 130
}
