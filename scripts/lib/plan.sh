# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153 # set here for, and set by, the scripts that source this
# What --dry-run prints: the commands that build-lambda.sh would run. Functions only; nothing is changed by them.
# Needs log.sh, project.sh, engine.sh, state.sh, package.sh, build.sh and host_cargo.sh.

# show_plan: the commands that would run, on stdout; nothing is changed by it.
show_plan() {
  [ "$CLEAN" = 0 ] || printf '%s\n' "rm -rf target $PACKAGE_DIRECTORY $PACKAGE_ZIP lambda-deployment-*.zip"
  if [ "$ACTION" = package ]; then
    printf '# package the binary that was built last\n'
    return 0
  fi
  case "$METHOD" in
    docker | prod)
      show_docker_build
      printf '# the binary goes to target/release\n'
      ;;
    dev)
      compose_dev_arguments
      quote_command "${DEV_COMMAND[@]}"
      ;;
    local)
      ! has_command rustup || quote_command rustup target add "${TRIPLE:-x86_64-unknown-linux-gnu}"
      compose_cargo "${TRIPLE:-x86_64-unknown-linux-gnu}"
      quote_command "${CARGO_COMMAND[@]}"
      ;;
    native)
      compose_cargo
      quote_command "${CARGO_COMMAND[@]}"
      ;;
    codebuild)
      printf '# write buildspec.yml and codebuild-project-template.json\n'
      return 0
      ;;
  esac
  printf '# package it: %s/bootstrap, %s\n' "$PACKAGE_DIRECTORY" "$PACKAGE_ZIP"
}

show_docker_build() {
  DOCKERFILE="$(find_dockerfile "$SCRIPTS")" || exit
  CA_BUNDLE="$(find_ca_bundle)" || exit
  CARGO_CREDENTIALS="$(find_cargo_credentials)" || exit
  PROJECT_ID="$(project_id)"
  LAYERPROOF_ENGINE_ATTEMPTS=1 assume_engine
  choose_triple
  choose_default_binary
  compose_build package "$(cache_id)" .
  output_option package target/.layerproof/out
  quote_command "${BUILD_COMMAND[@]}" "${OUTPUT[@]}"
  [ -n "$IMAGE_TAG" ] || return 0
  compose_build runtime "$(cache_id)" .
  output_option runtime ''
  quote_command "${BUILD_COMMAND[@]}" "${OUTPUT[@]}"
}

# assume_engine: the engine as it is; the defaults where none answers.
assume_engine() {
  BUILDX=(docker buildx)
  if (connect_engine && find_buildx) 2>/dev/null; then
    open_engine
    find_buildx
    return 0
  fi
  warn 'no engine with buildx answers; the defaults are shown'
  PROBE_OUTPUT='' ENGINE_NETWORK="${LAYERPROOF_NETWORK:-}" ENGINE_ARCHITECTURE=''
  BUILD_IMAGE="${DOCKER_IMAGE:-$DEFAULT_BUILD_IMAGE}" RUNTIME_IMAGE="${RUNTIME_IMAGE:-$DEFAULT_RUNTIME_IMAGE}"
}
