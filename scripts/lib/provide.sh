# shellcheck shell=bash
# Finds or provides what the project needs: Python, engine, buildx, base images, an emulator to invoke with.
# Functions only. Needs log.sh, project.sh, engine.sh, private_engine.sh, apt.sh and base_images.sh.
#
# Each provide_X looks first and changes nothing where X is there; before it installs it says what and why.
# It returns 3 with what to do where it cannot.

# beat WORDS: until it is ended; its pauses hold no pipe of the caller's open.
beat() {
  local seconds=0 pause=''
  exec >/dev/null 8>&- 9>&-
  trap 'kill "$pause" 2>/dev/null; exit' TERM
  while kill -0 $$ 2>/dev/null; do
    sleep 10 2>/dev/null &
    pause=$!
    wait "$pause" || return 0
    seconds=$((seconds + 10))
    info "$1: ${seconds}s"
  done
}

# with_heartbeat WORDS COMMAND...: runs COMMAND in the foreground and says every ten seconds that it goes on.
with_heartbeat() {
  local words="$1" heart status=0
  shift
  beat "$words" &
  heart=$!
  "$@" || status=$?
  kill "$heart" 2>/dev/null || :
  wait "$heart" 2>/dev/null || :
  return "$status"
}

# install_packages WHY PACKAGE...: with the system's apt, as root.
install_packages() {
  local why="$1"
  shift
  if ! has_command apt-get; then
    error "$* is needed $why"
    hint 'install it with the package manager of this system'
    return 3
  fi
  if [ "$(id -u)" != 0 ]; then
    error "$* is needed $why, and installing it needs root"
    hint "sudo apt-get install $*"
    return 3
  fi
  info "installing $* with apt-get, $why"
  apt_install "$@" >&2 && return 0
  info 'fetching newer package lists'
  apt-get -qq update >&2 && apt_install "$@" >&2 && return 0
  error "apt-get cannot install $*"
  return 3
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

# ---- Python

# find_python: an interpreter of 3.11 or later.
find_python() {
  local name
  for name in python3 python3.13 python3.12 python3.11 python3.14; do
    "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    command -v "$name"
    return 0
  done
  return 1
}

# python_stamp: changes when the environment must be made anew.
python_stamp() {
  printf '%s\n' "$ROOT" | cat - "$ROOT/pyproject.toml" | cksum
}

# is_own_checkout: is ROOT LayerProof's? The scripts may stand in another project's repository.
is_own_checkout() {
  grep -qsx 'name = "layerproof"' "$ROOT/pyproject.toml"
}

# is_python_ready: an environment of ours that is up to date, or one of the user's that has what the tests import.
is_python_ready() {
  local stamp="$ROOT/.venv/layerproof-stamp"
  [ -x "$ROOT/.venv/bin/python" ] || return
  if [ -e "$stamp" ]; then
    [ "$(cat "$stamp")" = "$(python_stamp)" ]
  else
    is_own_checkout \
      && "$ROOT/.venv/bin/python" -c 'import docker, dockerfile_parse, hypothesis, pytest, testinfra, xdist' 2>/dev/null
  fi
}

# make_environment PYTHON: .venv, with nothing in it but the sign that it is ours; all of it or none.
make_environment() {
  "$1" -m venv --clear "$ROOT/.venv" && : >"$ROOT/.venv/layerproof-stamp" && return 0
  rm -rf "$ROOT/.venv"
  return 1
}

# provide_python: makes .venv anew where it is ours, and leaves it alone where it is not.
provide_python() {
  local python
  ! is_python_ready || return 0
  if ! is_own_checkout; then
    error "the Python environment belongs to LayerProof's own checkout, and $ROOT is none"
    hint 'run this from there'
    return 3
  elif [ -e "$ROOT/.venv" ] && [ ! -e "$ROOT/.venv/layerproof-stamp" ]; then
    error "there is a .venv that set-up did not make, and it lacks what the tests need"
    hint ".venv/bin/python -m pip install -e '.[dev,invoke]' completes it; or remove it, and run this again"
    return 3
  fi
  if ! python="$(find_python)"; then
    error 'there is no Python 3.11 or later'
    hint 'install one and run this again; Debian 12 and Ubuntu 24.04 have it in the package python3'
    return 3
  fi
  info "making the Python environment in .venv and installing the packages of pyproject.toml (the tests need them)"
  if ! make_environment "$python" >/dev/null 2>&1; then
    install_packages 'to make the Python environment' python3-venv || return
    make_environment "$python" >&2 || return 3
  fi
  with_heartbeat 'still installing' "$ROOT/.venv/bin/python" -m pip install -q --disable-pip-version-check -e "${ROOT}[dev,invoke]" >&2 || {
    error 'pip cannot install the packages of pyproject.toml'
    return 3
  }
  python_stamp >"$ROOT/.venv/layerproof-stamp"
  success 'Python environment made'
}

# ---- Engine

# is_engine_named: has the user said which engine, by environment or by docker's context? (Naming our private one
# does not count: it can be started again.)
is_engine_named() {
  [ "${DOCKER_HOST:-}" != "$(engine_host main)" ] || return 1
  [ -z "${DOCKER_HOST:-}" ] && [ -z "${DOCKER_CONTEXT:-}" ] || return 0
  case "$(docker context show 2>/dev/null)" in '' | default) return 1 ;; esac
}

