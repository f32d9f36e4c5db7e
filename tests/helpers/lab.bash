# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034 # status, output, stderr, lines are for the tests
#
# Tests on a real kernel: a guest of User Mode Linux and commands run in it.
# tests/lab/README.md tells how it works.  In a .bats file:
#
#	setup_file()    { load helpers/lab; lab_start --disk a:1G; }
#	teardown_file() { load helpers/lab; lab_stop; }
#	setup()         { load helpers/lab; }
#
#	@test "a disk can be formatted" {
#		guest_ok 'judge mkfs.ext4 -q /dev/lab/a'
#		guest 'sm sr probe /dev/lab/a'
#		[ "$status" -eq 4 ]
#	}
#
# Most functions take -n NAME for a second guest, and -t SECONDS for a limit
# (LAB_TIMEOUT, 30 without) after which the command is killed: status 124.  A limit
# is against what hangs: a check gives LAB_PATIENCE times as much.

! declare -F bats_require_minimum_version >/dev/null || bats_require_minimum_version 1.5.0

LAB_SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")/../lab" && pwd)
SM_BUILD=${SM_BUILD:-$LAB_SRC/../../build}
LAB_MODS=${LAB_MODS-loop,dm-mod,dm-snapshot,dm-thin-pool,dm-flakey,dm-log-writes,dm-delay,dm-dust,dm-zero,dm-switch,brd:rd_nr=2,nbd:nbds_max=4:max_part=0}

# bash's builtins and keywords: a text that begins with one needs a shell.
_lab_shell_words=" . : [ alias bg bind break builtin caller cd command compgen complete
 compopt continue declare dirs disown echo enable eval exec exit export false fc fg
 getopts hash help history jobs kill let local logout mapfile popd printf pushd pwd read
 readarray readonly return set shift shopt source suspend test times trap true type typeset
 ulimit umask unalias unset wait if then else elif fi case esac for select while until do
 done in function time coproc "
_lab_shell_words=${_lab_shell_words//$'\n'/ }

# Put a file into a variable without its NULs and last newlines, as $(<FILE) does
# with a fork.
_lab_slurp() {
	local _text

	if IFS= read -r -d '' _text <"$2"; then
		_text=$(tr -d '\0' <"$2")		# there was a NUL to stop at
	fi
	while [[ $_text == *$'\n' ]]; do
		_text=${_text%$'\n'}
	done
	printf -v "$1" %s "$_text"
}

# Set lines from output, as bats' run does, and return the status.
_lab_result() {
	lines=()
	[ -z "$output" ] || mapfile -t lines <<<"$output"
	return "$status"
}

_lab_fail() {
	echo "lab: $*" >&2
	return 1
}

# The options that all functions take: sets lab_name, lab_limit, lab_shift.
_lab_options() {
	lab_name=a lab_limit=${LAB_TIMEOUT:-30} lab_shift=0
	while :; do
		case ${1-} in
		-n) lab_name=$2 ;;
		-t) lab_limit=$2 ;;
		*) break ;;
		esac
		shift 2
		lab_shift=$((lab_shift + 2))
	done
	lab_limit=$((lab_limit * ${LAB_PATIENCE:-1}))
}

# A directory in memory for disks and for the guests' own memory: /dev/shm if
# programs can run from it (guests map their memory executable) and there is
# room, else TMPDIR.
_lab_base() {
	local base=/dev/shm free

	if [ -n "${LAB_BASE-}" ]; then
		echo "$LAB_BASE"
		return
	fi
	free=$(stat -f -c '%a*%S' "$base" 2>/dev/null) || free=0
	if [ ! -w "$base" ] || [ $((free)) -lt $((512 << 20)) ] ||
	   awk -v d="$base" '$2 == d && $4 ~ /(^|,)noexec(,|$)/ { bad = 1 } END { exit !bad }' /proc/mounts; then
		base=${TMPDIR:-/tmp}
	fi
	echo "$base"
}

# Directories whose keeper was itself killed by force have nobody else to go.
_lab_sweep() {
	local d

	for d in "$1"/smlab.*; do
		[ -e "$d/.alive" ] || continue
		if flock -n "$d/.alive" true 2>/dev/null; then
			rm -rf "$d"
		fi
	done
}

