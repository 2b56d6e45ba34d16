# shellcheck shell=bash
# Release builds with the host's own cargo: the methods local and native. Functions only.
# Needs log.sh, project.sh, children.sh, built.sh, build.sh. Options come in as BIN and CARGO_FLAGS; the result is the array BUILT.

# compose_cargo [TRIPLE]: sets the array CARGO_COMMAND.
compose_cargo() {
  local flags=()
  # The user's flags are words, not patterns.
  IFS=$' \t\n' read -r -d '' -a flags <<<"${CARGO_FLAGS:-}" || :
  CARGO_COMMAND=(cargo build --release)
  [ -z "${1:-}" ] || CARGO_COMMAND+=(--target "$1")
  [ ${#flags[@]} -eq 0 ] || CARGO_COMMAND+=("${flags[@]}")
  [ -z "$BIN" ] || CARGO_COMMAND+=(--bin "$BIN")
  ! is_offline || CARGO_COMMAND+=(--offline)
  # Names the binaries that this very build made; the compiler's messages stay readable.
  case " ${CARGO_FLAGS:-}" in
    *' --message-format'*) ;;
    *) CARGO_COMMAND+=(--message-format=json-render-diagnostics) ;;
  esac
}

# ensure_rust_target TRIPLE: installs the target where rustup is, else names what is missing.
ensure_rust_target() {
  local installed libraries
  if has_command rustup; then
    installed="$(rustup target list --installed)" || return
    case $'\n'"$installed"$'\n' in *$'\n'"$1"$'\n'*) return 0 ;; esac
    info "installing the Rust target $1"
    log_command rustup target add "$1"
    run_child rustup target add "$1" && return 0
  else
    libraries="$(rustc --print target-libdir --target "$1" 2>/dev/null)" || libraries=''
    [ -n "$libraries" ] && [ -d "$libraries" ] && return 0
  fi
  error "the Rust target $1 is not installed"
  hint "rustup target add $1"
  return 1
}

# need_host_cargo: exit 3 without one.
need_host_cargo() {
  need_cmd cargo 'by the methods local and native' 'install Rust (https://rustup.rs), or use: build-lambda.sh prod'
}

# cargo_executables MESSAGES [TRIPLE]: the binaries that cargo's JSON messages name, one a line. Where a flag of the user's
# made cargo write no such messages: those that lie where it puts them.
cargo_executables() {
  local name
  if ! grep -q '"reason":' "$1"; then
    while IFS= read -r name; do
      name="target/${2:+$2/}release/$name"
      [ ! -f "$name" ] || printf '%s\n' "$name"
    done < <(if [ -n "$BIN" ]; then printf '%s\n' "$BIN"; else project_binaries | sort -u; fi)
    return 0
  fi
  awk '
    /"reason":"compiler-artifact"/ && /"kind":\["bin"\]/ && match($0, /"executable":"([^"\\]|\\.)*"/) {
      path = substr($0, RSTART + 14, RLENGTH - 15)
      out = ""
      while (match(path, /\\./)) {
        out = out substr(path, 1, RSTART - 1) substr(path, RSTART + 1, 1)
        path = substr(path, RSTART + 2)
      }
      print out path
    }' "$1"
}

# guard_lock_file, restore_lock_file: a build never rewrites Cargo.lock; cargo would, where the manifest asks for more.
# The copy is whole or not there, and is used once: EXIT's trap restores too, for a build that is interrupted.
guard_lock_file() {
  [ ! -f Cargo.lock ] || { cp -p Cargo.lock "$WORK/lock.part" && mv "$WORK/lock.part" "$WORK/Cargo.lock"; }
}

restore_lock_file() {
  [ -n "$WORK" ] && [ -f "$WORK/Cargo.lock" ] || return 0
  if ! cmp -s "$WORK/Cargo.lock" Cargo.lock; then
    cp -p "$WORK/Cargo.lock" ".Cargo.lock.$$" && mv -f ".Cargo.lock.$$" Cargo.lock || return
    warn 'Cargo.lock does not fit Cargo.toml; this build resolved what was missing, and left the lock file alone'
    hint 'cargo update --workspace brings it up to date'
  fi
  rm -f "$WORK/Cargo.lock"
}

# private_cargo_home: a CARGO_HOME with the user's configuration and credentials, and nothing downloaded yet.
private_cargo_home() {
  local directory file home="${CARGO_HOME:-${HOME:-}/.cargo}"
  directory="$(layerproof_home)/cargo/$(project_id)-$(date +%s)" || return
  mkdir -p "$directory" || return
  for file in config.toml config credentials.toml credentials; do
    [ ! -e "$home/$file" ] || ln -s "$home/$file" "$directory/$file" || return
  done
  printf '%s\n' "$directory"
}

run_cargo_to() { # MESSAGES
  local messages="$1"
  run_logged_words "${CARGO_COMMAND[@]}" >"$messages"
}

# run_logged_words COMMAND...: standard error goes to ours and to LOG, only to LOG when quiet; standard output stays.
run_logged_words() {
  if is_quiet; then
    "$@" 2>"$LOG"
    return
  fi
  local status
  {
    "$@" 2>&1 >&3 3>&- | tee "$LOG" >&2 3>&-
    status="${PIPESTATUS[0]}"
  } 3>&1
  return "$status"
}

# build_with_cargo [TRIPLE]: one retry with an empty dependency cache, where dependencies could not be resolved. The
# user's own cache serves other projects too: it is left alone, and another one taken.
build_with_cargo() {
  local messages="$WORK/messages" status=0 home
  need_host_cargo
  [ -z "${1:-}" ] || ensure_rust_target "$1" || return
  compose_cargo "${1:-}"
  info "$(quote_command "${CARGO_COMMAND[@]}")"
  guard_lock_file || return
  run_child run_cargo_to "$messages" || status=$?
  if [ "$status" -ne 0 ] && ! is_offline && is_resolution_failure "$LOG"; then
    warn 'the dependencies could not be resolved; trying once more with an empty dependency cache'
    status=0
    home="$(private_cargo_home)" || return
    CARGO_HOME="$home" run_child run_cargo_to "$messages" || status=$?
    rm -rf -- "$home"
  fi
  restore_lock_file || return
  if [ "$status" -ne 0 ]; then
    ! is_quiet || tail -n 60 "$LOG" >&2
    explain_build_failure "$LOG"
    return 1
  fi
  collect_executables "$messages" "${1:-}"
}

# collect_executables MESSAGES [TRIPLE]: sets BUILT; of several, the manifest's default where it has one.
collect_executables() {
  local path default=''
  BUILT=()
  [ -n "$BIN" ] || default="$(default_binary)"
  while IFS= read -r path; do
    [ -z "$default" ] || [ "${path##*/}" = "$default" ] || continue
    BUILT+=("${path#"$PWD"/}")
  done < <(cargo_executables "$@")
  [ ${#BUILT[@]} -gt 0 ] && return 0
  error 'the project has no binary target'
  hint 'a Lambda needs a src/main.rs, or a [[bin]] in Cargo.toml'
  return 1
}
