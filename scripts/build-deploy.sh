#!/usr/bin/env bash
# Usage: build-deploy.sh [CHOICE]
#
# The menu of `make build-lambda`: asks on a terminal how to build the package, and does it.
# CHOICE, a number or a name, answers without asking; where there is no terminal, the answer is docker.
# Exit codes: those of build-lambda.sh; 1 for a choice that there is none of.
set -Eeuo pipefail

case "${BASH_SOURCE[0]}" in */*) SCRIPTS="${BASH_SOURCE[0]%/*}" ;; *) SCRIPTS=. ;; esac
# shellcheck source=scripts/lib/log.sh
. "$SCRIPTS/lib/log.sh"
# shellcheck source=scripts/lib/package.sh
. "$SCRIPTS/lib/package.sh"

print_menu() {
  cat <<'MENU'
How is the Lambda package to be built?

  1) docker     in Docker, through the optimised build
  2) local      with the host's cargo, for the Lambda target
  3) native     with the host's cargo, for the host (testing only)
  4) codebuild  write the files for AWS CodeBuild
  5) validate   check the environment
  6) clean      remove what builds have made

MENU
}

# ask: the answer on stdout; docker for an empty one.
ask() {
  local answer
  print_menu >&2
  printf 'Choice [1]: ' >&2
  IFS= read -r answer || {
    printf '\n' >&2
    return 1
  }
  printf '%s\n' "${answer:-1}"
}

# perform CHOICE
perform() {
  case "$1" in
    1 | docker) exec "$SCRIPTS/build-lambda.sh" docker ;;
    2 | local) exec "$SCRIPTS/build-lambda.sh" local ;;
    3 | native) exec "$SCRIPTS/build-lambda.sh" native ;;
    4 | codebuild) exec "$SCRIPTS/build-lambda.sh" codebuild ;;
    5 | validate) exec "$SCRIPTS/build-lambda.sh" --validate ;;
    6 | clean)
      clean_outputs || die 1 'the outputs could not be removed'
      success 'removed target/, lambda-package/ and the zip files'
      ;;
    *) die 1 "Invalid choice: $1 (1 to 6)" ;;
  esac
}

main() {
  local choice
  [ $# -le 1 ] || die 1 "one choice, not $#: $*"
  if [ $# -eq 1 ]; then
    choice="$1"
  elif [ -t 0 ]; then
    choice="$(ask)" || die 130 'no choice made'
  else
    info 'no terminal to ask on: building in Docker'
    choice=docker
  fi
  perform "$choice"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  main "$@"
fi
