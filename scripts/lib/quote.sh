# shellcheck shell=bash
# How a text is written where another program reads it. Functions only.

# csv_field TEXT: one field of the comma-separated values that docker and buildx take.
csv_field() {
  case "$1" in
    *[,\"$'\n']*) printf '"%s"\n' "${1//\"/\"\"}" ;;
    *) printf '%s\n' "$1" ;;
  esac
}

# json_string TEXT: a JSON string.
json_string() {
  local text="${1//\\/\\\\}"
  text="${text//\"/\\\"}"
  text="${text//$'\n'/\\n}"
  printf '"%s"' "${text//$'\t'/\\t}"
}

# json_strings TEXT...: a JSON array.
json_strings() {
  local text list=''
  for text in "$@"; do
    list="$list${list:+, }$(json_string "$text")"
  done
  printf '[%s]\n' "$list"
}
