# shellcheck shell=bash
# Debian packages fetched and unpacked beside the system, which stays as it is. Functions only.
# Needs log.sh and project.sh. The sources, keys and proxies are those apt is configured with; packages are verified by
# apt against the installed archive keys. Needs no root.

os_field() { # NAME of a field of os-release
  # shellcheck disable=SC1091 # the system's own
  (. /etc/os-release 2>/dev/null && eval "printf '%s' \"\${$1:-}\"")
}

apt_etc() {
  printf '/etc/apt\n'
}

# is_debian: with packages, and sources that name this release.
is_debian() {
  [ "$(os_field ID)" = debian ] && command -v apt-get >/dev/null 2>&1
}

# rewrite_deb822 FROM TO: stdin → stdout, only stanzas of component main for release FROM, now for release TO.
rewrite_deb822() {
  awk -v from="$1" -v to="$2" '
    function flush(  i, n, names, suites, main) {
      if (stanza == "") return
      n = split(suites_line, names, /[ \t]+/)
      for (i = 1; i <= n; i++) {
        if (names[i] == from || names[i] == "stable") suites = suites " " to
        else if (names[i] == from "-security" || names[i] == "stable-security") suites = suites " " to "-security"
      }
      main = (" " components " ") ~ /[ \t]main[ \t]/
      if (suites != "" && main && enabled != "no" && types ~ /(^|[ \t])deb([ \t]|$)/)
        printf "%sTypes: deb\nSuites:%s\nComponents: main\n\n", stanza, suites
      stanza = suites_line = components = enabled = types = ""
    }
    /^[ \t\r]*$/ { flush(); next }
    /^#/ { next }
    {
      field = tolower($0); sub(/:.*/, "", field)
      value = $0; sub(/^[^:]*:[ \t]*/, "", value)
      if ($0 ~ /^[ \t]/) { if (kept) stanza = stanza $0 "\n"; else suites_line = suites_line (last == "suites" ? " " $0 : ""); next }
      kept = 0; last = field
      if (field == "suites") suites_line = value
      else if (field == "components") components = value
      else if (field == "enabled") enabled = tolower(value)
      else if (field == "types") types = value
      else { kept = 1; stanza = stanza $0 "\n" }
    }
    END { flush() }'
}

# rewrite_one_line FROM TO: the same for lines of the form `deb [options] URI suite components`.
rewrite_one_line() {
  awk -v from="$1" -v to="$2" '
    $1 == "deb" {
      line = $0; options = ""
      sub(/^[ \t]*deb[ \t]+/, "", line)
      if (line ~ /^\[/) { options = line; sub(/\].*/, "] ", options); sub(/^\[[^]]*\][ \t]*/, "", line) }
      n = split(line, words, /[ \t]+/)
      suite = words[2]; main = 0
      for (i = 3; i <= n; i++) if (words[i] == "main") main = 1
      if (!main) next
      if (suite == from || suite == "stable") suite = to
      else if (suite == from "-security" || suite == "stable-security") suite = to "-security"
      else next
      print "deb " options words[1] " " suite " main"
    }'
}

# write_sources SUITE DIR: apt sources for SUITE, derived from the configured ones, as files in DIR.
write_sources() {
  local suite="$1" dir="$2" etc from file count=0
  etc="$(apt_etc)"
  from="$(os_field VERSION_CODENAME)"
  mkdir -p "$dir" || return
  for file in "$etc/sources.list" "$etc"/sources.list.d/*.list "$etc"/sources.list.d/*.sources; do
    [ -r "$file" ] || continue
    count=$((count + 1))
    case "$(os_field ID):$file" in
      ubuntu:*) cp "$file" "$dir/$count.${file##*.}" ;; # its own release, all components
      *.sources) rewrite_deb822 "$from" "$suite" <"$file" >"$dir/$count.sources" ;;
      *) rewrite_one_line "$from" "$suite" <"$file" >"$dir/$count.list" ;;
    esac
  done
  for file in "$dir"/*; do
    [ -s "$file" ] || rm -f "$file"
  done
  [ -n "$(ls -A "$dir")" ] || {
    error "apt has no source of Debian $from's main component to derive Debian $suite's from"
    return 3
  }
}

# private_apt DIR ARG...: apt-get that keeps its sources, lists and cache in DIR.
private_apt() {
  local dir="$1"
  shift
  mkdir -p "$dir/sources" "$dir/lists/partial" "$dir/cache/archives/partial" || return
  # Hooks of the system's configuration act on the system.
  printf '#clear %s;\n' APT::Update::Post-Invoke APT::Update::Post-Invoke-Success DPkg::Post-Invoke >"$dir/hooks.conf"
  apt-get -qq -c "$dir/hooks.conf" -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$dir/sources" \
    -o Dir::State::lists="$dir/lists" -o Dir::Cache="$dir/cache" -o Dir::State::status=/var/lib/dpkg/status \
    -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none -o Acquire::Retries=2 "$@"
}

# unpack_packages SUITE DIR PACKAGE...: fetches, verifies and unpacks them into DIR, in place of what was there.
unpack_packages() {
  local suite="$1" target="$2" work deb status=0
  shift 2
  mkdir -p "${target%/*}" || return
  work="$(mktemp -d "${target%/*}/unpack.XXXXXX")" || return
  mkdir "$work/tree" "$work/debs"
  fetch_packages "$suite" "$work" "$@" >"$work/log" 2>&1 || status=$?
  if [ "$status" -ne 0 ]; then
    error "cannot fetch $* from Debian $suite:"
    tail -n 5 "$work/log" | sed 's/^/        | /' >&2
    rm -rf "$work"
    return 3
  fi
  for deb in "$work"/debs/*.deb; do
    dpkg-deb -x "$deb" "$work/tree" || status=3
  done
  if [ "$status" -eq 0 ]; then
    rm -rf "$target"
    mv "$work/tree" "$target" || status=3
  fi
  rm -rf "$work"
  return "$status"
}

fetch_packages() { # SUITE DIR PACKAGE...
  local suite="$1" dir="$2"
  shift 2
  write_sources "$suite" "$dir/apt/sources" || return
  private_apt "$dir/apt" update || return
  (cd "$dir/debs" && private_apt "$dir/apt" download "$@")
}

mmdebstrap_command() {
  command -v mmdebstrap 2>/dev/null || printf '%s/tools/mmdebstrap/usr/bin/mmdebstrap\n' "$(layerproof_home)"
}

# ensure_mmdebstrap: the system's, or one unpacked into tools/ that changes nothing on the system.
ensure_mmdebstrap() {
  [ -x "$(mmdebstrap_command)" ] && return 0
  if ! is_debian; then
    error 'no registry answers, and only Debian has the packages to make base images from'
    hint "pull $DEFAULT_BUILD_IMAGE and $DEFAULT_RUNTIME_IMAGE where you can and carry them over: docker save … | docker load"
    return 3
  fi
  info 'unpacking mmdebstrap into our tools (it makes base images from Debian packages; the system is not changed)'
  unpack_packages "$(os_field VERSION_CODENAME)" "$(layerproof_home)/tools/mmdebstrap" mmdebstrap
}
