# shellcheck shell=sh
# Runs cargo on the mounted source and hands its binaries over. Functions only, for any POSIX sh; see guest.sh.

# cargo_enter_project: goes to the directory to build in. A project without a lock file is built in a directory of links
# to it, so that the lock file which cargo writes is ours and never comes into the source.
cargo_enter_project() {
  cargo_lock_option=--locked
  if [ -f "$GUEST_SOURCE/Cargo.lock" ]; then
    cd "$GUEST_SOURCE" || return "$GUEST_NO_SOURCE"
  else
    guest_say WARNING 'there is no Cargo.lock: versions are chosen for this container alone. Commit one: cargo generate-lockfile'
    cargo_enter_links
  fi
}

# cargo_enter_links: the directory of links. Its lock file begins as the project's, and stays until that one changes.
cargo_enter_links() {
  cargo_lock_option=''
  cargo_links="$GUEST_BUILD/state/links"
  mkdir -p "$cargo_links" && cd "$cargo_links" || return "$GUEST_INCOMPLETE"
  find . -mindepth 1 -maxdepth 1 -type l -exec rm -f {} +
  find "$GUEST_SOURCE" -mindepth 1 -maxdepth 1 ! -name target ! -name Cargo.lock -exec ln -s {} . \; || return
  if [ ! -f "$GUEST_SOURCE/Cargo.lock" ]; then
    rm -f ../lock-of-source
  elif ! cmp -s "$GUEST_SOURCE/Cargo.lock" ../lock-of-source; then
    cp "$GUEST_SOURCE/Cargo.lock" ../lock-of-source && cp ../lock-of-source Cargo.lock || return "$GUEST_INCOMPLETE"
  fi
}

# cargo_compile ARGUMENTS...: cargo's messages go to the file cargo_messages, its words to stderr and to cargo_words.
cargo_compile() {
  [ -z "$guest_hung_up" ] || return "$GUEST_INTERRUPTED"
  rm -f "$cargo_words.pipe"
  mkfifo "$cargo_words.pipe" || return "$GUEST_INCOMPLETE"
  tee "$cargo_words" <"$cargo_words.pipe" >&2 9>&- 3<&- &
  cargo_tee=$!
  # shellcheck disable=SC2086 # an option or none
  LAYERPROOF_BUILD_MARK="$$." cargo build $cargo_lock_option --message-format=json-render-diagnostics "$@" \
    >"$cargo_messages" 2>"$cargo_words.pipe" 9>&- 3<&- &
  guest_await $!
  cargo_status=$?
  wait "$cargo_tee"
  return "$cargo_status"
}

# cargo_find_linker ARGUMENTS...: where the linker of another architecture has the name that Debian gives it, and nothing else
# is set, cargo is told.
cargo_find_linker() {
  cargo_target='' cargo_previous=''
  for cargo_word in "$@"; do
    case "$cargo_previous$cargo_word" in --target=*) cargo_target="${cargo_word#--target=}" ;; esac
    cargo_previous=''
    [ "$cargo_word" != --target ] || cargo_previous=--target=
  done
  case "$cargo_target" in
    '' | *[!A-Za-z0-9_-]* | *-musl* | "$(uname -m)"-*) return 0 ;;
  esac
  cargo_linker="${cargo_target%%-*}-linux-gnu-gcc"
  cargo_setting="CARGO_TARGET_$(printf %s "$cargo_target" | tr a-z- A-Z_)_LINKER"
  if ! command -v "$cargo_linker" >/dev/null || printenv "$cargo_setting" >/dev/null; then return 0; fi
  if grep -qs linker .cargo/config.toml .cargo/config; then return 0; fi
  export "$cargo_setting=$cargo_linker"
}

# cargo_diagnose WORDS: what kind of failure it was: lock | registry | damage | code
cargo_diagnose() {
  if grep -Eq 'lock file .* (needs to be updated but|because) --locked was passed' "$1"; then
    printf 'lock\n'
  elif grep -Eiq 'failed to (download|unpack package|fetch)|unable to update registry|failed to load source for|failed to query replaced source|checksum for .* (changed|could not be calculated)|failed to parse .*\.cargo-ok' "$1"; then
    printf 'registry\n'
  elif grep -Eq 'found invalid metadata files|E0786|failed to (mmap|load) .*\.rmeta|file format not recognized|file in wrong format|malformed archive|failed to read .*\.fingerprint|internal error: entered unreachable code.*metadata|No such file or directory.*/layerproof/build/target' "$1"; then
    printf 'damage\n'
  else
    printf 'code\n'
  fi
}

