#!/usr/bin/env bash
# Invokes a built Lambda function the way the service does: started in its runtime image, asked through an emulated
# Runtime API (cargo-lambda's).
#
# USAGE
#   invoke.sh [OPTIONS] [EVENT...]
#
# EVENT (default: {})
#   JSON        the payload of an invocation
#   @FILE       the same, read from FILE
#   /PATH?QUERY an HTTP GET, as a function URL would pass it on (for functions of lambda_http)
#
# OPTIONS
#   --package FILE   a bootstrap or a zip; default: lambda-deployment.zip, else lambda-package/bootstrap
#   --image IMAGE    start this image as it is, instead of a package in the runtime image
#   --timeout N      seconds that an answer may take (default 20)
#   -h, --help       this text
#
# Prints one answer a line. The function's own log follows on stderr when something fails, or with
# LAYERPROOF_VERBOSE=1.
# Environment: RUNTIME_IMAGE and DOCKER_IMAGE as for build-lambda.sh, CARGO_LAMBDA (path of the emulator).
# The emulator asks cargo for metadata; where this machine has no cargo it runs in the build image.
# Exit codes: 0 every event was answered, 1 one was not or the function failed, 2 usage, 3 the environment lacks
# something, 130 interrupted.

set -Eeuo pipefail

SCRIPTS="$(CDPATH='' cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
ROOT="${SCRIPTS%/*}"
# shellcheck source=scripts/lib/log.sh
. "$SCRIPTS/lib/log.sh"
# shellcheck source=scripts/lib/project.sh
. "$SCRIPTS/lib/project.sh"
# shellcheck source=scripts/lib/engine.sh
. "$SCRIPTS/lib/engine.sh"

PACKAGE=''
IMAGE=''
TIMEOUT=20
EVENTS=()
WORK=''
FUNCTION=''
EMULATOR=''
EMULATOR_PID=''
PORT=''

usage() {
  sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

usage_error() {
  error "$1"
  usage >&2
  exit 2
}

parse_arguments() {
  while [ $# -gt 0 ]; do
    case "$1" in
      -h | --help)
        usage
        exit 0
        ;;
      --package | --image | --timeout)
        [ $# -ge 2 ] && [ -n "$2" ] || usage_error "$1 needs a value"
        case "$1" in
          --package) PACKAGE="$2" ;;
          --image) IMAGE="$2" ;;
          --timeout) TIMEOUT="$2" ;;
        esac
        shift
        ;;
      -*) usage_error "unknown option: $1" ;;
      *) EVENTS+=("$1") ;;
    esac
    shift
  done
  case "$TIMEOUT" in *[!0-9]* | '') usage_error "not a number of seconds: $TIMEOUT" ;; esac
  [ -z "$PACKAGE" ] || [ -z "$IMAGE" ] || usage_error '--package and --image exclude each other'
  [ "${#EVENTS[@]}" -gt 0 ] || EVENTS=('{}')
}

# choose_package: what a build in the current directory left.
choose_package() {
  [ -z "$IMAGE" ] || return 0
  if [ -n "$PACKAGE" ]; then
    [ -f "$PACKAGE" ] || die 2 "no such package: $PACKAGE"
  elif [ -f lambda-deployment.zip ]; then
    PACKAGE=lambda-deployment.zip
  elif [ -f lambda-package/bootstrap ]; then
    PACKAGE=lambda-package/bootstrap
  else
    error "there is no lambda-deployment.zip or lambda-package/bootstrap in $PWD"
    hint 'build one first: scripts/build-lambda.sh prod'
    exit 2
  fi
}

find_python() {
  local python
  for python in "$ROOT/.venv/bin/python" python3 python; do
    command -v "$python" 2>/dev/null && return 0
  done
  error 'there is no python to talk to the emulator with'
  return 3
}

# find_emulator: cargo-lambda, which set-up puts into .venv.
find_emulator() {
  local candidate
  for candidate in "${CARGO_LAMBDA:-}" "$ROOT/.venv/bin/cargo-lambda" cargo-lambda "${HOME:-}/.cargo/bin/cargo-lambda"; do
    [ -n "$candidate" ] || continue
    command -v "$candidate" 2>/dev/null && return 0
  done
  "$SCRIPTS/setup.sh" invoke >&2 || return 3
  printf '%s\n' "$ROOT/.venv/bin/cargo-lambda"
}