# lab_start [-n NAME] [--mem SIZE] [--disk NAME:SIZE]... [--shared NAME:SIZE]...
#           [--root small|host] [--mods LIST] [--net] [KERNEL-ARGUMENT...]
#
# Start a guest and wait until it takes commands.  Disks are /dev/ubda, … and
# /dev/lab/NAME in the order given, empty if new; what was written to one stays
# until lab_stop of the last guest.  A --shared disk may be given to two guests.
# With --net it has the interface vec0, in one network with all others that have.
lab_start() {
	local lab_name lab_limit lab_shift mem=256M root=small mods=$LAB_MODS tries
	local dir name size n=0 args=() disks=() remove=() names uml

	_lab_options "$@"
	shift "$lab_shift"
	uml=$(command -v linux.uml) || { _lab_broken "linux.uml is not installed"; return; }
	if [ -z "${LAB_TOOLS-}" ]; then
		bash "$LAB_SRC/build.sh" "$SM_BUILD/lab" || { _lab_broken "it cannot be built"; return; }
		LAB_TOOLS=$SM_BUILD/lab
	fi
	if [ ! -d "${LAB_DIR-}" ]; then
		dir=$(_lab_base)
		_lab_sweep "$dir"
		LAB_DIR=$(mktemp -d "$dir/smlab.XXXXXX")
		mkdir "$LAB_DIR/disks"
		remove=(-r "$LAB_DIR")
	fi
	export LAB_DIR LAB_TOOLS SM_BUILD
	dir=$LAB_DIR/$lab_name
	# A guest of the test before ends with it, but it takes a moment.
	for ((tries = 0; tries < 100; tries++)); do
		[ -e "$dir" ] || break
		sleep 0.05
	done
	[ ! -e "$dir" ] || { _lab_fail "guest $lab_name is there already"; return; }
	remove+=(-r "$dir")

	while [ $# -gt 0 ]; do
		case $1 in
		--mem) mem=$2 ;;
		--root) root=$2 ;;
		--mods) mods=$2 ;;
		--net)
			[ -S "$LAB_DIR/hub" ] || "$LAB_TOOLS/bin/hub" "$LAB_DIR/hub" $$ || return
			args+=("vec0:transport=bess,dst=$LAB_DIR/hub,depth=64")
			shift
			continue
			;;
		--disk | --shared)
			name=${2%%:*} size=${2#*:}
			[ -e "$LAB_DIR/disks/$name" ] || truncate -s "$size" "$LAB_DIR/disks/$name"
			args+=("ubd$((n++))$([ "$1" = --disk ] || echo c)=$LAB_DIR/disks/$name")
			disks+=("$name")
			;;
		*)
			args+=("$1")
			shift
			continue
			;;
		esac
		shift 2
	done

	mkdir -p "$dir/share/.lab"
	[ ! -e "$SM_BUILD/bin/smbox" ] || cp "$SM_BUILD/bin/smbox" "$dir/share/.lab/smbox"
	[ ! -e "$SM_BUILD/.config" ] || cp "$SM_BUILD/.config" "$dir/share/.lab/config"
	names=$(IFS=,; echo "${disks[*]}")
	env -i PATH="$PATH" HOME="$dir" TMPDIR="${LAB_DIR%/*}" LD_PRELOAD="$LAB_TOOLS/bin/registers.so" \
		"$LAB_TOOLS/bin/keeper" "${remove[@]}" "$dir" $$ \
		"$uml" mem="$mem" umid=lab uml_dir="$dir/" \
		root=/dev/root rootfstype=hostfs rootflags="$LAB_TOOLS/root" ro init=/init \
		con=null con0=null,fd:1 ssl=null ssl0=fd:3 ssl1=fd:4 quiet loglevel="${LAB_LOGLEVEL:-4}" \
		initcall_blacklist=raid6_select_algo,calibrate_xor_blocks pty.legacy_count=0 \
		lab_share="$dir/share" lab_name="$lab_name" lab_root="$root" lab_mods="$mods" \
		lab_disks="$names" "${args[@]}" || { _lab_broken "its keeper does not start"; return; }
	if ! _lab_power on -n "$lab_name" || ! lab_wait -n "$lab_name"; then
		lab_console -n "$lab_name" >&2
		lab_stop -n "$lab_name"
		_lab_broken "a guest does not start"
	fi
}

# Where there is no lab its tests are skipped, but not where they are the point.
# bats 1.8 cannot skip from setup_file, so it happens when a test needs the guest.
_lab_broken() {
	if [ "${CI-}" = true ] || [ -n "${LAB_MUST-}" ] || [ -z "${BATS_VERSION-}" ]; then
		_lab_fail "no lab: $1"
	else
		export LAB_BROKEN="no lab: $1"
	fi
}

# guest [-n NAME] [-t SECONDS] TEXT [ARG...]: run a bash script in the guest,
# with the arguments as $1 …  Sets status, output (stdout and stderr as they
# came) and lines, prints the output, and returns the status.
guest() {
	local lab_name lab_limit lab_shift out words

	[ -z "${LAB_BROKEN-}" ] || skip "$LAB_BROKEN"
	_lab_options "$@"
	shift "$lab_shift"
	out=$LAB_DIR/$lab_name/output.$BASHPID
	words=(bash -c "$1" guest "${@:2}")
	# A single command needs no shell, and that is three times faster.
	if [[ $1 =~ ^[A-Za-z0-9_./:,@%+\ -]+$ && " $_lab_shell_words " != *" ${1%% *} "* ]]; then
		IFS=' ' read -ra words <<<"$1"
	fi
	status=0
	"$LAB_TOOLS/bin/ask" -t "$lab_limit" -m -o "$out" "$LAB_DIR/$lab_name" \
		run "${words[@]}" || status=$?
	_lab_slurp output "$out"
	[ -z "$output" ] || printf '%s\n' "$output"
	_lab_result
}

