# shellcheck shell=bash
# Private engines: throwaway dockerds with data, socket and processes of their own. Functions only.
# Needs log.sh, project.sh and engine.sh. Linux and root; the entry point is private-engine.sh.
#
# NAME's data, log and facts lie in $LAYERPROOF_HOME/engines/NAME and outlive a reboot. Its socket, pid and exec root
# lie in a runtime directory with a short path (a socket's may have 107 bytes). Every process and mount of an engine
# is known by its exec root or data root, so what a killed engine leaves is found without asking it.

PLENTY_KB=8388608 # of memory: an image that is loaded passes through what take_memory makes

engines_dir() {
  printf '%s/engines\n' "$(layerproof_home)"
}

engine_dir() { # NAME
  printf '%s/%s\n' "$(engines_dir)" "$1"
}

exec_root() { # NAME
  printf '%s/%s.exec\n' "$(runtime_dir)" "$1"
}

pid_file() { # NAME
  printf '%s/%s.pid\n' "$(runtime_dir)" "$1"
}

engine_host() { # NAME
  printf 'unix://%s\n' "$(private_socket "$1")"
}

# is_engine_name NAME: short and plain, so that no name leaves its directory.
is_engine_name() {
  case "$1" in
    '' | -* | *[!a-z0-9-]*) return 1 ;;
  esac
  [ "${#1}" -le 32 ]
}

# make_runtime_dir: ours alone; a directory or link that someone else put there is refused.
make_runtime_dir() {
  local dir
  dir="$(runtime_dir)"
  [ -d "$dir" ] || (umask 077 && mkdir -p "$dir") || return
  if ! is_own "$dir"; then
    error "$dir belongs to someone else"
    hint 'set XDG_RUNTIME_DIR to a directory of your own'
    return 3
  fi
  chmod 0700 "$dir"
}

# with_engine_lock NAME COMMAND...: one caller at a time may change an engine.
with_engine_lock() {
  local name="$1"
  shift
  make_runtime_dir || return
  (
    flock -w 180 9 || {
      error "another process has been changing the engine $name for three minutes"
      exit 3
    }
    "$@"
  ) 9>"$(runtime_dir)/$name.lock"
}

# process_start PID: the kernel's start time, which tells a process from a later one of the same number.
process_start() {
  local stat
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  stat="${stat##*) }"
  # shellcheck disable=SC2086 # words on purpose
  set -- $stat
  [ "$1" != Z ] || return 1 # dead, and its parent has not asked
  printf '%s\n' "${20}"
}

# is_engine_process PID NAME: one of dockerd, containerd and the shims, with NAME's exec root in its arguments.
is_engine_process() {
  local exec_root word program=''
  exec_root="$(exec_root "$2")"
  [ -r "/proc/$1/cmdline" ] || return 1
  while IFS= read -r -d '' word; do
    if [ -z "$program" ]; then
      program="${word##*/}"
      case "$program" in dockerd | containerd | containerd-shim* | docker-proxy) ;; *) return 1 ;; esac
    fi
    case "$word" in "$exec_root" | "$exec_root"/*) return 0 ;; esac
  done 2>/dev/null <"/proc/$1/cmdline"
  return 1
}

# engine_processes NAME: the pids of its daemons.
engine_processes() {
  local file pid all=(/proc/[0-9]*/cmdline)
  # The pattern comes by stdin: as an argument it would make grep find itself.
  { exec_root "$1" | grep -laF -f - "${all[@]}" 2>/dev/null || :; } | while IFS= read -r file; do
    pid="${file#/proc/}"
    pid="${pid%/cmdline}"
    ! is_engine_process "$pid" "$1" || printf '%s\n' "$pid"
  done
}

# engine_pid NAME [PROGRAM]: the living dockerd, or its containerd; 1 if there is none, whatever the pidfile says.
engine_pid() {
  local pid program
  for pid in $(engine_processes "$1"); do
    { IFS= read -r -d '' program <"/proc/$pid/cmdline"; } 2>/dev/null || continue
    [ "${program##*/}" = "${2:-dockerd}" ] || continue
    printf '%s\n' "$pid"
    return 0
  done
  return 1
}

