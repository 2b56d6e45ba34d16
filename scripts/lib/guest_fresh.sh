# shellcheck shell=sh
# Makes cargo in the dev container see every change of the source. Functions only, for any POSIX sh; see guest.sh.
#
# Cargo compares a source file's mtime with the time it compiled. A file that is put back with its old mtime (an archive,
# rsync, cp -p, a renamed directory) is older than that, so cargo keeps the artifact of the other content. Therefore each
# build compares the list of all files with the last build's: what changed and is too old for cargo to notice has its
# package's fingerprint removed, which makes cargo compile it again. The source itself is never touched.

# fresh_list_source: one line per file of the source: mtime|ctime|inode|size|path. In UTC the times sort as text.
# A file can be put back with its old mtime, but not with its old ctime. Cargo looks at what a link leads to, whose date
# says nothing of the link: a link that changed is as old as can be.
fresh_list_source() {
  (cd "$GUEST_SOURCE" && find . \( -path ./target -o -path ./.git \) -prune \
    -o -type f -exec env TZ=UTC stat -c '%y|%z|%i|%s|%n' {} + \
    -o -type l -exec env TZ=UTC stat -c '0|%z|%i|%s|%n' {} + 2>/dev/null) || :
}

# fresh_last_compiled: the newest mtime that cargo may compare a source file with; nothing where nothing is compiled.
fresh_last_compiled() {
  find "$CARGO_TARGET_DIR" -mindepth 3 -maxdepth 5 \( -name invoked.timestamp -o -name output \) \
    \( -path '*/.fingerprint/*' -o -path '*/build/*' \) -exec env TZ=UTC stat -c %y {} + 2>/dev/null \
    | LC_ALL=C sort | tail -n 1
}

# fresh_overlooked OLD-LIST NEW-LIST LAST-COMPILED: the changed files whose change cargo does not see, one a line, as
# "local PATH" (no newer than what was compiled) or "vendored PATH" (cargo takes a directory source to be immutable).
fresh_overlooked() {
  awk -F '|' -v compiled="$3" -v old="$1" '
    function path(line) { sub(/^[^|]*\|[^|]*\|[^|]*\|[^|]*\|/, "", line); return line }
    FILENAME == old { known[$0] = 1; next }
    !($0 in known) { changed[path($0)] = $1 }
    /\/\.cargo-checksum\.json$/ { directory = path($0); sub(/[^\/]*$/, "", directory); vendored[directory] = 1 }
    END {
      for (name in changed) {
        directory = name
        inside = 0
        while (!inside && sub(/[^\/]+\/?$/, "", directory)) inside = (directory in vendored)
        if (inside) print "vendored " name
        else if (changed[name] <= compiled) print "local " name
      }
    }' "$1" "$2"
}

# fresh_changed_content RECORD: of the files named on stdin, those whose content is not the one on record. Updates the
# record ("checksum size path" a line).
fresh_changed_content() {
  [ -f "$1" ] || : >"$1"
  (cd "$GUEST_SOURCE" && tr '\n' '\0' | xargs -0 cksum 2>/dev/null) >"$1.now"
  awk -v old="$1" -v keep="$1.new" '
    { path = $0; sub(/^[0-9]+ [0-9]+ /, "", path) }
    FILENAME == old { record[path] = $0; next }
    record[path] != $0 { print path; record[path] = $0 }
    END { printf "" >keep; for (path in record) print record[path] >keep }' "$1" "$1.now" || return
  rm -f "$1.now"
  mv -f "$1.new" "$1"
}

# fresh_package_name MANIFEST: nothing if it has no [package] or hides its name.
fresh_package_name() {
  awk '
    /^[ \t]*\[/ { inside = ($0 ~ /^[ \t]*\[[ \t]*package[ \t]*\]/); next }
    inside && match($0, /^[ \t]*name[ \t]*=[ \t]*["\047]/) {
      name = substr($0, RSTART + RLENGTH); sub(/["\047].*$/, "", name); print name; exit
    }' "$1" 2>/dev/null
}

# fresh_vendored_packages: the packages of directory sources that the files on stdin belong to.
fresh_vendored_packages() {
  sed 's|/[^/]*$||' | LC_ALL=C sort -u | while IFS= read -r fresh_directory; do
    while [ ! -f "$GUEST_SOURCE/$fresh_directory/.cargo-checksum.json" ]; do
      case "$fresh_directory" in */*) fresh_directory="${fresh_directory%/*}" ;; *) break ;; esac
    done
    fresh_package_name "$GUEST_SOURCE/$fresh_directory/Cargo.toml"
  done
}

# fresh_local_packages LIST: the packages whose manifests are in the source and in no directory source.
fresh_local_packages() {
  sed -n 's/^[^|]*|[^|]*|[^|]*|[^|]*|\(.*\)\/Cargo\.toml$/\1/p' "$1" | while IFS= read -r fresh_directory; do
    [ -f "$GUEST_SOURCE/$fresh_directory/.cargo-checksum.json" ] \
      || fresh_package_name "$GUEST_SOURCE/$fresh_directory/Cargo.toml"
  done
}

# fresh_forget_package NAME: makes cargo compile it again. What rustc keeps for incremental builds stays.
fresh_forget_package() {
  for fresh_directory in "$CARGO_TARGET_DIR"/*/.fingerprint "$CARGO_TARGET_DIR"/*/*/.fingerprint; do
    [ ! -d "$fresh_directory" ] || rm -rf "$fresh_directory/$1-"???????????????? || return
  done
}

# fresh_refresh STATE-DIRECTORY: brings what cargo knows in line with what the source is. Called under the build's lock.
# An interruption leaves the old list, so that the next build does all of it again.
fresh_refresh() {
  fresh_old="$1/source" fresh_new="$1/source.new"
  fresh_list_source >"$fresh_new" || return
  [ -f "$fresh_old" ] || : >"$fresh_old"
  cmp -s "$fresh_old" "$fresh_new" && return 0
  fresh_compiled="$(fresh_last_compiled)"
  fresh_overlooked "$fresh_old" "$fresh_new" "$fresh_compiled" >"$1/overlooked" || return
  {
    ! grep -q '^vendored ' "$1/overlooked" || sed -n 's/^vendored //p' "$1/overlooked" \
      | fresh_changed_content "$1/vendored" | fresh_vendored_packages
    ! grep -q '^local ' "$1/overlooked" || fresh_local_packages "$fresh_new"
  } | LC_ALL=C sort -u >"$1/forget"
  if [ -n "$fresh_compiled" ]; then
    ! grep -q '^local ' "$1/overlooked" \
      || guest_say INFO 'files were changed to an older date, which cargo does not see; compiling the project afresh'
    while IFS= read -r fresh_package; do
      fresh_forget_package "$fresh_package" || return
    done <"$1/forget"
  fi
  mv -f "$fresh_new" "$fresh_old"
}
