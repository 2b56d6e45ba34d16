# shellcheck shell=bash
# The files for AWS CodeBuild: buildspec.yml and codebuild-project-template.json. Functions only. Needs log.sh, project.sh and quote.sh.

# buildspec_text TRIPLE CARGO_FLAGS
buildspec_text() {
  cat <<SPEC
version: 0.2

env:
  variables:
    TARGET_ARCH: $(json_string "$1")
    CARGO_FLAGS: $(json_string "$2")

phases:
  pre_build:
    commands:
      - docker version
  build:
    commands:
      - ./scripts/build-lambda.sh prod

artifacts:
  files:
    - lambda-deployment.zip
    - lambda-package/bootstrap
SPEC
}

# project_template_text NAME TRIPLE: the input of `aws codebuild create-project --cli-input-json`.
project_template_text() {
  local type=LINUX_CONTAINER image=aws/codebuild/amazonlinux2-x86_64-standard:5.0
  case "$2" in
    aarch64-*)
      type=ARM_CONTAINER
      image=aws/codebuild/amazonlinux2-aarch64-standard:3.0
      ;;
  esac
  cat <<TEMPLATE
{
  "name": $(json_string "$1-build"),
  "description": $(json_string "Builds the Lambda package of $1"),
  "source": {
    "type": "GITHUB",
    "location": "https://github.com/OWNER/REPOSITORY.git",
    "buildspec": "buildspec.yml"
  },
  "artifacts": { "type": "S3", "location": "BUCKET", "packaging": "NONE" },
  "cache": { "type": "LOCAL", "modes": ["LOCAL_DOCKER_LAYER_CACHE", "LOCAL_SOURCE_CACHE"] },
  "environment": {
    "type": "$type",
    "image": "$image",
    "computeType": "BUILD_GENERAL1_MEDIUM",
    "privilegedMode": true
  },
  "serviceRole": "arn:aws:iam::ACCOUNT:role/ROLE",
  "timeoutInMinutes": 60
}
TEMPLATE
}

# write_configuration FILE TEXT: another version that was there before is kept beside it.
write_configuration() {
  printf '%s\n' "$2" >".$1.$$" || {
    rm -f ".$1.$$"
    return 1
  }
  if [ -f "$1" ] && ! cmp -s "$1" ".$1.$$"; then
    mv -f "$1" "$1.bak" || return
    warn "$1 was different; the former one is now $1.bak"
  fi
  mv -f ".$1.$$" "$1"
}

# write_codebuild TRIPLE CARGO_FLAGS
write_codebuild() {
  local name
  name="$(manifest_value Cargo.toml package name)"
  write_configuration buildspec.yml "$(buildspec_text "$1" "$2")" || return
  write_configuration codebuild-project-template.json "$(project_template_text "${name:-lambda}" "$1")" || return
  success 'wrote buildspec.yml and codebuild-project-template.json'
  info 'fill in OWNER, REPOSITORY, BUCKET, ACCOUNT and ROLE, then: aws codebuild create-project --cli-input-json file://codebuild-project-template.json'
}
