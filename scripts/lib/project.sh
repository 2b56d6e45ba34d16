# shellcheck shell=bash
# What is known of the cargo project in the current directory, read without cargo. Functions only.
# Needs log.sh.

# enter_physical_project: makes PWD the physical path, so that every way into a checkout is the same project.
# (PWD keeps a newline at the end of a path; "$(pwd -P)" would lose it.)
enter_physical_project() {
  CDPATH='' cd -P . 2>/dev/null || die 1 "the source directory is gone or cannot be entered: ${PWD:-?}"
}

# need_cargo_project: refuses anything but a readable cargo project with a manifest that can be one.
need_cargo_project() {
  enter_physical_project
  [ -r . ] && [ -x . ] || die 1 "the source directory cannot be read: $PWD"
  if [ ! -e Cargo.toml ]; then
    error "not a cargo project: there is no Cargo.toml in $PWD"
    hint 'run this in the root of your cargo project'
    exit 1
  fi
  [ -f Cargo.toml ] && [ -r Cargo.toml ] || die 1 "Cargo.toml cannot be read in $PWD"
  grep -Eq '^[[:space:]]*\[?[[:space:]]*"?(package|workspace)"?[[:space:]]*[].=]' Cargo.toml && return 0
  error "Cargo.toml in $PWD has neither a [package] nor a [workspace]"
  exit 1
}

# hash_text TEXT: the first 16 digits of its SHA-256.
hash_text() {
  local digest
  if has_command sha256sum; then
    digest="$(printf '%s' "$1" | sha256sum)" || return
  elif has_command shasum; then
    digest="$(printf '%s' "$1" | shasum -a 256)" || return
  else
    digest="$(printf '%s' "$1" | openssl dgst -sha256 -r)" || return
  fi
  printf '%s\n' "${digest:0:16}"
}

# project_id: names this directory's caches and containers; two checkouts never share one.
project_id() {
  hash_text "$PWD"
}

layerproof_home() {
  printf '%s\n' "${LAYERPROOF_HOME:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/layerproof}"
}

# find_ca_bundle: the certificates this machine trusts; nothing where LAYERPROOF_CA_BUNDLE is set but empty.
find_ca_bundle() {
  local file
  if [ -n "${LAYERPROOF_CA_BUNDLE+set}" ]; then
    [ -n "$LAYERPROOF_CA_BUNDLE" ] || return 0
    [ -r "$LAYERPROOF_CA_BUNDLE" ] || die 1 "LAYERPROOF_CA_BUNDLE cannot be read: $LAYERPROOF_CA_BUNDLE"
    printf '%s\n' "$LAYERPROOF_CA_BUNDLE"
    return 0
  fi
  for file in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt \
    /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do
    [ -n "$file" ] && [ -r "$file" ] || continue
    printf '%s\n' "$file"
    return 0
  done
}

# find_cargo_credentials: the file for private registries, if there is one; nothing where LAYERPROOF_CARGO_CREDENTIALS is
# set but empty.
find_cargo_credentials() {
  local file home="${CARGO_HOME:-${HOME:-}/.cargo}"
  if [ -n "${LAYERPROOF_CARGO_CREDENTIALS:-}" ]; then
    [ -r "$LAYERPROOF_CARGO_CREDENTIALS" ] || die 1 "LAYERPROOF_CARGO_CREDENTIALS cannot be read: $LAYERPROOF_CARGO_CREDENTIALS"
    printf '%s\n' "$LAYERPROOF_CARGO_CREDENTIALS"
  elif [ -z "${LAYERPROOF_CARGO_CREDENTIALS+set}" ]; then
    for file in "$home/credentials.toml" "$home/credentials"; do
      [ -r "$file" ] || continue
      printf '%s\n' "$file"
      return 0
    done
  fi
}

# find_dockerfile DIRECTORY-OF-SCRIPTS: the option's or environment's, else the project's own, else ours.
find_dockerfile() {
  local file
  if [ -n "${LAYERPROOF_DOCKERFILE:-}" ]; then
    [ -f "$LAYERPROOF_DOCKERFILE" ] || die 1 "no such Dockerfile: $LAYERPROOF_DOCKERFILE"
    printf '%s\n' "$LAYERPROOF_DOCKERFILE"
    return 0
  fi
  for file in Dockerfile.optimized "$1/../Dockerfile.optimized" "$1/Dockerfile.optimized"; do
    [ -f "$file" ] || continue
    printf '%s\n' "$file"
    return 0
  done
  die 1 "no Dockerfile.optimized in $PWD or beside $1"
}

# manifest_value FILE SECTION KEY: a string of the manifest; nothing if it is not there.
manifest_value() {
  awk -v section="$2" -v key="$3" '
    /^[ \t]*\[/ {
      head = $0
      gsub(/[ \t"]/, "", head); sub(/\].*$/, "", head); sub(/^\[/, "", head)
      inside = (head == section)
      next
    }
    inside && match($0, "^[ \t]*\"?" key "\"?[ \t]*=[ \t]*") {
      value = substr($0, RSTART + RLENGTH)
      quote = substr(value, 1, 1)
      if (quote != "\"" && quote != "\047") next
      value = substr(value, 2)
      end = index(value, quote)
      if (end) { print substr(value, 1, end - 1); exit }
    }' "$1"
}

# manifest_binaries DIRECTORY: names of the binaries its Cargo.toml gives a package, one a line.
# The way cargo finds them: [[bin]] tables, src/main.rs, src/bin/*.rs and src/bin/*/main.rs.
manifest_binaries() {
  local directory="$1" package file name
  package="$(manifest_value "$directory/Cargo.toml" package name)" || return
  [ -n "$package" ] || return 0
  {
    awk '
      /^[ \t]*\[/ { inside = ($0 ~ /^[ \t]*\[\[[ \t]*bin[ \t]*\]\]/); next }
      inside && match($0, /^[ \t]*name[ \t]*=[ \t]*["\047]/) {
        value = substr($0, RSTART + RLENGTH); sub(/["\047].*$/, "", value); print value
      }' "$directory/Cargo.toml"
    [ ! -f "$directory/src/main.rs" ] || has_bin_at "$directory/Cargo.toml" src/main.rs || printf '%s\n' "$package"
    for file in "$directory"/src/bin/*.rs "$directory"/src/bin/*/main.rs; do
      [ -f "$file" ] || continue
      has_bin_at "$directory/Cargo.toml" "${file#"$directory"/}" && continue
      name="${file%/main.rs}"
      name="${name##*/}"
      printf '%s\n' "${name%.rs}"
    done
  } | sort -u
}

# has_bin_at MANIFEST PATH: is there a [[bin]] with that path (and so a name of its own)?
has_bin_at() {
  awk -v want="$2" '
    /^[ \t]*\[/ { inside = ($0 ~ /^[ \t]*\[\[[ \t]*bin[ \t]*\]\]/); next }
    inside && match($0, /^[ \t]*path[ \t]*=[ \t]*["\047]/) {
      value = substr($0, RSTART + RLENGTH); sub(/["\047].*$/, "", value); sub(/^\.\//, "", value)
      if (value == want) found = 1
    }
    END { exit !found }' "$1"
}

# default_binary: what the manifest's default-run names.
default_binary() {
  manifest_value Cargo.toml package default-run
}
