# shellcheck shell=bash
# shellcheck disable=SC2034 # BUILT and BUILT_PROFILE are for the scripts that source this
# What was built last, so that packaging takes exactly that. Functions only. Needs log.sh and project.sh.
#
# target/.layerproof/last-build holds "profile=", "bin=" and "path=" lines for each binary of the last successful build;
# target/.layerproof/failed stands while a build runs, and stays when it fails.

LAST_BUILD='target/.layerproof/last-build'
FAILED_BUILD='target/.layerproof/failed'

# note_build_begun: a failure from here on is remembered.
note_build_begun() {
  mkdir -p "${FAILED_BUILD%/*}" && : >"$FAILED_BUILD"
}

# note_built PROFILE PATH...
note_built() {
  local profile="$1" path
  shift
  for path in "$@"; do
    printf 'profile=%s\nbin=%s\npath=%s\n' "$profile" "${path##*/}" "$path"
  done >"$LAST_BUILD.$$" && mv -f "$LAST_BUILD.$$" "$LAST_BUILD" && rm -f "$FAILED_BUILD"
}

# project_binaries: the names of the binaries of the package and, in a workspace, of its members.
project_binaries() {
  local manifest
  manifest_binaries .
  grep -Eq '^[[:space:]]*\[workspace' Cargo.toml || return 0
  find . -mindepth 2 \( -name target -o -name vendor -o -name '.*' -type d \) -prune -o -name Cargo.toml -print \
    | while IFS= read -r manifest; do
      manifest_binaries "${manifest%/Cargo.toml}"
    done
}

# newest_binary NAME: of its places, the one written last; nothing if there is none.
newest_binary() {
  local path newest=''
  for path in "target/release/$1" target/*/release/"$1"; do
    [ -f "$path" ] || continue
    if [ -z "$newest" ] || [ "$path" -nt "$newest" ]; then newest="$path"; fi
  done
  [ -z "$newest" ] || printf '%s\n' "$newest"
}

# read_last_build: sets BUILT and BUILT_PROFILE to what is recorded and still there, BIN alone where it is named.
read_last_build() {
  local key value profile='' bin=''
  BUILT=()
  BUILT_PROFILE=''
  [ -f "$LAST_BUILD" ] || return 0
  while IFS='=' read -r key value; do
    case "$key" in
      profile) profile="$value" ;;
      bin) bin="$value" ;;
      path)
        [ -f "$value" ] || continue
        [ -z "$BIN" ] || [ "$bin" = "$BIN" ] || continue
        BUILT+=("$value")
        BUILT_PROFILE="$profile"
        ;;
    esac
  done <"$LAST_BUILD"
}

# find_built: sets BUILT to the newest build's binaries: the recorded ones, unless cargo was called by hand since.
find_built() {
  local name path found=()
  [ ! -f "$FAILED_BUILD" ] || warn 'the last build failed or was interrupted: this packages the one before it'
  read_last_build
  while IFS= read -r name; do
    path="$(newest_binary "$name")"
    [ -n "$path" ] || continue
    [ ${#BUILT[@]} -eq 0 ] || [ "$path" -nt "$LAST_BUILD" ] || continue
    found+=("$path")
  done < <(if [ -n "$BIN" ]; then printf '%s\n' "$BIN"; else wanted_binaries; fi)
  if [ ${#found[@]} -gt 0 ]; then
    BUILT=("${found[@]}")
    BUILT_PROFILE=release
  fi
  [ ${#BUILT[@]} -gt 0 ] && return 0
  error "nothing is built yet${BIN:+ of the binary $BIN}: there is no release binary in target/"
  hint 'build first: build-lambda.sh prod'
  return 1
}

# wanted_binaries: the manifest's default where it has one, else all.
wanted_binaries() {
  local default
  default="$(default_binary)"
  if [ -n "$default" ]; then printf '%s\n' "$default"; else project_binaries | sort -u; fi
}
