#!/usr/bin/env bash
# Builds the deployment package of the Rust Lambda in the current directory; `--help` is the manual.
# Exit codes: 0 done, 1 the build or the usage is wrong, 3 the environment lacks something, 130 interrupted.
# shellcheck disable=SC2034 # set here for the functions of lib/
set -Eeuo pipefail

print_help() {
  cat <<'HELP'
Builds the deployment package of a Rust Lambda: lambda-package/bootstrap and lambda-deployment.zip.
Run it in the root of the cargo project.

USAGE
    build-lambda.sh [OPTIONS] [METHOD]

BUILD METHODS
    docker       Release build in Docker through Dockerfile.optimized, then package (the default)
    local        Release build with the host's cargo for TARGET_ARCH, then package
    native       Release build with the host's cargo for the host, then package; for testing only
    codebuild    Write buildspec.yml and codebuild-project-template.json; builds nothing
    dev          Fast build in the persistent dev container, then package
    prod         Production build in Docker: the small package, then package

OPTIONS
    -h, --help           Show this help
    -v, --verbose        Show a trace of what is done
    -q, --quiet          Show warnings and errors only
    -c, --clean          Remove target/, lambda-package/ and the zip before building
    --validate           Check the environment and stop: 0 if fit, 1 if not
    --package-only       Package what is built; compile nothing
    --bin NAME           The binary to package, where the project has several
    --arch ARCH          x86_64 or arm64; goes before TARGET_ARCH
    --image TAG          With docker and prod: also load the runtime image under this tag
    --dockerfile FILE    With docker, prod and dev: the Dockerfile to use
    --dry-run            Print the commands instead of running them

EXAMPLES
    build-lambda.sh                      # build in Docker and package
    build-lambda.sh prod --arch arm64    # a package for Graviton
    build-lambda.sh dev                  # the edit-build-try loop
    build-lambda.sh --clean docker       # from a clean tree
    build-lambda.sh --package-only       # package what was built last
    CARGO_FLAGS='--features aws' build-lambda.sh prod

ENVIRONMENT VARIABLES
    DOCKER_IMAGE           The image to build in (default rust:1.85-slim-bookworm)
    RUNTIME_IMAGE          The image to run in (default amazon/aws-lambda-provided:al2023)
    TARGET_ARCH            The Rust target (default x86_64-unknown-linux-gnu)
    CARGO_FLAGS            Extra flags for cargo
    LAYERPROOF_DOCKERFILE  As --dockerfile
    LAYERPROOF_NETWORK     The network of builds and containers (default: the engine's, or host where that is broken)
    LAYERPROOF_CA_BUNDLE   Extra CA certificates for downloads (default: this machine's; empty: none)
    LAYERPROOF_OFFLINE     1: nothing is downloaded
    NO_COLOR               Any value: no colours
HELP
}

# The directory of this file, physical; a path may end in a newline, which $(…) would lose.
find_scripts() {
  local source="${BASH_SOURCE[0]}" directory
  case "$source" in */*) directory="${source%/*}" ;; *) directory=. ;; esac
  SCRIPTS="$(CDPATH='' cd -P -- "$directory" && printf '%s/' "$PWD")"
  SCRIPTS="${SCRIPTS%/}"
}

find_scripts
for library in log project quote engine children state package built build host_cargo codebuild plan; do
  # shellcheck source=/dev/null
  . "$SCRIPTS/lib/$library.sh"
done
unset library

usage_error() {
  error "$@"
  print_help
  exit 1
}

# parse_arguments ARG...: sets METHOD and the options; exits on --help and on what it does not know.
parse_arguments() {
  METHOD='' ACTION=build CLEAN=0 DRY_RUN=0 BIN='' IMAGE_TAG='' TRIPLE="${TARGET_ARCH:-}"
  while [ $# -gt 0 ]; do
    case "$1" in
      -h | --help)
        print_help
        exit 0
        ;;
      -v | --verbose) LAYERPROOF_VERBOSE=1 ;;
      -q | --quiet) LAYERPROOF_QUIET=1 ;;
      -c | --clean) CLEAN=1 ;;
      --validate) ACTION=validate ;;
      --package-only) [ "$ACTION" = validate ] || ACTION=package ;;
      --dry-run) DRY_RUN=1 ;;
      --bin=* | --arch=* | --image=* | --dockerfile=*)
        take_option "${1%%=*}" "${1#*=}"
        ;;
      --bin | --arch | --image | --dockerfile)
        [ $# -ge 2 ] || usage_error "$1 needs a value"
        take_option "$1" "$2"
        shift
        ;;
      docker | local | native | codebuild | dev | prod) METHOD="$1" ;;
      -*) usage_error "Unknown option: $1" ;;
      *) usage_error "Unknown build method: $1" ;;
    esac
    shift
  done
}

take_option() { # NAME VALUE
  [ -n "$2" ] || usage_error "$1 needs a value"
  case "$1" in
    --bin) BIN="$2" ;;
    --image) IMAGE_TAG="$2" ;;
    --dockerfile) LAYERPROOF_DOCKERFILE="$2" ;;
    --arch)
      case "$2" in
        x86_64) TRIPLE=x86_64-unknown-linux-gnu ;;
        arm64) TRIPLE=aarch64-unknown-linux-gnu ;;
        *) usage_error "Unknown architecture: $2 (x86_64 or arm64)" ;;
      esac
      ;;
  esac
}

# wanted_architecture: what was asked for in so many words; nothing where nobody asked.
wanted_architecture() {
  case "$REQUESTED_TRIPLE" in
    x86_64-*) printf 'x86_64\n' ;;
    aarch64-*) printf 'arm64\n' ;;
  esac
}

# need_writable_outputs: before the compiler works for nothing. A target/ of another owner is what containers of old left.
need_writable_outputs() {
  local path
  if [ ! -w . ]; then
    error "the project directory cannot be written: $PWD"
    hint 'the package is made in it; build in a copy, or mount it writable'
    exit 1
  fi
  for path in target target/release target/.layerproof "$PACKAGE_DIRECTORY" "$PACKAGE_DIRECTORY"/*/; do
    path="${path%/}"
    if [ -e "$path" ] && { [ ! -d "$path" ] || [ ! -w "$path" ] || [ ! -x "$path" ]; }; then
      error "$path cannot be written: $(ls -ld -- "$path")"
      hint "if a container left it behind: sudo chown -R $(id -u):$(id -g) $path"
      exit 1
    fi
  done
}

# validate_environment: fit for the method?
validate_environment() (
  need_cargo_project
  case "$METHOD" in
    local | native)
      need_host_cargo
      [ "$METHOD" = native ] || check_rust_target "${TRIPLE:-x86_64-unknown-linux-gnu}"
      ;;
    codebuild) ;;
    *)
      find_dockerfile "$SCRIPTS" >/dev/null
      connect_engine
      find_buildx
      ;;
  esac
)