# engine_url: of the engine that docker talks to.
engine_url() {
  if [ -n "${DOCKER_HOST:-}" ]; then
    printf '%s\n' "$DOCKER_HOST"
  else
    docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null
  fi
}

provide_client() {
  has_command docker && return 0
  if [ "$(uname -s)" != Linux ]; then
    error 'Docker is not installed'
    hint 'install Docker Desktop, Colima or OrbStack, start it, and run this again'
    return 3
  fi
  install_packages 'to build in containers (there is no docker command)' docker.io
}

# provide_engine: leaves DOCKER_HOST naming an engine that answers, or unset where docker's default does.
provide_engine() {
  provide_client || return
  try_engine
  [ "$ENGINE_STATE" != answers ] || return 0
  if [ "$ENGINE_STATE" = permission ] || is_engine_named; then
    wait_for_engine && return 0
    report_engine_failure
    return 3
  fi
  if use_private_engine; then
    info "using the private engine at $DOCKER_HOST"
    return 0
  fi
  if [ "$(uname -s)" != Linux ] || [ "$(id -u)" != 0 ]; then
    wait_for_engine && return 0
    report_engine_failure
    hint 'as root on Linux, make setup starts an engine of its own'
    return 3
  fi
  start_private_main
}

start_private_main() {
  has_command dockerd || install_packages 'to run a Docker engine (there is no dockerd)' docker.io || return
  info 'no Docker engine answers; starting a private one (scripts/private-engine.sh stop main ends it)'
  DOCKER_HOST="$("$SCRIPTS/private-engine.sh" start main)" || return
  export DOCKER_HOST
  success "engine started: export DOCKER_HOST=$DOCKER_HOST"
}

# provide_newer_engine: dockerd 26 beside the system's, for tests on a second version.
provide_newer_engine() {
  local tree
  tree="$(layerproof_home)/tools/newer-engine"
  [ ! -x "$tree/usr/sbin/dockerd" ] || return 0
  if ! is_debian; then
    error 'the newer engine is unpacked from Debian packages, which only Debian can verify'
    hint 'name a dockerd instead: scripts/private-engine.sh start NAME --dockerd PATH'
    return 3
  fi
  has_command runc || install_packages 'to run containers on the newer engine' runc || return
  info 'unpacking dockerd and containerd of Debian trixie into our tools (a second engine version; the system is not changed)'
  with_heartbeat 'still fetching' unpack_packages trixie "$tree" docker.io containerd docker-cli tini || return
  success "newer engine unpacked: $("$tree/usr/sbin/dockerd" --version)"
}

# ---- buildx

# buildx_version COMMAND...: 0.13.1
buildx_version() {
  "$@" version 2>/dev/null | sed -n 's/.*[ v]\([0-9][0-9]*\.[0-9][0-9.]*\).*/\1/p' | head -n 1
}

# is_buildx_recent VERSION: 0.13 was the first with progress as JSON.
is_buildx_recent() {
  local major="${1%%.*}" minor="${1#*.}"
  minor="${minor%%.*}"
  case "$major$minor" in '' | *[!0-9]*) return 1 ;; esac
  [ "$major" -gt 0 ] || [ "$minor" -ge 13 ]
}

