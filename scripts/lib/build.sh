# shellcheck shell=bash
# shellcheck disable=SC2153,SC2154 # set by engine.sh and by build-lambda.sh
# The ways to compile a Lambda for its package. Functions only. Needs log.sh, project.sh, quote.sh, engine.sh, children.sh, state.sh.
#
# Each build_… sets the array BUILT to the paths of the binaries it made, relative to the project where they lie in it.
# Options come in as BIN, TRIPLE (empty: what the build image compiles for), IMAGE_TAG, SCRIPTS.

# compose_build TARGET CACHE_ID CONTEXT: sets the array BUILD_COMMAND, all but what becomes of the result.
compose_build() {
  local flags="${CARGO_FLAGS:-}" network="$ENGINE_NETWORK"
  if is_offline; then
    network=none
    flags="$flags${flags:+ }--offline"
  fi
  BUILD_COMMAND=("${BUILDX[@]}" build --progress=plain --file "$DOCKERFILE" --target "$1"
    --build-arg "BUILD_IMAGE=$BUILD_IMAGE" --build-arg "RUNTIME_IMAGE=$RUNTIME_IMAGE" --build-arg "CACHE_ID=$2")
  [ -z "$BIN" ] || BUILD_COMMAND+=(--build-arg "BIN=$BIN")
  [ -z "$TRIPLE" ] || BUILD_COMMAND+=(--build-arg "TARGET=$TRIPLE")
  [ -z "$flags" ] || BUILD_COMMAND+=(--build-arg "CARGO_FLAGS=$flags")
  [ -z "$network" ] || BUILD_COMMAND+=(--network "$network")
  [ -z "$CA_BUNDLE" ] || BUILD_COMMAND+=(--secret "id=ca,$(csv_field "src=$CA_BUNDLE")")
  [ -z "$CARGO_CREDENTIALS" ] || BUILD_COMMAND+=(--secret "id=cargo-credentials,$(csv_field "src=$CARGO_CREDENTIALS")")
  BUILD_COMMAND+=("$3")
}

# output_option TARGET OUT: sets OUTPUT, what becomes of the result.
output_option() {
  case "$1" in
    package) OUTPUT=(--output "type=local,dest=$2") ;;
    *) OUTPUT=(--load --tag "$IMAGE_TAG") ;;
  esac
}

# said LOG: the words of a build without the commands it repeats, which are the Dockerfile's words.
said() {
  sed -e '/^#[0-9]* \[/d' -e '/^ > \[/d' -e 's/executor failed running \[.*\]/executor failed running/' \
    -e 's/process ".*" did not complete/process did not complete/' "$1"
}

# is_damaged_cache LOG: does buildx say that the engine has lost what its cache refers to?
# A file that COPY names and the context lacks ("failed to calculate checksum … not found") is not that.
is_damaged_cache() {
  said "$1" | grep -E '^(ERROR|error): failed to (solve|build)' | grep -Ev 'failed to calculate checksum of ref|"[^"]*" not found|"[^"]*": not found' \
    | grep -Eq "failed to get edge|failed to get state for index|failed to load cache|failed to get deleted record|invalid mutable ref|blob (sha256:[0-9a-f]+ )?not found|content digest sha256:[0-9a-f]+: not found|snapshot [^ ]* ?does not exist|failed to get layer|layer does not exist|missing descriptor handlers|no active sessions? for .*blob|(stat|lstat|open|readlink|chmod|mount) [^ ]*/(overlay2|fuse-overlayfs|vfs|btrfs|zfs|snapshots|buildkit)/[^ ]*: no such file or directory|structure needs cleaning|input/output error"
}

# is_resolution_failure LOG: could cargo not find, fetch or trust a dependency?
is_resolution_failure() {
  grep -Eq "(error: |^|[[:space:]])(failed to select a version for|no matching package named|failed to get [\`'][^\`']*[\`'] as a dependency|failed to download|failed to fetch|failed to load source for dependency|failed to verify the checksum of|failed to unpack package|unable to get packages from source|[Uu]nable to update registry|failed to sync|checksum for .* changed between lock files)" < <(said "$1")
}

