# shellcheck shell=bash
# The dev container of a project: what there is, whether it is current, and how one comes to be. Functions only.
# Needs log.sh, project.sh, engine.sh and container_image.sh. LIBRARY is the directory of this file.
#
# One container per project directory, found by its labels. What it was made from stands in them too, so that a container
# made from something else is seen to be stale and is replaced; its volumes stay.

# What is set here is read in container_image.sh, container_build.sh and dev-container.sh.
# shellcheck disable=SC2034,SC2153

GUEST_VERSION=1 # raise it when a container made by an older script cannot serve this one

# name_project: sets PROJECT_ID and the names that follow from it.
name_project() {
  PROJECT_ID="$(project_id)" || return
  CONTAINER_NAME="layerproof-dev-$PROJECT_ID"
  BUILD_VOLUME="layerproof-dev-$PROJECT_ID-build"
  CARGO_VOLUME="layerproof-dev-$PROJECT_ID-cargo"
  DEV_IMAGE="layerproof/dev:$PROJECT_ID"
}

# What one look at the engine tells of an object, a container or an image, in one line.
OBSERVATION='{{if index . "State"}}container{{else}}image{{end}}|{{with index . "RepoTags"}}{{range .}}{{.}} {{end}}{{end}}|{{with index . "Architecture"}}{{.}}{{end}}|{{.Id}}|{{with index . "State"}}{{.Status}}|{{.StartedAt}}{{else}}|{{end}}|{{with index . "Image"}}{{.}}{{end}}|{{with .Config}}{{with .Labels}}{{with index . "layerproof.project"}}{{.}}{{end}}|{{with index . "layerproof.role"}}{{.}}{{end}}|{{with index . "layerproof.config"}}{{.}}{{end}}|{{with index . "layerproof.inputs"}}{{.}}{{end}}{{else}}|||{{end}}{{else}}|||{{end}}'

# inspect_objects CONTAINER: one call for all that a decision needs. Sets PROBE_OUTPUT, in the form of engine.sh.
inspect_objects() {
  local images=("$DEV_IMAGE")
  if [ -n "${DOCKER_IMAGE:-}" ]; then
    images=("${images[@]}" "$DOCKER_IMAGE")
  else
    images=("${images[@]}" "$DEFAULT_BUILD_IMAGE" "$LOCAL_BUILD_IMAGE")
  fi
  PROBE_STATUS=0
  PROBE_OUTPUT="$(limit_time "${LAYERPROOF_ENGINE_TIMEOUT:-10}" docker inspect --format "$OBSERVATION" \
    "$1" "${images[@]}" 2>&1)" || PROBE_STATUS=$?
}

# observe CONTAINER: inspects, on an engine that answers. Exits 3 where there is none.
observe() {
  inspect_objects "$1"
  [ "$PROBE_STATUS" -ne 0 ] || return 0
  case "$PROBE_OUTPUT" in
    *[Nn]'o such object'*) ;;
    *)
      connect_engine
      inspect_objects "$1"
      ;;
  esac
}