# escape_regex PATH: what matches PATH, as mountinfo writes it, in an extended regular expression.
escape_regex() {
  printf '%s' "$1" | sed -e 's/\\/\\134/g' -e 's/ /\\040/g' -e 's/[][\\.*^$+?(){}|]/\\&/g'
}

# container_processes NAME: pids of its containers and build commands: their root file system lies in its data root, or,
# where that cannot be seen (fuse-overlayfs), their cgroup is of a container that it has. The file systems of the
# latter are processes too.
container_processes() {
  local dir data file groups=(/proc/[0-9]*/cgroup) words=(/proc/[0-9]*/cmdline)
  dir="$(engine_dir "$1")/data"
  data="$(escape_regex "$dir")"
  {
    grep -lE "^[^ ]+ [^ ]+ [^ ]+ ([^ ]*$data/[^ ]* / |[^ ]+ / .*=$data/)" /proc/[0-9]*/mountinfo || :
    find "$dir/containers" "$dir/buildkit/executor" -mindepth 1 -maxdepth 1 -type d -name '????????????????????*' \
      | sed 's,.*/,,' | grep -lF -f - "${groups[@]}" || :
    printf '%s\n' "$dir/" | grep -lF -f - "${words[@]}" | while IFS= read -r file; do
      [[ "$(readlink "${file%/cmdline}/exe")" != */fuse-overlayfs ]] || printf '%s\n' "$file"
    done || :
  } 2>/dev/null | sed -e 's,^/proc/,,' -e 's,/.*,,' | sort -un
}

# engine_mounts NAME: mount points below its data root and exec root, innermost first.
engine_mounts() {
  local data exec_root
  data="$(engine_dir "$1")/data"
  exec_root="$(exec_root "$1")"
  local point
  awk '{ print $5 }' /proc/self/mountinfo | while IFS= read -r point; do
    point="$(printf '%b' "${point//\\/\\0}")"
    case "$point" in "$data" | "$data"/* | "$exec_root" | "$exec_root"/*) printf '%s\n' "$point" ;; esac
  done | sort -r
}

# engine_answers NAME: its version on stdout.
engine_answers() {
  [ -S "$(private_socket "$1")" ] || return 1
  DOCKER_CONTEXT='' DOCKER_HOST="$(engine_host "$1")" limit_time 5 docker version --format '{{.Server.Version}}' 2>/dev/null
}

# engine_state NAME: running | silent (alive, no answer) | stale (killed, with leftovers) | stopped
engine_state() {
  if engine_pid "$1" >/dev/null; then
    if engine_answers "$1" >/dev/null; then printf 'running\n'; else printf 'silent\n'; fi
  elif [ -e "$(private_socket "$1")" ] || [ -e "$(pid_file "$1")" ] || [ -n "$(engine_processes "$1")" ] \
    || [ -n "$(container_processes "$1")" ] || [ -n "$(engine_mounts "$1")" ]; then
    printf 'stale\n'
  else
    printf 'stopped\n'
  fi
}

# clear_leftovers NAME: ends what a killed engine left running, unmounts what it left mounted, removes its socket.
clear_leftovers() {
  local pids try
  for try in 1 2 3 4 5 6 7 8 9 10; do
    pids="$(
      engine_processes "$1"
      container_processes "$1"
    )"
    [ -n "$pids" ] || break
    # shellcheck disable=SC2086 # a list of numbers
    kill -KILL $pids 2>/dev/null || :
    sleep "0.$try"
  done
  local point
  engine_mounts "$1" | while IFS= read -r point; do
    umount -l "$point" 2>/dev/null || warn "cannot unmount $point"
  done
  rm -f "$(private_socket "$1")" "$(pid_file "$1")"
  rm -rf --one-file-system "$(exec_root "$1")"
  give_back_memory "$1"
}

# take_memory NAME: a directory in memory, for what the daemon writes to delete it at once (in each step BuildKit tries six
# programs for other processors: on a disk that is a fifth of a build's time). Nothing where memory is not plenty.
take_memory() {
  local dir
  awk -v least="$PLENTY_KB" '/^MemAvailable:/ { found = $2 >= least } END { exit !found }' /proc/meminfo 2>/dev/null || return 0
  df -Pk /dev/shm 2>/dev/null | awk -v least="$PLENTY_KB" 'NR == 2 { found = $4 >= least } END { exit !found }' || return 0
  dir="$(mktemp -d /dev/shm/layerproof.XXXXXX 2>/dev/null)" || return 0
  printf '%s\n' "$dir" >"$(engine_dir "$1")/memory" && printf '%s\n' "$dir"
}

# give_back_memory NAME: removes what take_memory has made.
give_back_memory() {
  local dir record
  record="$(engine_dir "$1")/memory"
  { read -r dir <"$record"; } 2>/dev/null || return 0
  case "$dir" in /dev/shm/layerproof.*/*) ;; /dev/shm/layerproof.*) rm -rf --one-file-system "$dir" ;; esac
  rm -f "$record"
}

