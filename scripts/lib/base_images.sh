# shellcheck shell=bash
# The base images: pulled where a registry answers, else made from Debian's packages. Functions only.
# Needs log.sh, project.sh, engine.sh, and to make images apt.sh and provide.sh. The made ones lie in
# $LAYERPROOF_HOME/images as archives for `docker load`, so that every private engine gets the same image, with the same id.

PACKAGE_DATE=1735689600 # what a made image is dated (SOURCE_DATE_EPOCH), so that it depends on its packages alone

images_dir() {
  printf '%s/images\n' "$(layerproof_home)"
}

# recipe NAME: suite and packages of a stand-in. With apt and adduser, since Dockerfiles call them in the images that these
# stand in for.
recipe() {
  case "$1" in
    rust) printf 'trixie adduser,apt,rustc,cargo,gcc,lld,libc6-dev,ca-certificates,pkg-config\n' ;;
    runtime) printf 'bookworm adduser,apt,ca-certificates,libgcc-s1,usr-is-merged\n' ;; # no libc newer than a Lambda's
  esac
}

# recipe_id NAME: a number that changes with all that is said here of how it is made.
recipe_id() {
  { recipe "$1" && printf '%s\n' "$PACKAGE_DATE" && apt_hook; } | cksum | cut -d ' ' -f 1
}

archive_of() { # NAME
  printf '%s/%s-%s.tar\n' "$(images_dir)" "$1" "$(recipe_id "$1")"
}