check_rust_target() {
  has_command rustup && return 0 # the build installs it
  ensure_rust_target "$1"
}

validate() {
  local status=0
  info "checking the environment for: $METHOD"
  set +e
  validate_environment
  status=$?
  set -e
  [ "$status" -eq 0 ] || die 1 'the environment is not fit to build'
  success 'the environment is fit to build'
}

# compose_dev_arguments: sets the array DEV_COMMAND. The container compiles for its own architecture unless told.
compose_dev_arguments() {
  choose_default_binary
  DEV_COMMAND=("$SCRIPTS/dev-container.sh" build)
  [ -z "$BIN" ] || DEV_COMMAND+=(--bin "$BIN")
  case "$(uname -m)/$TRIPLE" in
    */ | x86_64/x86_64-unknown-linux-gnu | arm64/aarch64-unknown-linux-gnu | aarch64/aarch64-unknown-linux-gnu) ;;
    *) DEV_COMMAND+=(--target "$TRIPLE") ;;
  esac
}

# build_in_dev_container: falls back to a production build where the container cannot be had.
build_in_dev_container() {
  local status=0
  compose_dev_arguments
  log_command "${DEV_COMMAND[@]}"
  export LAYERPROOF_QUIET LAYERPROOF_VERBOSE LAYERPROOF_DOCKERFILE
  run_child run_to_file "$WORK/built" "${DEV_COMMAND[@]}" || status=$?
  case "$status" in
    0) ;;
    3)
      warn 'the dev container cannot be started (see above); building for production instead'
      prepare_docker
      build_docker
      return
      ;;
    *) return 1 ;;
  esac
  read_last_build
  [ ${#BUILT[@]} -gt 0 ] && return 0
  error 'the dev build made no binary'
  return 1
}

run_to_file() { # FILE COMMAND...
  local file="$1"
  shift
  "$@" >"$file"
}

# compile: sets BUILT and BUILT_PROFILE, or fails.
compile() {
  BUILT_PROFILE=release
  # What the environment lacks is found before anything is touched.
  case "$METHOD" in
    docker | prod) prepare_docker ;;
    local | native) need_host_cargo ;;
  esac
  note_build_begun || return
  case "$METHOD" in
    docker | prod) build_docker || return ;;
    dev) build_in_dev_container || return ;;
    local) build_with_cargo "${TRIPLE:-x86_64-unknown-linux-gnu}" || return ;;
    native)
      warn 'native builds are for testing only: Lambda may lack the libraries of this machine'
      build_with_cargo || return
      ;;
  esac
  note_built "$BUILT_PROFILE" "${BUILT[@]}"
}

