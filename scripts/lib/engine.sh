# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is for the scripts that source this
# Finds the Docker client, buildx and an engine that answers, and the images and network to use there.
# Functions only. Needs log.sh and project.sh.
#
# open_engine sets: ENGINE_ARCHITECTURE, ENGINE_NETWORK (empty: the engine's default), BUILD_IMAGE, RUNTIME_IMAGE,
# and exports DOCKER_HOST where it falls back to a private engine. find_buildx sets the array BUILDX.

DEFAULT_BUILD_IMAGE='rust:1.85-slim-bookworm'
DEFAULT_RUNTIME_IMAGE='amazon/aws-lambda-provided:al2023'
LOCAL_BUILD_IMAGE='layerproof/rust:local'
LOCAL_RUNTIME_IMAGE='layerproof/runtime:local'

# runtime_dir: where private engines have their sockets.
runtime_dir() {
  printf '%s/layerproof-%s\n' "${XDG_RUNTIME_DIR:-/tmp}" "${UID:-$(id -u)}"
}

# is_own PATH: ours, and no link: in /tmp anybody may have been there before us.
is_own() {
  [ -O "$1" ] && [ ! -L "$1" ]
}

# private_socket NAME: where the private engine of that name listens.
private_socket() {
  printf '%s/%s.sock\n' "$(runtime_dir)" "$1"
}

# limit_time SECONDS COMMAND...: 124 where the command does not end in time. Stays in the foreground group, so that
# Ctrl-C reaches the command. (macOS has no timeout(1), but perl; busybox has no perl.)
limit_time() {
  local seconds="$1"
  shift
  # shellcheck disable=SC2016 # perl's variables, not the shell's
  if has_command perl; then
    perl -e '
      my $seconds = shift;
      my $child = fork // die "fork: $!\n";
      if (!$child) { exec { $ARGV[0] } @ARGV or exit 127 }
      local $SIG{ALRM} = sub { kill "KILL", $child; waitpid $child, 0; exit 124 };
      local $SIG{TERM} = sub { kill "TERM", $child };
      alarm $seconds;
      waitpid $child, 0;
      exit($? & 127 ? 128 + ($? & 127) : $? >> 8);' "$seconds" "$@"
  elif has_command timeout; then
    timeout "$seconds" "$@"
  else
    "$@"
  fi
}

# probe_engine: one call that tells whether the engine answers and which of our images it has, on stdout as
# "image|TAG TAG …|ARCHITECTURE" lines. On failure the client's words are on stdout too.
probe_engine() {
  limit_time "${LAYERPROOF_ENGINE_TIMEOUT:-10}" docker image inspect \
    --format 'image|{{range .RepoTags}}{{.}} {{end}}|{{.Architecture}}' \
    "$DEFAULT_BUILD_IMAGE" "$DEFAULT_RUNTIME_IMAGE" "$LOCAL_BUILD_IMAGE" "$LOCAL_RUNTIME_IMAGE" 2>&1
}

# classify_probe STATUS OUTPUT: answers | permission | absent | context | silent
classify_probe() {
  local output="$2" path
  if [ "$1" -eq 0 ]; then
    printf 'answers\n'
    return 0
  fi
  case "$output" in
    *[Nn]'o such image'*) printf 'answers\n' ;;
    *[Pp]'ermission denied'*) printf 'permission\n' ;;
    *[Uu]'nable to resolve docker endpoint'* | *[Uu]'nable to parse docker host'* | *'context not found'*)
      printf 'context\n'
      ;;
    *'connect: no such file or directory'*) printf 'absent\n' ;;
    *'Cannot connect to the Docker daemon at unix://'*)
      path="${output#*unix://}"
      path="${path%%. Is the*}"
      if [ -S "$path" ]; then printf 'silent\n'; else printf 'absent\n'; fi
      ;;
    *) printf 'silent\n' ;;
  esac
}

# try_engine: sets ENGINE_STATE (see classify_probe) and PROBE_OUTPUT.
try_engine() {
  local status=0
  PROBE_OUTPUT="$(probe_engine)" || status=$?
  ENGINE_STATE="$(classify_probe "$status" "$PROBE_OUTPUT")"
}