# An engine that lives for one run need not wait for the disk: what makes a build durable is a twentieth of the time of its
# steps, and a quarter where other engines are at work. Its data may be broken once the machine has crashed, so they are of
# this boot or none.

boot_id() {
  cat /proc/sys/kernel/random/boot_id
}

mark_unsynced() { # NAME
  boot_id >"$(engine_dir "$1")/unsynced"
}

is_unsynced() { # NAME
  [ -e "$(engine_dir "$1")/unsynced" ]
}

# forget_unsynced NAME: with its data, where those are of an earlier boot.
forget_unsynced() {
  local dir
  dir="$(engine_dir "$1")"
  [ ! -s "$dir/unsynced" ] || [ "$(cat "$dir/unsynced")" = "$(boot_id)" ] \
    || rm -rf --one-file-system "$dir/data" "$dir/driver" "$dir/unsynced"
}

# record_owner NAME PID: whose end sweep waits for.
record_owner() {
  local start
  start="$(process_start "$2")" || {
    error "there is no process $2 to own the engine $1"
    return 2
  }
  printf '%s %s\n' "$2" "$start" >"$(engine_dir "$1")/owner"
}

# has_dead_owner NAME: was an owner recorded, and is that very process gone?
has_dead_owner() {
  local pid start
  { read -r pid start <"$(engine_dir "$1")/owner"; } 2>/dev/null || return 1
  [ "$(process_start "$pid")" != "$start" ]
}

# has_more_layers NAME N: does its storage hold more layers than N? No N is no limit.
has_more_layers() {
  local dir
  [ -n "$2" ] || return 1
  dir="$(engine_dir "$1")"
  dir="$dir/data/$(cat "$dir/driver" 2>/dev/null)" || return 1
  [ "$(find "$dir" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)" -gt "$2" ]
}

# overlay_works DIR: can overlayfs have its upper directory there?
overlay_works() {
  local probe status=0
  probe="$(mktemp -d "$1/overlay.XXXXXX")" || return 1
  mkdir "$probe/lower" "$probe/upper" "$probe/work" "$probe/merged"
  mount -t overlay overlay -o "lowerdir=$probe/lower,upperdir=$probe/upper,workdir=$probe/work" "$probe/merged" 2>/dev/null || status=1
  umount "$probe/merged" 2>/dev/null || :
  rm -rf "$probe"
  return "$status"
}

# choose_driver NAME: what its data root was made with; else the fastest storage driver that works there.
choose_driver() {
  local dir
  dir="$(engine_dir "$1")"
  if [ -s "$dir/driver" ] && [ -d "$dir/data" ]; then
    cat "$dir/driver"
  elif overlay_works "$dir"; then
    printf 'overlay2\n'
  elif has_command fuse-overlayfs && [ -e /dev/fuse ]; then
    printf 'fuse-overlayfs\n'
  else
    printf 'vfs\n'
  fi
}
