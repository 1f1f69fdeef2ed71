# shellcheck shell=bash
# What the scripts of this directory share: messages, the processes they own, the root of the tree.
#
# To be sourced by bash, after `set -euo pipefail`:
#
#     . "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
#
# It sets `root` (the top of the work tree) and `target_dir` (cargo's target directory), puts
# rustup's cargo on the PATH, and sets a trap that ends every process given to `own`.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target_dir=${CARGO_TARGET_DIR:-$root/target}
case $target_dir in /*) ;; *) target_dir=$root/$target_dir ;; esac
script_name=$(basename "$0")

# rustup writes this directory into login shells' PATH only.
if ! command -v cargo >/dev/null && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
    PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
fi

# Colours only where a person looks (https://no-color.org is respected).
bold='' dim='' red='' green='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
fi

# A line of result, to stdout.
say() { printf '%s\n' "$*"; }

# The headline of a step.
step() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }

# A remark on what follows.
note() { printf '%s   %s%s\n' "$dim" "$*" "$plain"; }

# A diagnostic, to stderr.
warn() { printf '%s: %s\n' "$script_name" "$*" >&2; }

# Ends the script with status 1 and one clear message.
die() {
    trap - ERR # this is the message
    printf '%s%s: %s%s\n' "$red" "$script_name" "$*" "$plain" >&2
    exit 1
}

# quoted WORD...: the words as they would be typed, in quotes where the shell needs them.
quoted() {
    local word line=
    for word in "$@"; do
        case $word in
            '&') ;;
            '' | *[!A-Za-z0-9_./=:,@%+-]*) word="'$word'" ;;
        esac
        line+=${line:+ }$word
    done
    printf '%s' "$line"
}

# Shows a command as a user would type it.
prompt() { printf '%s$%s %s\n' "$green" "$plain" "$(quoted "$@")"; }

# Shows a command, then runs it.
show() {
    prompt "$@"
    "$@"
}

# --- processes and files of ours, ended and removed on every way out ----------------------------

owned_pids=()
owned_paths=()

# own PID: end this process when the script ends.
own() { owned_pids+=("$1"); }

# own_path PATH: remove this file or directory when the script ends.
own_path() { owned_paths+=("$1"); }

# disown_pid PID: the process has ended and been waited for; its number may be another's by now.
disown_pid() {
    local kept=() pid
    for pid in "${owned_pids[@]}"; do
        if [ "$pid" != "$1" ]; then kept+=("$pid"); fi
    done
    owned_pids=("${kept[@]}")
}

# stop PID: ask the process to end, insist after five seconds, wait for it. It must be a child of
# this shell, so that its number cannot have been given to another process meanwhile.
stop() {
    local pid=$1 tries=0
    kill -TERM "$pid" 2>/dev/null || true
    while [ "$tries" -lt 50 ] && kill -0 "$pid" 2>/dev/null; do
        # A zombie answers `kill -0`; it has ended all the same.
        case $(sed -n 's/^State:[[:space:]]*//p' "/proc/$pid/status" 2>/dev/null) in Z*) break ;; esac
        sleep 0.1
        tries=$((tries + 1))
    done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    disown_pid "$pid"
}

# Called by the traps below only.
clean_up() {
    local status=$? path
    trap - EXIT ERR
    trap '' HUP INT TERM
    # A background job may have been started and not given to `own` yet.
    mapfile -t -O "${#owned_pids[@]}" owned_pids < <(jobs -p)
    while [ "${#owned_pids[@]}" -gt 0 ]; do stop "${owned_pids[0]}"; done
    for path in "${owned_paths[@]}"; do rm -rf -- "$path"; done
    exit "$status"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# wait_for SECONDS COMMAND...: run the command every 50 ms until it succeeds; fails after SECONDS.
wait_for() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.05
    done
}