free_port() {
  "$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# unpack_package: the package as $WORK/task, as the service lays it out in /var/task.
unpack_package() {
  mkdir "$WORK/task"
  case "$PACKAGE" in
    *.zip)
      "$PYTHON" - "$PACKAGE" "$WORK/task" <<'END' || die 1 "not a package: $PACKAGE"
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as package:
    for entry in package.infolist():
        path = package.extract(entry, sys.argv[2])
        if not entry.is_dir():
            os.chmod(path, entry.external_attr >> 16 & 0o777 or 0o644)
END
      ;;
    *) cp -p "$PACKAGE" "$WORK/task/bootstrap" ;;
  esac
  [ -f "$WORK/task/bootstrap" ] || die 1 "$PACKAGE holds no bootstrap"
  [ -x "$WORK/task/bootstrap" ] || die 1 "the bootstrap in $PACKAGE is not executable"
}

# write_manifest: the emulator wants a project with a binary to stand in.
write_manifest() {
  mkdir -p "$WORK/emulator/src"
  printf '[package]\nname = "emulator"\nversion = "0.0.0"\nedition = "2021"\n\n[workspace]\n' >"$WORK/emulator/Cargo.toml"
  printf 'fn main() {}\n' >"$WORK/emulator/src/main.rs"
}

emulator_arguments() {
  printf '%s\n' lambda watch --only-lambda-apis --invoke-address 127.0.0.1 --invoke-port "$PORT" --timeout "$TIMEOUT"
}

start_emulator() {
  local emulator argument arguments=()
  emulator="$(find_emulator)" || exit 3
  write_manifest
  while IFS= read -r argument; do arguments+=("$argument"); done < <(emulator_arguments)
  if has_command cargo && cargo --version >/dev/null 2>&1; then
    (cd "$WORK/emulator" && exec "$emulator" "${arguments[@]}") >"$WORK/emulator.log" 2>&1 </dev/null &
    EMULATOR_PID=$!
  elif [ "$(uname -s)" = Linux ]; then
    EMULATOR="$(docker create --network=host --label layerproof.role=invoke --workdir /emulator \
      --entrypoint /emulator/cargo-lambda "$BUILD_IMAGE" "${arguments[@]}")" || exit 3
    cp "$emulator" "$WORK/emulator/cargo-lambda"
    docker cp "$WORK/emulator" "$EMULATOR:/" >/dev/null 2>"$WORK/emulator.log" || die 3 "cannot put the emulator into $BUILD_IMAGE: $(cat "$WORK/emulator.log")"
    docker start "$EMULATOR" >/dev/null || exit 3
  else
    error 'the emulator needs cargo, and this machine has none'
    hint 'install Rust (rustup)'
    exit 3
  fi
}

# start_function: the package in the runtime image, or the image as it is; it asks the emulator for events.
start_function() {
  local host=127.0.0.1 options=(--label layerproof.role=invoke)
  if [ "$(uname -s)" = Linux ]; then
    options+=(--network=host)
  else
    host=host.docker.internal # the engine runs in a virtual machine, from where the host has this name
  fi
  options+=(-e "AWS_LAMBDA_RUNTIME_API=http://$host:$PORT/.rt" -e AWS_LAMBDA_FUNCTION_NAME=_
    -e AWS_LAMBDA_FUNCTION_VERSION=1 -e AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128 -e AWS_REGION=us-east-1
    -e AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/_ -e AWS_LAMBDA_LOG_STREAM_NAME=local)
  if [ -n "$IMAGE" ]; then
    FUNCTION="$(docker create "${options[@]}" "$IMAGE")" || exit 3
  else
    FUNCTION="$(docker create "${options[@]}" -e _HANDLER=bootstrap -e LAMBDA_TASK_ROOT=/var/task --workdir /var/task \
      --entrypoint /var/task/bootstrap "$RUNTIME_IMAGE")" || exit 3
    # Copied rather than mounted: the engine may see none of this machine's files.
    docker cp "$WORK/task" "$FUNCTION:/var" >/dev/null 2>"$WORK/copy.log" || die 3 "cannot put the package into $RUNTIME_IMAGE: $(cat "$WORK/copy.log")"
  fi
  docker start "$FUNCTION" >/dev/null 2>"$WORK/start.log" || die 1 "the function cannot be started: $(cat "$WORK/start.log")"
}