# read_observation: PROBE_OUTPUT → CONTAINER_ID, CONTAINER_STATE (absent where there is none of this project),
# CONTAINER_STARTED, CONTAINER_IMAGE, CONTAINER_CONFIG, CONTAINER_INPUTS; IMAGE_ID and IMAGE_INPUTS of the dev image;
# BUILD_IMAGE and BASE_ID; NAME_TAKEN=1 where another's container has our name.
read_observation() {
  local kind tags id state started image project role config inputs
  CONTAINER_ID='' CONTAINER_STATE=absent CONTAINER_STARTED='' CONTAINER_IMAGE='' CONTAINER_CONFIG='' CONTAINER_INPUTS=''
  IMAGE_ID='' IMAGE_INPUTS='' BASE_ID='' NAME_TAKEN=''
  BUILD_IMAGE="$(choose_image "${DOCKER_IMAGE:-}" "$DEFAULT_BUILD_IMAGE" "$LOCAL_BUILD_IMAGE")"
  while IFS='|' read -r kind tags _ id state started image project role config inputs; do
    case "$kind" in
      image)
        case " $tags" in
          *" $DEV_IMAGE "*) [ -n "$IMAGE_ID" ] || IMAGE_ID="$id" IMAGE_INPUTS="$inputs" ;;
        esac
        case " $tags" in
          *" $BUILD_IMAGE "*) BASE_ID="$id" ;;
          *) [ -z "${DOCKER_IMAGE:-}" ] || [ "$id" = "$IMAGE_ID" ] || BASE_ID="$id" ;;
        esac
        ;;
      container)
        if [ "$project" = "$PROJECT_ID" ] && [ "$role" = dev ]; then
          CONTAINER_ID="$id" CONTAINER_STATE="$state" CONTAINER_STARTED="$started" CONTAINER_IMAGE="$image"
          CONTAINER_CONFIG="$config" CONTAINER_INPUTS="$inputs"
        else
          NAME_TAKEN=1
        fi
        ;;
    esac
  done <<<"$PROBE_OUTPUT"
}

# find_labelled: ids of this project's dev containers, whatever their names.
find_labelled() {
  docker ps --all --quiet --no-trunc \
    --filter "label=layerproof.project=$PROJECT_ID" --filter label=layerproof.role=dev 2>/dev/null
}

# look: observes and reads; by name first, by label where the name leads nowhere. Leaves the reasons in STALE_BECAUSE.
look() {
  local id taken
  observe "$CONTAINER_NAME"
  read_observation
  if [ "$CONTAINER_STATE" = absent ]; then
    taken="$NAME_TAKEN"
    id="$(find_labelled | head -n 1)"
    if [ -n "$id" ]; then
      observe "$id"
      read_observation
    fi
    NAME_TAKEN="$taken"
  fi
  settle_inputs
  explain_staleness
}

# directory_identity: tells this directory from another one that came to have its path.
directory_identity() {
  stat -c %d.%i.%W . 2>/dev/null || stat -f %d.%i.%B .
}

# settle_inputs: what a container made now would be made from, as WANTED_IMAGE_INPUTS and WANTED_INPUTS ("name=value"
# words), and their hash WANTED_CONFIG. From what is cheap to know; the engine's own settings are not asked for.
settle_inputs() {
  local dockerfile
  dockerfile="$(<"$DOCKERFILE")" || return
  dockerfile="$(hash_text "$dockerfile")" || return
  WANTED_IMAGE_INPUTS="dockerfile=$dockerfile stage=${LAYERPROOF_DEV_STAGE:-base} base=$BUILD_IMAGE@${BASE_ID#sha256:}"
  WANTED_INPUTS="$WANTED_IMAGE_INPUTS mounts=$(hash_text "$(directory_identity) $PWD
$CA_BUNDLE
$CREDENTIALS") user=$CALLER network=${LAYERPROOF_NETWORK:-auto}${LAYERPROOF_OFFLINE:+/offline=$LAYERPROOF_OFFLINE} version=$GUEST_VERSION"
  WANTED_CONFIG="$(hash_text "$WANTED_INPUTS")"
}

# input_value WORDS NAME: what stands behind NAME= in WORDS.
input_value() {
  local word
  for word in $1; do
    case "$word" in "$2="*) printf '%s\n' "${word#*=}" ;; esac
  done
}