# is_disk_full LOG
is_disk_full() {
  grep -qi 'no space left on device' < <(said "$1")
}

# missing_target LOG: the triple that the toolchain has no standard library for; nothing if that is not the matter.
missing_target() {
  sed -n "s/.*the \`\{0,1\}\([A-Za-z0-9_.-]*\)\`\{0,1\} target may not be installed.*/\1/p" "$1" | head -n 1
}

# explain_build_failure LOG: a hint where the log shows a known reason.
explain_build_failure() {
  local triple words
  words="$(said "$1")"
  triple="$(missing_target "$1")"
  if [ -n "$triple" ]; then
    error "the toolchain cannot compile for $triple"
    hint "rustup target add $triple (in the build image, where it is one: DOCKER_IMAGE names another)"
  elif is_damaged_cache "$1"; then
    error 'the engine has lost parts of an image or of its cache'
    hint "pull or make the base images again: $BUILD_IMAGE, $RUNTIME_IMAGE"
  elif is_disk_full "$1"; then
    error 'the disk is full'
    hint "see: docker system df; what the engine's build cache holds is freed by: docker builder prune"
  elif grep -Eq 'failed to (resolve source metadata|do request|authorize)|load metadata for .*(no such host|i/o timeout|connection refused)|pull access denied' <<<"$words"; then
    error 'a base image could not be pulled'
    hint 'make setup makes images where no registry is in reach; DOCKER_IMAGE and RUNTIME_IMAGE name your own'
  elif grep -q 'could not find bridge' <<<"$words"; then
    error "the engine's network bridge is missing"
    hint 'LAYERPROOF_NETWORK=host builds without it'
  elif grep -Eq 'lock file .* needs to be updated but --(locked|frozen)' <<<"$words"; then
    error 'Cargo.lock does not fit Cargo.toml any more, and a build does not change it'
    hint 'cargo update --workspace (it changes only what the manifest asks for), then commit Cargo.lock'
  elif grep -q 'rustup could not choose a version of' <<<"$words"; then
    error 'cargo is here, but rustup has no toolchain for it'
    hint 'rustup default stable; or build in Docker: build-lambda.sh prod'
  elif grep -Eq 'no bin target named|no binary target' <<<"$words"; then
    hint "the project's binaries: see [[bin]] and src/bin in $PWD"
  fi
}

# show_progress: buildx's plain progress as one wants to read it, on stderr, and whole in LOG. Each line as it comes.
# The commands of RUN are cut, and left out is what only loads, and the summary at the end, which repeats.
show_progress() {
  local line number hidden=' ' summary=0
  while IFS= read -r line || [ -n "$line" ]; do
    printf '%s\n' "$line" >&4
    number="${line%% *}"
    case "$line" in
      '------')
        summary=$((1 - summary))
        continue
        ;;
      '' | '#0 '*) continue ;;
      '#'*' [internal] '* | '#'*' exporting to client'*) hidden="$hidden$number " ;;
      *'executor failed running ['*) line="${line%%' ['*}${line##*]}" ;;
    esac
    case "${line#"#"*" "}" in '['*) [ "${#line}" -le 100 ] || line="${line:0:99}…" ;; esac
    [ "$summary" = 0 ] || continue
    case "$line" in
      '#'*' ERROR'*) ;;
      '#'*) case "$hidden" in *" $number "*) continue ;; esac ;;
    esac
    printf '%s\n' "$line" >&2
  done 4>"$LOG"
}

# run_logged COMMAND...: its words go to LOG, and to stderr unless quiet.
run_logged() {
  if is_quiet; then
    "$@" >"$LOG" 2>&1
    return
  fi
  local status
  "$@" 2>&1 | show_progress
  status="${PIPESTATUS[0]}"
  return "$status"
}

# run_buildx TARGET OUT [FLAG...]: one build; its words are in LOG.
run_buildx() {
  local target="$1" out="$2"
  shift 2
  choose_context || return
  compose_build "$target" "$(cache_id)" "$CONTEXT"
  output_option "$target" "$out"
  log_command "${BUILD_COMMAND[@]}" "${OUTPUT[@]}" "$@"
  mark_sync_begun
  # No git subprocesses for labels that nobody asked for, no attestations that change with the clock.
  BUILDX_GIT_INFO=false BUILDX_NO_DEFAULT_ATTESTATIONS=1 run_child run_logged "${BUILD_COMMAND[@]}" "${OUTPUT[@]}" "$@" || return
  mark_synced
}

