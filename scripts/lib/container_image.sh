# shellcheck shell=bash
# Makes the dev container and what it needs: its image, its volumes. Functions only. Needs container.sh, engine.sh, quote.sh.

# bind_mount SOURCE TARGET [OPTION]
bind_mount() {
  printf 'type=bind,%s,target=%s%s\n' "$(csv_field "source=$1")" "$2" "${3:+,$3}"
}

# volume_mount NAME TARGET: a named volume, with our labels where it is made by this.
volume_mount() {
  printf 'type=volume,source=%s,target=%s,volume-label=layerproof.project=%s,volume-label=layerproof.role=dev\n' \
    "$1" "$2" "$PROJECT_ID"
}

# set_container_arguments: CONTAINER_ARGUMENTS, of `docker create`.
set_container_arguments() {
  CONTAINER_ARGUMENTS=(--pull never --init
    --user "$CALLER" --workdir /workspace
    --label "layerproof.project=$PROJECT_ID" --label layerproof.role=dev
    --label "layerproof.config=$WANTED_CONFIG" --label "layerproof.inputs=$WANTED_INPUTS"
    --label "layerproof.path=$PWD"
    --mount "$(bind_mount "$PWD" /workspace)"
    --mount "$(volume_mount "$BUILD_VOLUME" /layerproof/build)"
    --mount "$(volume_mount "$CARGO_VOLUME" /layerproof/cargo)"
    --env CARGO_HOME=/layerproof/cargo --env HOME=/layerproof/cargo/home
    --env CARGO_TARGET_DIR=/layerproof/build/target)
  [ -z "$CONTAINER_NETWORK" ] || CONTAINER_ARGUMENTS+=(--network "$CONTAINER_NETWORK")
  if [ -n "$CA_BUNDLE" ]; then
    CONTAINER_ARGUMENTS+=(--mount "$(bind_mount "$CA_BUNDLE" /etc/ssl/certs/ca-certificates.crt readonly)"
    --env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt --env CARGO_HTTP_CAINFO=/etc/ssl/certs/ca-certificates.crt)
  fi
  if [ -n "$CREDENTIALS" ]; then
    CONTAINER_ARGUMENTS+=(--mount "$(bind_mount "$CREDENTIALS" /layerproof/cargo/credentials.toml readonly)")
  fi
}

# set_image_arguments: IMAGE_ARGUMENTS, of `buildx build`. (A container inherits its image's labels: the image's role is
# another one, so that a container someone makes from it is not taken for ours.)
set_image_arguments() {
  local network="$CONTAINER_NETWORK"
  IMAGE_ARGUMENTS=(build --load --provenance=false --target "${LAYERPROOF_DEV_STAGE:-base}" --file "$DOCKERFILE"
    --tag "$DEV_IMAGE" --build-arg "BUILD_IMAGE=$BUILD_IMAGE"
    --label "layerproof.project=$PROJECT_ID" --label layerproof.role=dev-image
    --label "layerproof.inputs=$WANTED_IMAGE_INPUTS" --label "layerproof.path=$PWD")
  case "$network" in
    '' | default | bridge) ;;
    none | host) IMAGE_ARGUMENTS+=(--network "$network") ;;
  esac
  [ -z "$CA_BUNDLE" ] || IMAGE_ARGUMENTS+=(--secret "id=ca,$(csv_field "src=$CA_BUNDLE")")
  [ -z "$CREDENTIALS" ] || IMAGE_ARGUMENTS+=(--secret "id=cargo-credentials,$(csv_field "src=$CREDENTIALS")")
  IMAGE_ARGUMENTS+=(.)
}

# choose_container_network: sets CONTAINER_NETWORK (empty: the engine's default).
choose_container_network() {
  if is_offline; then
    CONTAINER_NETWORK=none
  else
    CONTAINER_NETWORK="$(choose_network)"
  fi
}

# ensure_image: the image that the container is to run, made anew unless the one there is made from the same.
ensure_image() {
  local output status=0
  [ -z "$IMAGE_ID" ] || [ "$IMAGE_INPUTS" != "$WANTED_IMAGE_INPUTS" ] || return 0
  find_buildx
  info "building the dev image from $DOCKERFILE (${LAYERPROOF_DEV_STAGE:-base} stage, on $BUILD_IMAGE)"
  set_image_arguments
  log_command "${BUILDX[@]}" "${IMAGE_ARGUMENTS[@]}"
  output="$("${BUILDX[@]}" "${IMAGE_ARGUMENTS[@]}" --progress plain 2>&1)" || status=$?
  if [ "$status" -eq 0 ]; then
    [ -z "$IMAGE_ID" ] || forget_untagged_images
    return 0
  fi
  error "the image of the dev container cannot be built (status $status)"
  printf '%s\n' "$output" | tail -n 25 >&2
  case "$output" in
    *'target stage'*'could not be found'*)
      hint "LAYERPROOF_DEV_STAGE names the stage of $DOCKERFILE that holds the toolchain"
      ;;
    *'failed to resolve source metadata'* | *'failed to do request'* | *'pull access denied'*)
      hint "the base image cannot be pulled; DOCKER_IMAGE names another one"
      ;;
  esac
  return 1
}

# What the container does while it waits: it ends at once on SIGTERM, with or without an init above it.
# shellcheck disable=SC2016 # expanded in the container
IDLE='trap "exit 0" TERM INT; echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) the dev container is up"; while :; do sleep 86400 & wait $!; done'

# forget_untagged_images: of this project's dev images those that no name leads to any more.
forget_untagged_images() {
  try_docker image prune --force --filter "label=layerproof.project=$PROJECT_ID" \
    --filter label=layerproof.role=dev-image || :
}

# guest_program CALL: the text for the container's `sh -s`. CALL must not return to it: its input is the caller's.
guest_program() {
  local file
  for file in guest.sh guest_fresh.sh guest_cargo.sh; do
    printf '%s\n' "$(<"$LIBRARY/$file")"
  done
  printf '%s; exit\n' "$1"
}

# image_cargo_home: where the image keeps cargo's own files.
image_cargo_home() {
  local home
  home="$(docker image inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$DEV_IMAGE" 2>/dev/null | sed -n 's/^CARGO_HOME=//p')"
  printf '%s\n' "${home:-/usr/local/cargo}"
}

# prepare_volumes CONTAINER: gives the caller the volumes of a running container. May be done again, and by two at once.
prepare_volumes() {
  log_command docker exec --user 0:0 "$1" chown "$CALLER" /layerproof
  # shellcheck disable=SC2016 # expanded in the container
  FAILURE="$(guest_program 'guest_prepare "$1" "$2"' \
    | docker exec --interactive --user 0:0 "$1" sh -s "$CALLER" "$(image_cargo_home)" 2>&1)"
}

# create_container: image, volumes, container, up and prepared. Fails only where trying again is of no use; what another
# caller or a kill leaves halfway is seen at the next look, or by the next build.
create_container() {
  local name="$CONTAINER_NAME"
  choose_container_network
  ensure_image || return
  info 'creating the dev container'
  set_container_arguments
  [ -z "$NAME_TAKEN" ] || name="$CONTAINER_NAME-2"
  try_docker create --name "$name" "${CONTAINER_ARGUMENTS[@]}" --entrypoint sh "$DEV_IMAGE" -c "$IDLE" \
    && try_docker start "$name" && prepare_volumes "$name" && return 0
  case "$FAILURE" in
    *'already in use'* | *[Nn]'o such image'* | *[Nn]'o such container'* | *'is not running'*) sleep 0.1 ;; # another caller moved; the next look tells
    *)
      report_container_failure
      return 1
      ;;
  esac
}