# explain_staleness: fills STALE_BECAUSE with a reason for each way in which the container is not what it would be now.
explain_staleness() {
  local name words
  STALE_BECAUSE=()
  [ "$CONTAINER_STATE" != absent ] || return 0
  if [ "$CONTAINER_CONFIG" != "$WANTED_CONFIG" ]; then
    for name in dockerfile stage base mounts user network version; do
      [ "$(input_value "$CONTAINER_INPUTS" "$name")" != "$(input_value "$WANTED_INPUTS" "$name")" ] || continue
      case "$name" in
        dockerfile) words='the Dockerfile has changed' ;;
        stage) words='another stage of the Dockerfile is asked for' ;;
        base) words='the base image has changed' ;;
        mounts) words='what is mounted has changed' ;;
        user) words='it runs as another user' ;;
        network) words='the network setting has changed' ;;
        *) words='it was made by another version of the script' ;;
      esac
      STALE_BECAUSE+=("$words")
    done
    [ ${#STALE_BECAUSE[@]} -gt 0 ] || STALE_BECAUSE+=('its labels do not agree')
  elif [ -z "$IMAGE_ID" ]; then
    STALE_BECAUSE+=('its image was removed')
  elif [ "$IMAGE_ID" != "$CONTAINER_IMAGE" ]; then
    STALE_BECAUSE+=('its image has changed')
  fi
}

is_current() {
  [ "$CONTAINER_STATE" != absent ] && [ ${#STALE_BECAUSE[@]} -eq 0 ]
}

# next_move: what brings the container closer to running and current: ready | create | replace | start | unpause | wait
next_move() {
  case "$CONTAINER_STATE" in
    absent) printf 'create\n' ;;
    removing) printf 'wait\n' ;;
    dead) printf 'replace\n' ;;
    *)
      if ! is_current || [ "$CONTAINER_ID" = "${UNSTARTABLE:-}" ]; then
        printf 'replace\n'
      else
        case "$CONTAINER_STATE" in
          running) printf 'ready\n' ;;
          paused) printf 'unpause\n' ;;
          created | exited) printf 'start\n' ;;
          *) printf 'wait\n' ;;
        esac
      fi
      ;;
  esac
}

# ensure_container: returns with a running, current container of this project, whatever was there. Every move is one that
# another caller may have made already, so each is followed by another look. 3 when it cannot be had.
ensure_container() {
  local round
  UNSTARTABLE='' FAILURE=''
  for ((round = 0; round < 12; round++)); do
    look || return 3
    case "$(next_move)" in
      ready) return 0 ;;
      create) create_container || return 3 ;;
      replace)
        info "replacing the dev container: $(stale_words)"
        try_docker rm --force --volumes=false "$CONTAINER_ID" || :
        ;;
      start)
        info 'starting the dev container'
        try_docker start "$CONTAINER_ID" || UNSTARTABLE="$CONTAINER_ID"
        ;;
      unpause)
        info 'the dev container was paused; going on'
        try_docker unpause "$CONTAINER_ID" || :
        ;;
      wait) sleep 0.2 ;;
    esac
  done
  report_container_failure
  return 3
}

# stale_words: STALE_BECAUSE as one phrase.
stale_words() {
  local reason words=''
  for reason in ${STALE_BECAUSE[@]+"${STALE_BECAUSE[@]}"}; do
    words="$words${words:+; }$reason"
  done
  printf '%s\n' "${words:-it cannot be started}"
}

# try_docker ARGUMENTS...: a call whose failure may be another's success. Keeps the client's words in FAILURE.
try_docker() {
  local output status=0
  log_command docker "$@"
  output="$(docker "$@" 2>&1)" || status=$?
  [ "$status" -eq 0 ] || FAILURE="$output"
  return "$status"
}

report_container_failure() {
  error 'the dev container cannot be started'
  [ -z "$FAILURE" ] || printf '%s\n' "$FAILURE" >&2
  case "$FAILURE" in
    *'bind source path does not exist'* | *'ounts denied'*)
      hint "the engine does not see $PWD: it is on another machine, or the directory is not shared with it"
      ;;
    *'could not find bridge'* | *'network bridge not found'*)
      hint "the engine's default network does not work; LAYERPROOF_NETWORK=host uses this machine's"
      ;;
    *) hint 'scripts/dev-container.sh clean removes all that is kept of it; or build without it: scripts/build-lambda.sh prod' ;;
  esac
}