provide_buildx() {
  local tools tree version=''
  tools="$(layerproof_home)/tools"
  # find_buildx exits where there is none.
  if (find_buildx) 2>/dev/null; then
    find_buildx
    version="$(buildx_version "${BUILDX[@]}")"
    if is_buildx_recent "$version"; then return 0; fi
    warn "buildx ${version:-of no known version} is older than 0.13, which the tests need"
    ! is_buildx_recent "$(buildx_version "$tools/docker-buildx")" || return 0
  fi
  if ! has_command apt-get || ! has_command dpkg-deb; then
    error 'buildx 0.13 or later is not installed'
    hint 'install the docker-buildx-plugin package or the release of your system (see Docker'"'"'s documentation)'
    return 3
  fi
  tree="$tools/buildx"
  info 'unpacking the package docker-buildx into our tools (every build needs buildx; the system is not changed)'
  with_heartbeat 'still fetching' unpack_packages "$(buildx_suite)" "$tree" docker-buildx || return
  link_buildx "$tree" "$tools/docker-buildx" || return
  success "buildx $(buildx_version "$tools/docker-buildx") unpacked"
}

# buildx_suite: Debian has it from trixie on, Ubuntu in every release that is maintained.
buildx_suite() {
  if is_debian && [ "$(os_field VERSION_ID)" = 12 ]; then
    printf 'trixie\n'
  else
    os_field VERSION_CODENAME
  fi
}

link_buildx() { # TREE LINK
  local plugin
  for plugin in "$1"/usr/libexec/docker/cli-plugins/docker-buildx "$1"/usr/lib/docker/cli-plugins/docker-buildx; do
    [ -x "$plugin" ] || continue
    ln -sf "$plugin" "$2"
    return
  done
  error 'the package docker-buildx holds no plugin'
  return 3
}

# ---- Images and emulator

provide_images() {
  provide_engine || return
  ensure_base_images
}

# provide_registry: a registry to run on loopback, for the test of a cache that two machines share.
provide_registry() {
  local tree
  tree="$(layerproof_home)/tools/registry"
  ! has_registry || return 0
  if ! has_command apt-get || ! has_command dpkg-deb; then
    error 'docker-registry is not installed'
    hint 'install the package docker-registry, or the program from elsewhere; one test alone needs it'
    return 3
  fi
  info 'unpacking the package docker-registry into our tools (for the test of a shared cache; the system is not changed)'
  with_heartbeat 'still fetching' unpack_packages "$(os_field VERSION_CODENAME)" "$tree" docker-registry || return
  success 'registry unpacked'
}

has_registry() {
  has_command docker-registry || [ -x "$(layerproof_home)/tools/registry/usr/bin/docker-registry" ]
}

# provide_invoke: cargo-lambda, whose emulator answers a function like the service does.
provide_invoke() {
  if ! is_own_checkout; then
    error 'cargo-lambda is not installed'
    hint 'install it (pip install cargo-lambda) or name it by CARGO_LAMBDA'
    return 3
  fi
  provide_python || return
  [ -x "$ROOT/.venv/bin/cargo-lambda" ] && return 0
  error 'cargo-lambda is not in .venv'
  hint 'remove .venv and run this again'
  return 3
}

# adopt_engine: for the commands that follow, leaves DOCKER_HOST naming the engine that set-up found or started.
adopt_engine() {
  local url
  url="$("$SCRIPTS/setup.sh" engine)" || return
  # Only a private engine's: a context may hold certificates that DOCKER_HOST cannot name.
  [ "$url" != "$(engine_host main)" ] || export DOCKER_HOST="$url"
}

# provide_all: what the tests need, the engine of these commands being that of the ones that follow.
provide_all() {
  "$SCRIPTS/setup.sh" python || return
  adopt_engine || return
  "$SCRIPTS/setup.sh" buildx images invoke
}

# workers: one for each processor, four at most: each has an engine of its own, which needs memory.
workers() {
  local count
  count="$(getconf _NPROCESSORS_ONLN 2>/dev/null)" || count=2
  printf '%s\n' "$((count < 4 ? count : 4))"
}