# build_target TARGET OUT: builds, and mends what can be mended: a damaged cache is built without, a dependency cache that
# does not resolve is cleared, once each.
build_target() {
  local target="$1" out="$2" status=0
  run_buildx "$target" "$out" || status=$?
  if [ "$status" -ne 0 ] && is_damaged_cache "$LOG"; then
    warn 'the build cache is damaged; building again without it'
    status=0
    run_buildx "$target" "$out" --no-cache || status=$?
  fi
  if [ "$status" -ne 0 ] && ! is_offline && is_resolution_failure "$LOG"; then
    warn 'the dependencies could not be resolved; clearing the dependency cache and trying once more'
    status=0
    renew_cache_id
    run_buildx "$target" "$out" || status=$?
    if [ "$status" -eq 0 ]; then keep_cache_id; else restore_cache_id; fi
  fi
  [ "$status" -ne 0 ] || return 0
  ! is_quiet || show_failure
  explain_build_failure "$LOG"
  return 1
}

# show_failure: what a quiet build kept back.
show_failure() {
  local whole="$LOG.whole"
  mv -f "$LOG" "$whole" && show_progress <"$whole"
}

# prepare_docker: everything that a build in the engine needs to know.
prepare_docker() {
  DOCKERFILE="$(find_dockerfile "$SCRIPTS")" || exit
  CA_BUNDLE="$(find_ca_bundle)" || exit
  CARGO_CREDENTIALS="$(find_cargo_credentials)" || exit
  open_engine
  find_buildx
  open_state
  choose_triple
  choose_default_binary
}

# choose_triple: Lambda's default is x86_64. An image for that very architecture needs no --target to compile for it.
choose_triple() {
  [ -z "$ENGINE_ARCHITECTURE" ] && ENGINE_ARCHITECTURE="$(uname -m)"
  case "$ENGINE_ARCHITECTURE/$TRIPLE" in
    arm64/ | aarch64/) TRIPLE='x86_64-unknown-linux-gnu' ;;
    arm64/aarch64-unknown-linux-gnu | aarch64/aarch64-unknown-linux-gnu | x86_64/x86_64-unknown-linux-gnu) TRIPLE='' ;;
  esac
}

# choose_default_binary: of several, the one that the manifest runs by default.
choose_default_binary() {
  [ -n "$BIN" ] || BIN="$(default_binary)"
}

# build_docker: compiles in the engine; the binaries come to target/release. After prepare_docker.
build_docker() {
  local out="target/.layerproof/out.$$" file name
  info "building in Docker with $BUILD_IMAGE"
  mkdir -p "$out" || return
  build_target package "$out" || return
  # A Dockerfile of another design may export its one binary under Lambda's name alone.
  if [ ! -d "$out/bin" ] && [ -f "$out/bootstrap" ]; then
    name="${BIN:-$(manifest_binaries . | head -n 1)}" || return
    mkdir "$out/bin" && mv "$out/bootstrap" "$out/bin/${name:-bootstrap}" || return
  fi
  BUILT=()
  mkdir -p target/release || return
  for file in "$out"/bin/*; do
    [ -f "$file" ] || continue
    put_file "$file" "target/release/${file##*/}" || return
    BUILT+=("target/release/${file##*/}")
  done
  rm -rf "$out"
  [ ${#BUILT[@]} -gt 0 ] || {
    error 'the build made no binary'
    return 1
  }
  [ -z "$IMAGE_TAG" ] || {
    build_target runtime '' || return
    success "image loaded: $IMAGE_TAG"
  }
}

# put_file FROM TO: moves it into place; the same bytes leave TO and its date alone.
put_file() {
  if [ -f "$2" ] && [ -x "$2" ] && cmp -s "$1" "$2"; then return 0; fi
  chmod 0755 "$1" && mv -f "$1" "$2"
}
