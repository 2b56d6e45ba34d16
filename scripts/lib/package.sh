# shellcheck shell=bash
# The deployment package: lambda-package/bootstrap and a zip whose bytes depend on the binary alone. Functions only.
# Needs log.sh. What is half made lies in lambda-package/.staging.PID, beside what it becomes; remove_staging takes it away
# whatever happens.
#
# The zip is put together here, from gzip's deflate stream and checksum: one entry, a fixed time and mode, no fields of
# the host. So nothing needs to be installed for it, and no entry of an earlier run can stay in it.

PACKAGE_DIRECTORY='lambda-package'
PACKAGE_ZIP='lambda-deployment.zip'

# bytes NUMBER COUNT: little-endian, as printf's %b reads it.
bytes() {
  local number="$1" count="$2" byte text=''
  while [ "$count" -gt 0 ]; do
    printf -v byte '\\0%03o' $((number & 255))
    text="$text$byte"
    number=$((number >> 8))
    count=$((count - 1))
  done
  printf '%s' "$text"
}

# file_size FILE
file_size() {
  local size
  size="$(wc -c <"$1")" || return
  printf '%d\n' "$size"
}

# write_zip FILE OUT LEVEL: OUT becomes a zip with FILE as its one entry "bootstrap", mode 0755.
write_zip() {
  local file="$1" out="$2" level="$3" deflated="$2.gz" crc size packed common name='bootstrap'
  # GZIP may hold a user's options, which would change the header; the name and time are kept out by -n.
  GZIP='' gzip "-$level" -n -c <"$file" >"$deflated" || return
  size="$(file_size "$file")" && packed="$(file_size "$deflated")" || return
  packed=$((packed - 18)) # a header of 10 bytes, a trailer of 8
  [ "$packed" -gt 0 ] || return 1
  # the first four bytes of the trailer, as printf's %b reads them
  crc="$(tail -c 8 "$deflated" | od -An -v -t o1 | awk '{ printf "\\0%s\\0%s\\0%s\\0%s", $1, $2, $3, $4 }')" || return
  # needs 2.0, no flags, deflated, 1980-01-01 00:00:00, checksum, sizes, length of the name, no extra field
  common="\\0024\\0000\\0000\\0000\\0010\\0000\\0000\\0000\\0041\\0000$crc$(bytes "$packed" 4)$(bytes "$size" 4)$(bytes ${#name} 2)\\0000\\0000"
  {
    printf 'PK\003\004%b%s' "$common" "$name" || return
    head -c $((packed + 10)) "$deflated" | tail -c +11 || return
    # made by Unix 2.0; no comment, disk 0, binary; mode 0100755; at offset 0
    printf 'PK\001\002\024\003%b%b%s' "$common" "$(bytes 0 6)$(bytes $((0100755 << 16)) 4)$(bytes 0 4)" "$name" || return
    printf 'PK\005\006%b' "$(bytes 0 4)$(bytes 1 2)$(bytes 1 2)$(bytes $((46 + ${#name})) 4)$(bytes $((30 + ${#name} + packed)) 4)$(bytes 0 2)" || return
  } >"$out" || return
  rm -f "$deflated"
  # A disk that filled up shows here at the latest.
  [ "$(file_size "$out")" -eq $((30 + 46 + 22 + 2 * ${#name} + packed)) ]
}

# elf_architecture FILE: x86_64 or arm64; nothing where it is no Linux executable for either.
elf_architecture() {
  local header
  header="$(LC_ALL=C od -An -v -t x1 -N 20 "$1" | tr -d ' \n')" || return
  case "$header" in
    7f454c46????????????????????????????3e00) printf 'x86_64\n' ;;
    7f454c46????????????????????????????b700) printf 'arm64\n' ;;
  esac
}

# check_architecture FILE WANTED: refuses another architecture than was asked for; warns where it is none.
check_architecture() {
  local found
  found="$(elf_architecture "$1")" || return
  if [ -z "$found" ]; then
    warn "$1 is no Linux executable for x86_64 or arm64: Lambda cannot run it"
  elif [ -n "$2" ] && [ "$found" != "$2" ]; then
    error "$1 is built for $found, not for $2"
    return 1
  fi
}

# packaged_as FILE BOOTSTRAP ZIP LEVEL RECORD: is that package of exactly this file there already, untouched?
packaged_as() {
  local recorded
  [ -f "$5" ] && [ -x "$2" ] && [ -f "$3" ] && cmp -s "$1" "$2" || return 1
  IFS= read -r recorded <"$5" || return 1
  [ "$recorded" = "$(package_mark "$3" "$4")" ]
}

package_mark() { # ZIP LEVEL
  printf '%s %s\n' "$2" "$(cksum <"$1")"
}

# package_binary FILE DIRECTORY ZIP LEVEL: makes DIRECTORY/bootstrap and ZIP of FILE. Both are made beside and moved into
# place, so the previous package stays whole until the new one is.
package_binary() {
  local file="$1" directory="$2" zip="$3" level="$4" staging record="target/.layerproof/${3##*/}.mark"
  if packaged_as "$file" "$directory/bootstrap" "$zip" "$level" "$record"; then
    success "package unchanged: $zip"
    return 0
  fi
  staging="$PACKAGE_DIRECTORY/.staging.$$"
  mkdir -p "$staging" "$directory" target/.layerproof || return
  rm -f "$record" || return
  cp "$file" "$staging/bootstrap" && chmod 0755 "$staging/bootstrap" || return
  write_zip "$staging/bootstrap" "$staging/package.zip" "$level" || return
  mv -f "$staging/bootstrap" "$directory/bootstrap" && mv -f "$staging/package.zip" "$zip" && rmdir "$staging" || return
  # The mark only saves work: without it the next run packages again.
  package_mark "$zip" "$level" >"$record" 2>/dev/null || rm -f "$record"
  success "package ready: $zip ($(($(file_size "$zip") / 1024)) KiB)"
}

# package_binaries LEVEL ARCHITECTURE FILE...: one file gives the package that Terraform expects, several one package each.
package_binaries() {
  local level="$1" architecture="$2" file name names=' '
  shift 2
  for file in "$@"; do
    name="${file##*/}"
    case "$names" in
      *" $name "*)
        error "two binaries are called $name: one package would overwrite the other"
        return 1
        ;;
    esac
    names="$names$name "
    check_architecture "$file" "$architecture" || return
  done
  if [ $# -eq 1 ]; then
    package_binary "$1" "$PACKAGE_DIRECTORY" "$PACKAGE_ZIP" "$level" || return
    return 0
  fi
  warn "$# binaries and none named: one package each; --bin NAME packages one as $PACKAGE_ZIP"
  for file in "$@"; do
    name="${file##*/}"
    package_binary "$file" "$PACKAGE_DIRECTORY/$name" "lambda-deployment-$name.zip" "$level" || return
  done
}

# is_dead PID: has that process ended? (kill -0 also fails on another user's process; that one is left alone.)
is_dead() {
  case "$1" in '' | *[!0-9]*) return 1 ;; esac
  ! kill -0 "$1" 2>/dev/null && ! ps -p "$1" >/dev/null 2>&1
}

# remove_staging: this run's half-made files, and those of runs that were killed.
remove_staging() {
  local path
  for path in "$PACKAGE_DIRECTORY"/.staging.* target/.layerproof/out.*; do
    [ -d "$path" ] || continue
    if [ "${path##*.}" = "$$" ] || is_dead "${path##*.}"; then rm -rf -- "$path"; fi
  done
  # Neither is left behind empty where the build came to nothing.
  rmdir target/.layerproof target "$PACKAGE_DIRECTORY" 2>/dev/null || return 0
}

# clean_outputs: removes what builds have made.
clean_outputs() {
  local zip
  rm -rf -- target "$PACKAGE_DIRECTORY" "$PACKAGE_ZIP" || return
  for zip in lambda-deployment-*.zip; do
    [ -f "$zip" ] || continue
    rm -f -- "$zip" || return
  done
}