# cargo_compile_or_repair ARGUMENTS...: compiles; once more where the reason was what we keep, not the code.
cargo_compile_or_repair() {
  cargo_compile "$@" && return 0
  cargo_status=$?
  [ "$cargo_status" -ne "$GUEST_INTERRUPTED" ] || return "$GUEST_INTERRUPTED"
  case "${cargo_strict:+strict-}$(cargo_diagnose "$cargo_words")" in
    lock) # not where the caller insists on it
      guest_say WARNING 'Cargo.lock does not fit the manifests; building with a copy brought up to date. Do the same to yours: cargo update --workspace'
      cargo_enter_links || return
      ;;
    *registry)
      guest_say WARNING 'dependencies could not be resolved; clearing what is kept of the registry, and trying once more'
      rm -rf "$CARGO_HOME/registry" "$CARGO_HOME/git"
      ;;
    *damage)
      guest_say WARNING 'what was compiled earlier is damaged; compiling all of it anew'
      rm -rf "$CARGO_TARGET_DIR"
      ;;
    *) return "$GUEST_FAILED" ;;
  esac
  cargo_compile "$@" && return 0
  cargo_status=$?
  [ "$cargo_status" -ne "$GUEST_INTERRUPTED" ] || return "$GUEST_INTERRUPTED"
  return "$GUEST_FAILED"
}

# cargo_copy FROM TO: whole or not at all; nothing where the same copy already stands.
cargo_copy() {
  [ -f "$2" ] && [ ! -L "$2" ] && [ ! "$1" -nt "$2" ] && [ ! "$1" -ot "$2" ] && cmp -s "$1" "$2" && return 0
  guest_temporary="$GUEST_SOURCE/target/.layerproof/${2##*/}.$$"
  mkdir -p "${2%/*}" && cp -p "$1" "$guest_temporary" && mv -f "$guest_temporary" "$2"
}

# cargo_deliver: copies each binary that cargo names to the same place under the project's target/, records them in
# target/.layerproof/last-build as built.sh reads it, and prints their paths.
cargo_deliver() {
  sed -n 's/^{"reason":"compiler-artifact".*"kind":\["bin"\].*"executable":"\([^"]*\)".*/\1/p' \
    "$cargo_messages" >"$cargo_messages.binaries"
  [ -s "$cargo_messages.binaries" ] || return "$GUEST_NO_BINARY"
  while IFS= read -r cargo_binary; do
    cargo_path="target/${cargo_binary#"$CARGO_TARGET_DIR"/}"
    cargo_directory="${cargo_path%/*}"
    cargo_copy "$cargo_binary" "$GUEST_SOURCE/$cargo_path" || return "$GUEST_NOT_WRITABLE"
    printf 'profile=%s\nbin=%s\npath=%s\n' "${cargo_directory##*/}" "${cargo_path##*/}" "$cargo_path"
  done <"$cargo_messages.binaries" >"$cargo_messages.delivered" || return
  guest_temporary="$GUEST_SOURCE/target/.layerproof/last-build.$$"
  cp "$cargo_messages.delivered" "$guest_temporary" \
    && mv -f "$guest_temporary" "$GUEST_SOURCE/target/.layerproof/last-build" || return "$GUEST_NOT_WRITABLE"
  rm -f "$GUEST_SOURCE/target/.layerproof/failed"
  sed -n 's/^path=//p' "$cargo_messages.delivered"
}

# cargo_run_build ARGUMENTS...: the whole build, under the lock.
cargo_run_build() {
  cargo_messages="$GUEST_BUILD/state/messages"
  cargo_words="$GUEST_BUILD/state/words"
  [ -f "$GUEST_SOURCE/Cargo.toml" ] || return "$GUEST_NO_SOURCE"
  command -v flock >/dev/null && command -v cargo >/dev/null || return "$GUEST_INCOMPLETE"
  guest_is_prepared || return "$GUEST_UNPREPARED"
  # Before the compiler is asked to work for nothing.
  mkdir -p "$GUEST_SOURCE/target/.layerproof" && [ -w "$GUEST_SOURCE/target/.layerproof" ] || return "$GUEST_NOT_WRITABLE"
  guest_lock || return
  # shellcheck disable=SC2034 # guest.sh reads it
  guest_locked=1
  guest_end_processes "$BUILD_MARK" || return "$GUEST_INCOMPLETE"
  fresh_refresh "$GUEST_BUILD/state" || return "$GUEST_INCOMPLETE"
  : >"$GUEST_SOURCE/target/.layerproof/failed" || return "$GUEST_NOT_WRITABLE"
  cargo_enter_project || return
  case " $* " in *' --locked '* | *' --frozen '*) cargo_lock_option='' cargo_strict=1 ;; *) cargo_strict='' ;; esac
  cargo_find_linker "$@"
  cargo_compile_or_repair "$@" || return
  cargo_deliver
}