# The same, but a status other than 0 fails the test in plain words.
guest_ok() {
	local lab_ok=a

	[ "$1" != -n ] || lab_ok=$2
	guest "$@" && return
	# Whoever has no use for the output still wants to know why there is no guest.
	[ "$status" -ne 125 ] || { printf '%s\n' "$output"; tail -n 20 "$LAB_DIR/$lab_ok/console"; } >&2
	_lab_fail "status $status of: ${*: -1}"
}

# grun [-n NAME] [-t SECONDS] CMD [ARG...]: run one command, no shell.  Sets
# status, output and lines from stdout, stderr from stderr.  The bytes as they
# came are in the files $LAB_OUT and $LAB_ERR until the next grun.
grun() {
	local lab_name lab_limit lab_shift

	[ -z "${LAB_BROKEN-}" ] || skip "$LAB_BROKEN"
	_lab_options "$@"
	shift "$lab_shift"
	LAB_OUT=$LAB_DIR/$lab_name/stdout.$BASHPID
	LAB_ERR=$LAB_DIR/$lab_name/stderr.$BASHPID
	status=0
	"$LAB_TOOLS/bin/ask" -t "$lab_limit" -o "$LAB_OUT" -e "$LAB_ERR" "$LAB_DIR/$lab_name" \
		run "$@" || status=$?
	_lab_slurp output "$LAB_OUT"
	_lab_slurp stderr "$LAB_ERR"
	[ -z "$output" ] || printf '%s\n' "$output"
	[ -z "$stderr" ] || printf '%s\n' "$stderr" >&2
	_lab_result
}

# --- power ---------------------------------------------------------------

_lab_power() {
	local verb=$1 lab_name lab_limit lab_shift

	shift
	_lab_options "$@"
	"$LAB_TOOLS/bin/ask" "$LAB_DIR/$lab_name" "$verb"
}

# A power cut: everything of the guest is gone in one moment.  Disks stay.
lab_kill() {
	_lab_power off "$@"
}

# Start the guest again with the disks and arguments it had.
lab_restart() {
	_lab_power stop "$@" && _lab_power on "$@" && lab_wait "$@"
}

# The guest sleeps, its clock does not; nothing may be asked of it meanwhile.
lab_freeze() {
	_lab_power freeze "$@"
}

lab_thaw() {
	_lab_power thaw "$@"
}

# Until the guest, started before, takes commands.
lab_wait() {
	grun "$@" true
}

# Shut down and forget the guest; the last one takes the disks with it.
lab_stop() {
	local lab_name lab_limit lab_shift

	_lab_options "$@"
	[ -d "${LAB_DIR-}/$lab_name" ] || return 0
	_lab_power stop "$@" || true
	_lab_power quit "$@" || true
	rm -rf "${LAB_DIR:?}/$lab_name"
	if ! compgen -G "$LAB_DIR/*/run" >/dev/null; then
		rm -rf "${LAB_DIR:?}"
		unset LAB_DIR
	fi
}

# What the kernel, and whoever wrote to /dev/console, said.
lab_console() {
	local lab_name lab_limit lab_shift

	_lab_options "$@"
	cat "$LAB_DIR/$lab_name/console"
}

# --- things in the guest -------------------------------------------------

# lab_mod [-n NAME] MODULE...: load kernel modules and what they need.
lab_mod() {
	local lab_name lab_limit lab_shift

	_lab_options "$@"
	shift "$lab_shift"
	grun -n "$lab_name" insmods /lib/lab/modules "$@"
}

# guest_put [-n NAME] FILE PATH: copy a file of the host into the guest.
guest_put() {
	local lab_name lab_limit lab_shift tmp=put.$BASHPID.$RANDOM

	_lab_options "$@"
	shift "$lab_shift"
	# A new name each time: the guest may have the old contents in its cache.
	cp "$1" "$LAB_DIR/$lab_name/share/$tmp"
	guest_ok -n "$lab_name" "cp \"/share/$tmp\" \"\$1\" && rm /share/$tmp" "$2"
}

# guest_get [-n NAME] PATH FILE: copy a file of the guest to the host.
guest_get() {
	local lab_name lab_limit lab_shift tmp=get.$BASHPID.$RANDOM

	_lab_options "$@"
	shift "$lab_shift"
	guest_ok -n "$lab_name" "cp \"\$1\" /share/$tmp" "$1"
	mv "$LAB_DIR/$lab_name/share/$tmp" "$2"
}

# guest_log on: receive what is sent to /dev/log from now on.  guest_log: print it.
guest_log() {
	if [ "${1-}" = on ]; then
		guest_ok 'mkdir -p /tmp/log; : >/tmp/log/messages
			[ -S /dev/log ] || syslogd -O /tmp/log/messages
			until [ -S /dev/log ]; do sleep 0.01; done'
	else
		guest 'cat /tmp/log/messages'
	fi
}

# needs SYMBOL...: skip the test unless the build under test has CONFIG_SYMBOL.
needs() {
	local symbol

	for symbol; do
		grep -q "^CONFIG_$symbol=" "$SM_BUILD/.config" || skip "built without $symbol"
	done
}