# has_stand_in NAME: as it is made now; one of an earlier recipe is none.
has_stand_in() {
  [ "$(docker image inspect --format "{{index .Config.Labels \"layerproof.recipe\"}}" "layerproof/$1:local" 2>/dev/null)" = "$(recipe_id "$1")" ]
}

has_image() { # TAG
  docker image inspect --format . "$1" >/dev/null 2>&1
}

# pull_image REFERENCE: 1 where the registry has not begun to answer after LAYERPROOF_PULL_SECONDS (15).
pull_image() {
  local log pid waited=0 most=$((${LAYERPROOF_PULL_SECONDS:-15} * 10)) status=0
  log="$(mktemp "${TMPDIR:-/tmp}/layerproof-pull.XXXXXX")" || return
  docker pull "$1" >"$log" 2>&1 </dev/null &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    if grep -q 'Pulling from' "$log"; then
      info "pulling $1"
      break
    fi
    if [ "$waited" -ge "$most" ]; then
      kill "$pid" 2>/dev/null || :
      break
    fi
    sleep 0.1
    waited=$((waited + 1))
  done
  wait "$pid" || status=$?
  [ "$status" -eq 0 ] || warn "cannot pull $1: $(tail -n 1 "$log")"
  rm -f "$log"
  return "$status"
}

# load_made_images: gives the private engine at DOCKER_HOST those stand-ins that are made and that it lacks. One of an
# earlier recipe loses its name, so that nobody takes it.
load_made_images() {
  local name
  for name in rust runtime; do
    if has_stand_in "$name"; then
      continue
    elif [ -f "$(archive_of "$name")" ]; then
      load_made_image "$name" || return
    else
      docker image rm "layerproof/$name:local" >/dev/null 2>&1 || :
    fi
  done
}

# load_made_image NAME: one by an earlier recipe is removed, unless something uses it.
load_made_image() {
  local earlier
  earlier="$(docker image inspect --format '{{.Id}}' "layerproof/$1:local" 2>/dev/null)" || earlier=''
  info "loading the base image layerproof/$1:local into the engine"
  docker load --quiet --input "$(archive_of "$1")" >/dev/null || {
    error "the engine does not take the base image $(archive_of "$1")"
    return 3
  }
  [ -z "$earlier" ] || docker image rm "$earlier" >/dev/null 2>&1 || :
}

# apt_hook: what mmdebstrap's shell runs on the root of an image, its $1: as in Debian's own images, apt keeps no cache in a
# layer; and without the perl that moved /bin to /usr/bin, which is two fifths of the image.
apt_hook() {
  cat <<'HOOK'
cat >"$1/etc/apt/apt.conf.d/docker-clean" <<'CLEAN'
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Keep-Downloaded-Packages "false";
CLEAN
rm -f "$1"/var/cache/apt/*pkgcache.bin
[ ! -e "$1/usr/bin/ld.lld" ] || ln -sf ld.lld "$1/usr/bin/ld"
if [ -e "$1/var/lib/dpkg/info/usrmerge.list" ]; then
  chroot "$1" apt-get purge --yes --autoremove usrmerge perl '^perl-modules' '^libperl5' '^lib.*-perl$'
fi
HOOK
}

# make_image NAME: a Debian by its recipe, in $LAYERPROOF_HOME/images, in the place of one by an earlier recipe.
make_image() {
  local name="$1" suite packages work status=0 maker
  read -r suite packages <<<"$(recipe "$name")"
  maker="$(mmdebstrap_command)" || return
  mkdir -p "$(images_dir)" || return
  work="$(mktemp -d "$(images_dir)/$name.XXXXXX")" || return
  write_sources "$suite" "$work/sources" || return
  # In a group of its own, so that all of it can be ended: it ignores what reaches its first process only. It looks for
  # mmtarfilter on PATH, which stands beside it.
  SOURCE_DATE_EPOCH="$PACKAGE_DATE" TMPDIR="$work" PATH="${maker%/*}:$PATH" setsid "$maker" --variant=essential --include="$packages" \
    --aptopt='Apt::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --customize-hook="$(apt_hook)" \
    "$suite" "$work/layer.tar" "$work"/sources/* >"$work/log" 2>&1 </dev/null 8>&- &
  maker=$!
  # shellcheck disable=SC2064 # this process, now
  trap "kill -TERM -- -$maker 2>/dev/null" TERM
  wait "$maker" || status=$?
  ! kill -0 "$maker" 2>/dev/null || wait "$maker" || : # ended by the trap: it unmounts what it has mounted
  trap : TERM                                          # what follows tidies up
  if [ "$status" -eq 0 ]; then
    archive_image "$name" "$work" && rm -f "$(images_dir)/$name"*.tar && mv -f "$work/$name.tar" "$(archive_of "$name")" || status=3
  elif [ "$status" -gt 128 ]; then
    status=143
  else
    error "mmdebstrap could not make the image of Debian $suite:"
    tail -n 8 "$work/log" | sed 's/^/        | /' >&2
    status=3
  fi
  remove_work "$work"
  return "$status"
}

# remove_work DIR: what a maker that was killed has left mounted there is the system's own, and must survive.
remove_work() {
  local point
  awk '{ print $5 }' /proc/self/mountinfo 2>/dev/null | sort -r | while IFS= read -r point; do
    case "$point" in "$1"/*) umount -l "$point" || : ;; esac
  done
  rm -rf --one-file-system "$1" 2>/dev/null || { # its last process may have been writing
    sleep 1
    rm -rf --one-file-system "$1"
  }
}

# remove_half_made: what runs that were killed have left; for the holder of set-up's lock.
remove_half_made() {
  local dir
  for dir in "$(images_dir)"/*.??????/; do
    [ ! -d "$dir" ] || remove_work "${dir%/}"
  done
}

# archive_image NAME DIR: wraps DIR/layer.tar as DIR/NAME.tar, the format of `docker save`; equal layers, equal image id.
archive_image() {
  local digest
  digest="$(sha256sum "$2/layer.tar")" || return
  digest="${digest%% *}"
  printf '{"architecture":"%s","os":"linux","created":"2025-01-01T00:00:00Z","config":{"Env":["PATH=%s"],"Cmd":["/bin/sh"],"Labels":{"layerproof.recipe":"%s"}},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created":"2025-01-01T00:00:00Z","created_by":"layerproof: mmdebstrap"}]}\n' \
    "$(dpkg --print-architecture)" /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$(recipe_id "$1")" "$digest" >"$2/config.json"
  printf '[{"Config":"config.json","RepoTags":["layerproof/%s:local"],"Layers":["layer.tar"]}]\n' "$1" >"$2/manifest.json"
  tar -C "$2" -cf "$2/$1.tar" manifest.json config.json layer.tar
}

# is_image_ready NAME: does the engine have the real one or the stand-in?
is_image_ready() {
  has_image "$(default_image "$1")" || has_stand_in "$1"
}

default_image() { # NAME
  case "$1" in
    rust) printf '%s\n' "$DEFAULT_BUILD_IMAGE" ;;
    runtime) printf '%s\n' "$DEFAULT_RUNTIME_IMAGE" ;;
  esac
}

# ensure_base_images: on the engine at DOCKER_HOST, by what is least work: there, made before, pulled, made now.
ensure_base_images() {
  local missing='' name
  for name in rust runtime; do
    is_image_ready "$name" || missing="${missing:+$missing }$name"
  done
  [ -n "$missing" ] || return 0
  if ! has_made_images "$missing" && pull_images "$missing"; then
    return 0
  fi
  make_images "$missing" || return
  for name in $missing; do
    load_made_image "$name" || return
  done
}

has_made_images() { # NAMES
  local name
  for name in $1; do
    [ -f "$(archive_of "$name")" ] || return 1
  done
}

pull_images() { # NAMES
  local name
  ! is_offline || return 1
  info "pulling base images, which the engine lacks: $1"
  for name in $1; do
    pull_image "$(default_image "$name")" || return 1
  done
}

# make_images NAMES: those that are not made yet, side by side. Only Debian has the packages.
make_images() {
  local name failed=0 jobs=''
  ! has_made_images "$1" || return 0
  ensure_mmdebstrap || return
  remove_half_made
  info "making base images from Debian's packages with mmdebstrap (about a minute): $1"
  for name in $1; do
    [ ! -f "$(archive_of "$name")" ] || continue
    make_image "$name" &
    jobs="$jobs $!"
  done
  # shellcheck disable=SC2086 # a list of numbers
  with_heartbeat 'still making them' await_jobs $jobs || failed=3
  [ "$failed" -ne 0 ] || success "base images made in $(images_dir)"
  return "$failed"
}

await_jobs() { # PID...
  local job failed=0
  for job in "$@"; do
    wait "$job" || failed=1
  done
  return "$failed"
}
