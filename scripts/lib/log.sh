# shellcheck shell=bash
# Tagged messages on stderr, and how to give up. Functions only.
#
# LAYERPROOF_QUIET=1 keeps back what only informs; warnings and errors always come.
# Colour where stderr is a terminal and NO_COLOR is not set.

log_tagged() { # TAG COLOUR-CODE WORDS...
  local tag="$1" colour="$2"
  shift 2
  if [ -t 2 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-}" != dumb ]; then
    printf '\033[%sm[%s]\033[0m %s\n' "$colour" "$tag" "$*" >&2
  else
    printf '[%s] %s\n' "$tag" "$*" >&2
  fi
}

is_quiet() {
  [ "${LAYERPROOF_QUIET:-0}" = 1 ]
}

info() {
  is_quiet || log_tagged INFO '0;34' "$@"
}

success() {
  is_quiet || log_tagged SUCCESS '0;32' "$@"
}

warn() {
  log_tagged WARNING '1;33' "$@"
}

error() {
  log_tagged ERROR '0;31' "$@"
}

# die STATUS WORDS...: the one way out on an error.
die() {
  local status="$1"
  shift
  error "$@"
  exit "$status"
}

# hint WORDS...: what to do about the error just reported.
hint() {
  printf '        hint: %s\n' "$*" >&2
}

has_command() {
  command -v "$1" >/dev/null 2>&1
}

# need_cmd NAME WHAT-FOR [HINT]: exit 3 unless NAME can be run.
need_cmd() {
  has_command "$1" && return 0
  error "$1 is not installed; it is needed $2"
  [ $# -lt 3 ] || hint "$3"
  exit 3
}

# quote_command ARG...: one line that a shell reads back as the same words.
quote_command() {
  local word line=''
  for word in "$@"; do
    case "$word" in
      '' | *[!A-Za-z0-9_./:=,@%+-]*) printf -v word '%q' "$word" ;;
    esac
    case "$word" in # bash 3.2 leaves a tilde to be expanded
      '$'* | *\\~*) ;;
      *) word="${word//\~/\\~}" ;;
    esac
    line="$line${line:+ }$word"
  done
  printf '%s\n' "$line"
}

# log_command ARG...: shows a command in the trace of --verbose.
log_command() {
  [ "${LAYERPROOF_VERBOSE:-0}" = 1 ] || return 0
  printf '+ %s\n' "$(quote_command "$@")" >&2
}