is_function_running() {
  [ "$(docker container inspect --format '{{.State.Running}}' "$FUNCTION" 2>/dev/null)" = true ]
}

is_emulator_running() {
  if [ -n "$EMULATOR_PID" ]; then
    kill -0 "$EMULATOR_PID" 2>/dev/null
  else
    [ "$(docker container inspect --format '{{.State.Running}}' "$EMULATOR" 2>/dev/null)" = true ]
  fi
}

await_emulator() {
  local waited=0
  until "$PYTHON" -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1)' "$PORT" 2>/dev/null; do
    if [ "$waited" -ge 100 ] || ! is_emulator_running; then
      error 'the emulator of the Runtime API does not start:'
      { [ -z "$EMULATOR" ] || docker logs "$EMULATOR" 2>&1; } >>"$WORK/emulator.log"
      sed 's/^/        | /' "$WORK/emulator.log" | tail -n 10 >&2
      exit 3
    fi
    sleep 0.1
    waited=$((waited + 1))
  done
}

# send_event EVENT: the answer on stdout; 1 with the reason on stderr when there is none or it is an error.
send_event() {
  "$PYTHON" - "$PORT" "$TIMEOUT" "$1" <<'END'
import sys, urllib.error, urllib.request
port, timeout, event = sys.argv[1], float(sys.argv[2]), sys.argv[3]
base = f"http://127.0.0.1:{port}"
if event.startswith("/"):
    request = urllib.request.Request(base + event)
else:
    if event.startswith("@"):
        with open(event[1:], "rb") as file:
            body = file.read()
    else:
        body = event.encode()
    request = urllib.request.Request(base + "/2015-03-31/functions/_/invocations", data=body)
    request.add_header("content-type", "application/json")
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    with opener.open(request, timeout=timeout) as answer:
        text, failed = answer.read(), "x-amz-function-error" in answer.headers
except urllib.error.HTTPError as answer:
    text, failed = answer.read(), True
    print(f"HTTP {answer.code}: the function returned an error", file=sys.stderr)
except OSError as reason:
    print(f"no answer within {timeout:g} s: {reason}", file=sys.stderr)
    sys.exit(1)
sys.stdout.buffer.write(text.rstrip(b"\n") + b"\n")
sys.exit(1 if failed else 0)
END
}

# send_events: each in turn; the wait ends early when the function has died.
send_events() {
  local event status sender failed=0
  for event in "${EVENTS[@]}"; do
    status=0
    send_event "$event" 2>"$WORK/sent.log" &
    sender=$!
    while kill -0 "$sender" 2>/dev/null; do
      if ! is_function_running; then
        sleep 0.2 # its last answer may be on its way
        kill "$sender" 2>/dev/null || :
        break
      fi
      sleep 0.1
    done
    wait "$sender" || status=$?
    [ "$status" -ne 0 ] || continue
    failed=1
    error "the event $(quote_command "$event") failed: $(cat "$WORK/sent.log")"
    if ! is_function_running; then
      error "the function has ended with exit status $(docker container inspect --format '{{.State.ExitCode}}' "$FUNCTION")"
      break
    fi
  done
  return "$failed"
}

show_log() {
  docker logs "$FUNCTION" 2>&1 | tail -n 20 | sed 's/^/        | /' >&2
}

cleanup() {
  local status=$?
  trap - EXIT
  local job container
  for job in $(jobs -p); do
    kill "$job" 2>/dev/null || :
  done
  for container in "$FUNCTION" "$EMULATOR"; do
    [ -z "$container" ] || docker rm -f "$container" >/dev/null 2>&1 || :
  done
  wait 2>/dev/null || :
  [ -z "$WORK" ] || rm -rf "$WORK"
  exit "$status"
}

main() {
  parse_arguments "$@"
  choose_package
  PYTHON="$(find_python)" || exit 3
  open_engine
  trap cleanup EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  WORK="$(mktemp -d "${TMPDIR:-/tmp}/layerproof-invoke.XXXXXX")"
  [ -n "$IMAGE" ] || unpack_package
  PORT="$(free_port)"
  start_emulator
  await_emulator
  start_function
  local status=0
  send_events || status=$?
  if [ "$status" -ne 0 ] || [ "${LAYERPROOF_VERBOSE:-0}" = 1 ]; then show_log; fi
  return "$status"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  main "$@"
fi