# package: a small zip for what ships, the fastest for what is only tried. (Level 9 takes three times as long as 6, and
# saves half a percent of a Rust binary.)
package() {
  local level=6
  case "$BUILT_PROFILE" in release) ;; *) level=1 ;; esac
  package_binaries "$level" "$(wanted_architecture)" "${BUILT[@]}" && return 0
  error 'the package could not be made; the previous one is as it was'
  return 1
}

build_and_package() {
  if [ "$ACTION" = package ]; then
    find_built || exit 1
  elif ! compile; then
    error 'build failed; nothing was packaged, and a previous package is as it was'
    exit 1
  fi
  package || exit 1
}

cleanup() {
  local status=$?
  trap '' INT TERM HUP
  stop_child
  remove_staging
  restore_lock_file || warn 'Cargo.lock was rewritten by cargo, and cannot be put back'
  rm -rf -- "$WORK" ".Cargo.lock.$$"
  close_state
  return "$status"
}

main() {
  parse_arguments "$@"
  REQUESTED_TRIPLE="$TRIPLE"
  [ "${LAYERPROOF_VERBOSE:-0}" != 1 ] || set -x
  if [ -z "$METHOD" ]; then
    METHOD=docker
    [ "$ACTION" = package ] || info 'No build method specified, defaulting to docker'
  fi
  if [ "$ACTION" = validate ]; then
    validate
    return
  fi
  need_cargo_project
  if [ "$DRY_RUN" = 1 ]; then
    show_plan
    return
  fi
  need_writable_outputs
  WORK=''
  trap cleanup EXIT
  trap on_signal INT TERM HUP
  WORK="$(mktemp -d "${TMPDIR:-/tmp}/layerproof-build.XXXXXX")" || die 1 'no temporary directory can be made'
  LOG="$WORK/log"
  [ "$CLEAN" = 0 ] || clean_outputs || die 1 'the old outputs could not be removed'
  if [ "$METHOD" = codebuild ] && [ "$ACTION" = build ]; then
    write_codebuild "${TRIPLE:-x86_64-unknown-linux-gnu}" "${CARGO_FLAGS:-}" || die 1 'the files could not be written'
    return
  fi
  build_and_package
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  main "$@"
fi