# wait_for_engine: tries an engine that does not answer again, each pause twice as long; 1 when it stays silent.
wait_for_engine() {
  local attempt=1 pause=1 most="${LAYERPROOF_ENGINE_ATTEMPTS:-4}"
  while [ "$ENGINE_STATE" = silent ]; do
    [ "$attempt" -lt "$most" ] || return 1
    warn "the Docker engine does not answer; trying again in ${pause}s ($attempt of $((most - 1)))"
    sleep "$pause"
    pause=$((pause * 2))
    attempt=$((attempt + 1))
    try_engine
  done
  [ "$ENGINE_STATE" = answers ]
}

# use_private_engine: takes a live private engine of ours; 1 if there is none, with everything as before.
use_private_engine() {
  local socket
  socket="$(private_socket main)"
  [ -S "$socket" ] && is_own "$(runtime_dir)" && is_own "$socket" || return 1
  local former_state="$ENGINE_STATE" former_output="$PROBE_OUTPUT"
  export DOCKER_HOST="unix://$socket"
  try_engine
  [ "$ENGINE_STATE" = answers ] && return 0
  unset DOCKER_HOST
  ENGINE_STATE="$former_state" PROBE_OUTPUT="$former_output"
  return 1
}

# connect_engine: returns with an engine that answers, or exits 3 with what to do.
connect_engine() {
  need_cmd docker 'to build in containers' 'make setup installs it on Debian and Ubuntu; elsewhere: https://docs.docker.com/get-docker/'
  try_engine
  [ "$ENGINE_STATE" = answers ] && return 0
  if [ -z "${DOCKER_HOST:-}" ] && [ -z "${DOCKER_CONTEXT:-}" ] && use_private_engine; then
    info "using the private engine at $DOCKER_HOST"
    return 0
  fi
  wait_for_engine && return 0
  report_engine_failure
  exit 3
}

report_engine_failure() {
  local words
  words="$(printf '%s\n' "$PROBE_OUTPUT" | head -n 3)"
  case "$ENGINE_STATE" in
    permission)
      error 'no permission to use the Docker engine'
      hint "add yourself to the docker group (sudo usermod -aG docker $(id -un), then log in again), or use a rootless engine"
      ;;
    absent)
      error "no Docker engine is running${DOCKER_HOST:+ at $DOCKER_HOST}"
      hint 'start Docker, or run: make setup'
      ;;
    context)
      error 'the Docker context or DOCKER_HOST names no engine'
      hint 'see: docker context ls'
      ;;
    *)
      error "the Docker engine does not answer${DOCKER_HOST:+ at $DOCKER_HOST}; gave up after ${LAYERPROOF_ENGINE_ATTEMPTS:-4} attempts"
      hint 'is it starting, or hung? see: docker info'
      ;;
  esac
  printf '%s\n' "$words" >&2
}

# has_probed_image TAG: is it among the images of the probe?
has_probed_image() {
  [ -n "$(probed_architecture "$1")" ]
}

# choose_image CHOSEN DEFAULT STAND-IN: the user's; else the real one, unless only the stand-in is there.
choose_image() {
  if [ -n "$1" ]; then
    printf '%s\n' "$1"
  elif ! has_probed_image "$2" && has_probed_image "$3"; then
    printf '%s\n' "$3"
  else
    printf '%s\n' "$2"
  fi
}

# probed_architecture TAG: x86_64, arm64 …, as Lambda calls it; nothing if the engine does not have the image.
probed_architecture() {
  local kind tags architecture
  while IFS='|' read -r kind tags architecture; do
    [ "$kind" = image ] || continue
    case " $tags " in *" $1 "*) ;; *) continue ;; esac
    [ "$architecture" != amd64 ] || architecture=x86_64
    printf '%s\n' "$architecture"
    return 0
  done <<<"$PROBE_OUTPUT"
}

