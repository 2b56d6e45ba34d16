# shellcheck shell=bash
# What is remembered of a project outside its tree: the name its context goes by, and its dependency cache's. Functions only.
# Needs log.sh and project.sh. Where the state directory cannot be written, nothing is remembered and nothing fails.
#
# BuildKit keeps a copy of each build context and sends only files whose size, mtime, mode or owner differ; the copies
# are told apart by the last name of the context's path alone. So the context is named through a link of our own, unique to the
# directory and engine; and where a file has changed without its mtime telling (a tool put back an old one), by a new one,
# which sends everything again.

# open_state: sets STATE (empty if there is no place for it) and PROJECT_ID.
open_state() {
  PROJECT_ID="$(project_id)"
  STATE="$(layerproof_home)/projects/$PROJECT_ID"
  if ! mkdir -p "$STATE" 2>/dev/null || [ ! -w "$STATE" ]; then
    STATE="$(mktemp -d "${TMPDIR:-/tmp}/layerproof.XXXXXX")" || return
    STATE_IS_TEMPORARY=1
  fi
  ENGINE_STATE_DIRECTORY="$STATE"
  if [ -n "${DOCKER_HOST:-}${DOCKER_CONTEXT:-}" ]; then
    ENGINE_STATE_DIRECTORY="$STATE/$(hash_text "${DOCKER_HOST:-}|${DOCKER_CONTEXT:-}")"
    mkdir -p "$ENGINE_STATE_DIRECTORY" || return
  fi
  CACHE_GENERATION=''
  [ ! -f "$STATE/cache" ] || IFS= read -r CACHE_GENERATION <"$STATE/cache" || CACHE_GENERATION=''
}

close_state() {
  [ -z "${CONTEXT:-}" ] || rm -f -- "$CONTEXT.syncing.$$"
  [ "${STATE_IS_TEMPORARY:-0}" != 1 ] || rm -rf -- "$STATE"
}

cache_id() {
  printf 'layerproof-%s%s\n' "$PROJECT_ID" "${CACHE_GENERATION:+-$CACHE_GENERATION}"
}

# renew_cache_id: from now on another dependency cache, an empty one. The old one harms nobody; the engine's collector
# takes it in time. keep_cache_id makes the choice last, restore_cache_id takes it back.
renew_cache_id() {
  FORMER_GENERATION="$CACHE_GENERATION"
  CACHE_GENERATION="$(date +%s)"
}

keep_cache_id() {
  { printf '%s\n' "$CACHE_GENERATION" >"$STATE/cache.$$" && mv -f "$STATE/cache.$$" "$STATE/cache"; } 2>/dev/null || return 0
}

restore_cache_id() {
  CACHE_GENERATION="$FORMER_GENERATION"
}

# has_hidden_edit STAMP: has a file changed since then whose mtime is older than that? Its ctime tells.
# A find without -newercm answers yes, which costs only the sending.
has_hidden_edit() {
  local found
  found="$(find . \( -path ./target -o -path ./.git -o -path ./lambda-package \) -prune -o \
    -newercm "$1" ! -newermm "$1" -print 2>&1 | head -n 1)"
  [ -n "$found" ]
}

# choose_context: sets CONTEXT to a link to the project whose name is unique, a new one where the engine's copy cannot be
# trusted. Another build of the project may be using the former one: it is removed when it is old.
choose_context() {
  CONTEXT=''
  [ ! -f "$ENGINE_STATE_DIRECTORY/context" ] || IFS= read -r CONTEXT <"$ENGINE_STATE_DIRECTORY/context" || CONTEXT=''
  if [ -n "$CONTEXT" ] && [ "$CONTEXT" -ef . ] && [ -f "$CONTEXT.synced" ] && ! has_hidden_edit "$CONTEXT.synced"; then
    return 0
  fi
  find "$ENGINE_STATE_DIRECTORY" -maxdepth 1 -name "$PROJECT_ID-*" -mmin +1440 -exec rm -f -- {} + || return
  CONTEXT="$ENGINE_STATE_DIRECTORY/$PROJECT_ID-$(date +%s)$$"
  rm -f -- "$CONTEXT" && ln -s -- "$PWD" "$CONTEXT" || return
  printf '%s\n' "$CONTEXT" >"$ENGINE_STATE_DIRECTORY/context.$$" || return
  mv -f "$ENGINE_STATE_DIRECTORY/context.$$" "$ENGINE_STATE_DIRECTORY/context"
}

# mark_sync_begun, mark_synced: an edit made after the first is not in the copy for certain.
mark_sync_begun() {
  : >"$CONTEXT.syncing.$$"
}

mark_synced() {
  mv -f "$CONTEXT.syncing.$$" "$CONTEXT.synced"
}
