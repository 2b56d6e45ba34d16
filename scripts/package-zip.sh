#!/usr/bin/env bash
# Usage: package-zip.sh
#
# Makes lambda-deployment.zip from lambda-package/bootstrap, in the cargo project of the current directory.
# Exit codes: 0 done, 1 there is nothing to package or it could not be made, 2 usage, 130 interrupted.
set -Eeuo pipefail

case "${BASH_SOURCE[0]}" in */*) SCRIPTS="${BASH_SOURCE[0]%/*}" ;; *) SCRIPTS=. ;; esac
# shellcheck source=scripts/lib/log.sh
. "$SCRIPTS/lib/log.sh"
# shellcheck source=scripts/lib/package.sh
. "$SCRIPTS/lib/package.sh"

# zip_bootstrap DIRECTORY ZIP: the zip is made beside and moved into place.
zip_bootstrap() {
  local staging="$PACKAGE_DIRECTORY/.staging.$$"
  mkdir -p "$staging" || return
  cp "$1/bootstrap" "$staging/bootstrap" && write_zip "$staging/bootstrap" "$staging/package.zip" 6 || return
  mv -f "$staging/package.zip" "$2"
}

main() {
  local directory made=0
  [ $# -eq 0 ] || die 2 "package-zip.sh takes no arguments: $*"
  trap remove_staging EXIT
  trap 'exit 130' INT TERM HUP
  for directory in "$PACKAGE_DIRECTORY" "$PACKAGE_DIRECTORY"/*; do
    [ -f "$directory/bootstrap" ] || continue
    local zip="$PACKAGE_ZIP"
    [ "$directory" = "$PACKAGE_DIRECTORY" ] || zip="lambda-deployment-${directory##*/}.zip"
    zip_bootstrap "$directory" "$zip" || die 1 "$zip could not be made; the previous one is as it was"
    success "package ready: $zip"
    made=1
  done
  [ "$made" = 1 ] && return 0
  error "there is no $PACKAGE_DIRECTORY/bootstrap in $PWD"
  hint 'build first: build-lambda.sh prod'
  exit 1
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  main "$@"
fi
