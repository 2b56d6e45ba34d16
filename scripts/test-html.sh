#!/usr/bin/env bash
# Usage: test-html.sh [CARGO-TEST-ARGUMENTS]
#
# Runs the tests of the cargo project in the current directory, with the host's cargo or in the dev container, and writes
# what they said to target/test-report.html. The exit code is that of the tests.
set -Eeuo pipefail

case "${BASH_SOURCE[0]}" in */*) SCRIPTS="${BASH_SOURCE[0]%/*}" ;; *) SCRIPTS=. ;; esac
# shellcheck source=scripts/lib/log.sh
. "$SCRIPTS/lib/log.sh"
# shellcheck source=scripts/lib/project.sh
. "$SCRIPTS/lib/project.sh"

run_tests() {
  if cargo --version >/dev/null 2>&1; then
    cargo test "$@"
  else
    "$SCRIPTS/dev-container.sh" exec -- cargo test "$@"
  fi
}

# write_report LOG STATUS: the page, on stdout.
write_report() {
  local verdict=passed
  [ "$2" -eq 0 ] || verdict=failed
  printf '<!DOCTYPE html>\n<meta charset="utf-8">\n<title>Tests %s</title>\n<h1>Tests %s</h1>\n<pre>\n' "$verdict" "$verdict"
  sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g' "$1"
  printf '</pre>\n'
}

main() {
  local log status=0
  need_cargo_project
  mkdir -p target
  log="target/.test-report.$$"
  # shellcheck disable=SC2064 # the name is known now
  trap "rm -f '$log' '$log.html'" EXIT
  run_tests "$@" 2>&1 | tee "$log" || status=$?
  write_report "$log" "$status" >"$log.html"
  mv -f "$log.html" target/test-report.html
  info 'the report is target/test-report.html'
  exit "$status"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  main "$@"
fi