# is_engine_of_this_machine: are its interfaces ours? Those of a rootless engine are not, nor are those of Docker Desktop's
# machine, whose contexts name sockets here all the same.
is_engine_of_this_machine() {
  case "${DOCKER_HOST:-}" in
    '') [ -z "${DOCKER_CONTEXT:-}" ] && ! grep -qs '"currentContext"' "${DOCKER_CONFIG:-${HOME:-}/.docker}/config.json" ;;
    unix:///var/run/docker.sock | unix:///run/docker.sock | "unix://$(runtime_dir)/"*) ;;
    *) return 1 ;;
  esac
}

# choose_network: LAYERPROOF_NETWORK; else host where the engine's bridge cannot be used; else nothing (the default).
# A bridge that the engine lists but whose interface is gone breaks every container on it ("could not find bridge").
# Only an engine of this machine can be looked at that closely.
choose_network() {
  local bridge status=0
  if [ -n "${LAYERPROOF_NETWORK:-}" ]; then
    printf '%s\n' "$LAYERPROOF_NETWORK"
    return 0
  fi
  bridge="$(limit_time "${LAYERPROOF_ENGINE_TIMEOUT:-10}" docker network inspect bridge \
    --format '{{index .Options "com.docker.network.bridge.name"}}' 2>&1)" || status=$?
  if [ "$status" -ne 0 ]; then
    case "$bridge" in *'not found'* | *'No such network'*) printf 'host\n' ;; esac
    return 0
  fi
  is_engine_of_this_machine && [ -d /sys/class/net/lo ] && [ -n "$bridge" ] || return 0
  [ -e "/sys/class/net/$bridge" ] || printf 'host\n'
}

# open_engine: connects, and settles images and network.
open_engine() {
  connect_engine
  BUILD_IMAGE="$(choose_image "${DOCKER_IMAGE:-}" "$DEFAULT_BUILD_IMAGE" "$LOCAL_BUILD_IMAGE")"
  RUNTIME_IMAGE="$(choose_image "${RUNTIME_IMAGE:-}" "$DEFAULT_RUNTIME_IMAGE" "$LOCAL_RUNTIME_IMAGE")"
  ENGINE_ARCHITECTURE="$(probed_architecture "$BUILD_IMAGE")"
  ENGINE_NETWORK="$(choose_network)"
}

# buildx_candidates: where the plugin may lie, best first.
buildx_candidates() {
  printf '%s\n' \
    "${DOCKER_CONFIG:-${HOME:-}/.docker}/cli-plugins/docker-buildx" \
    "$(layerproof_home)/tools/docker-buildx" \
    /usr/local/lib/docker/cli-plugins/docker-buildx \
    /usr/local/libexec/docker/cli-plugins/docker-buildx \
    /usr/lib/docker/cli-plugins/docker-buildx \
    /usr/libexec/docker/cli-plugins/docker-buildx \
    /opt/homebrew/lib/docker/cli-plugins/docker-buildx \
    /usr/local/opt/docker-buildx/bin/docker-buildx \
    /Applications/Docker.app/Contents/Resources/cli-plugins/docker-buildx
}

# find_buildx: sets BUILDX to the command. The plugin's own binary is called where it is found: it is faster than through
# the client, and a client that lacks the plugin would silently take the classic builder.
find_buildx() {
  local candidate
  if [ -n "${LAYERPROOF_BUILDX:-}" ]; then
    [ -x "$LAYERPROOF_BUILDX" ] || die 3 "LAYERPROOF_BUILDX cannot be run: $LAYERPROOF_BUILDX"
    BUILDX=("$LAYERPROOF_BUILDX")
    return 0
  fi
  while IFS= read -r candidate; do
    [ -f "$candidate" ] && [ -x "$candidate" ] || continue
    BUILDX=("$candidate")
    return 0
  done < <(buildx_candidates)
  if docker buildx version >/dev/null 2>&1; then
    BUILDX=(docker buildx)
    return 0
  fi
  error 'buildx is not installed; the build needs it (the classic builder has no cache mounts)'
  hint 'make setup provides it; or install the docker-buildx-plugin package (Debian: docker-buildx)'
  exit 3
}

# is_offline: has the user said that there is no network?
is_offline() {
  [ "${LAYERPROOF_OFFLINE:-0}" = 1 ]
}
