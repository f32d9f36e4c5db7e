#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Everything that proves the program, stage by stage.  check.sh O [STAGE...]
#
# A stage prints TAP, of which each line counts, or nothing of the kind, and
# then its exit status is the one test.  What failed is shown at once; whole
# logs are O/STAGE.log.  The last line is "N passed, N failed, N skipped".
#
# With LONG=1 the long variants instead, which take hours.
#
# A stage whose tools are missing is skipped, but with CI=true it has failed.
. "$(dirname "$0")/tap.bash"
cd "$srctree" || exit
O=$1; shift
only=" $* "
passed=0 failed=0 skipped=0 table=()
mkdir -p "$O"
exec 9>"$O/.lock"
flock -n 9 || { echo "check: another one is at work in $O" >&2; exit 1; }

# tally LOG STATUS: "passed failed skipped" of one stage.
tally() {
	awk -v status="$2" '
	/^1\.\.[0-9]+/	{ plan += substr($1, 4) }
	/^ok( |$)/	{ if (tolower($0) ~ /# *skip/) s++; else p++ }
	/^not ok( |$)/	{ f++ }
	END {
		seen = p + f + s
		if (!seen && !plan)
			status ? f = 1 : p = 1		# no TAP
		else if (plan > seen)
			f += plan - seen		# it died on the way
		else if (status && !f)
			f = 1				# it failed after its last test
		print p + 0, f + 0, s + 0
	}' "$1"
}

# The tests that failed and what they said; without such lines, the end.
show() {
	awk '/^(not )?ok( |$)/ { bad = /^not/ } /^not ok/ || (bad && /^#/)' "$1" | head -n 200 | sed 's/^/    /' | grep . ||
		tail -n 40 "$1" | sed 's/^/    /'
	echo "    (all of it: $1)"
}

count() {	# count STAGE SECONDS PASSED FAILED SKIPPED
	passed=$((passed + $3)) failed=$((failed + $4)) skipped=$((skipped + $5))
	table+=("$(printf '%-14s %5d s %6d passed %4d failed %4d skipped' "$1" "$2" "$3" "$4" "$5")")
	echo "${table[-1]}"
}

wanted() { [ "$only" = "  " ] || [[ $only == *" $1 "* ]]; }

stage() {	# stage NAME COMMAND...
	local name=$1 log=$O/$1.log start=$SECONDS status=0 n

	wanted "$name" || return 0
	shift
	"$@" >"$log" 2>&1 </dev/null 9>&- || status=$?
	read -ra n < <(tally "$log" $status)
	count "$name" $((SECONDS - start)) "${n[@]}"
	[ "${n[1]}" -eq 0 ] || show "$log"
}

# needs STAGE TOOL...: are they here?  If not, the stage is dealt with.
needs() {
	local name=$1 tool

	shift
	wanted "$name" || return
	for tool; do
		command -v "$tool" >/dev/null && continue
		echo "$name: no $tool (make deps-install)"
		if [ "${CI:-}" = true ]; then count "$name" 0 0 1 0; else count "$name" 0 0 0 1; fi
		return 1
	done
}

build() {	# build FOLDER [VARIABLE=VALUE...]
	local folder=$1

	shift
	make O="$O/$folder" full_defconfig "$@" && make O="$O/$folder" W=1 -j"$jobs" all "$@"
}
# In as many parts as there are processors: no test needs what another leaves.
unit() {
	local i parts=() status=0 of=$((jobs < 9 ? jobs : 9))

	build "$@" && make O="$O/$1" W=1 -j"$jobs" "${@:2}" "$O/$1/bin/unit" || return
	for ((i = 0; i < of; i++)); do
		T_PART=$i/$of "$O/$1/bin/unit" >"$O/$1/unit.$i" 2>&1 &
		parts+=($!)
	done
	for i in "${parts[@]}"; do
		wait "$i" || status=1
	done
	cat "$O/$1"/unit.[0-9]
	return $status
}
# The lines that were run are counted, where it costs least.
covered() {
	local status=0

	unit "$@" COV=1 || status=1
	tests/coverage.sh "$O/$1" || status=1
	return $status
}
# The doors under ASan; no kernel device is needed.
host() {	# host FOLDER FILE...
	local status=0 tap=$O/host

	rm -rf "$tap" && mkdir "$tap"
	export tap SM=$O/$1/bin/sm
	shift
	# shellcheck disable=SC2016 # each shell of xargs expands it
	printf '%s\n' "$@" | xargs -P $(((jobs * 3 + 1) / 2)) -n 1 \
		sh -c 'bats --tap "$0" >"$tap/$(basename "$0").tap" 2>&1' || status=1
	cat "$tap"/*.tap
	return $status
}
# A third of a guest's time and more is spent waiting: for a disk, a deadline, the other side.  So twice as many at once.
lab() {	# lab FOLDER [FILE...]: its own report is a comment here, its TAP files count
	local status tap=$O/$1/lab/tap

	rm -rf "$tap"
	tests/lab/run.sh -b "$O/$1" -j $((jobs * 2)) --tap-dir "$tap" "${@:2}" | sed 's/^/# /'
	status=${PIPESTATUS[0]}
	cat "$tap"/*.tap
	return "$status"
}

# What was failed, killed and cut off, and recovered: of each build but one the same.
result() {
	local log logs=()

	for log in unit-musl host lab power; do
		! wanted $log || [ ! -e "$O/$log.log" ] || logs+=("$O/$log.log")
	done
	echo
	[ ${#logs[@]} -eq 0 ] || tests/sweep/table.sh "${logs[@]}"
	echo
	printf '%s\n' "${table[@]}"
	! wanted unit-clang || [ ! -e "$O/unit-clang.log" ] || grep '^# lib/' "$O/unit-clang.log"
	printf '%-14s %5d s\n\n' "in all" $SECONDS
	echo "$passed passed, $failed failed, $skipped skipped"
	[ $failed -eq 0 ]
	exit
}

# LONG=1, make check-long: more of what looks for the unexpected, for hours nobody
# waits.  Each stage is a test of the others with its own measure of length.
if [ -n "${LONG:-}" ]; then
	export SWEEP_EVERY=1 SWEEP_FIRST=1 SWEEP_WAYS='ENOSPC EINTR short' WRITELOG_EVERY=1 WRITELOG_FIRST=0 WRITELOG_STRIDE=7
	stage unit-musl unit musl
	needs host bats && stage host host musl tests/host/{sweep,image_crash,gc,lock}.bats
	needs lab bats && stage lab lab musl tests/{sweep,lvm_host,lvhd,nfs,writelog}.bats
	needs power bats && CUTS=1000 stage power lab musl tests/power.bats
	needs turns bats && STEPS=2000 stage turns lab musl tests/lvm_turns.bats
	needs ring bats && SECS=120 stage ring lab musl tests/lvm_ring.bats
	needs hosts bats && TURNS=40 stage hosts lab musl tests/nfs_hosts.bats
	needs growth bats && HOST_DEATHS=20 stage growth lab musl tests/nbd_hosts.bats
	needs resize bats && RESIZE_EVERY=41 RESIZE_KIND='file-vhd file-base file-raw file-nbd lvm-vhd lvm-thin lvm-raw' \
		RESIZE_HOW='kill EIO EIO+ ENOSPC EINTR short server' stage resize lab musl tests/live.bats
	needs doors bats && LAB_SR_TYPE=nfs stage doors lab musl tests/sr.bats
	needs churn bats && CHURN_PLACES='file xfs 4096 nfs' CHURN_FS='ext4 xfs' CHURN_STEPS=40 CHURN_OPS=3000 \
		GC_PLACES='lvm thin nfs' GC_STEPS=150 GC_DEPTH=29 GC_LIVE=6 GC_SECONDS=14400 stage churn lab musl tests/churn.bats
	needs trees bats && GC_STEPS=400 SM=$O/musl/bin/sm stage trees bats --tap -f "random trees" tests/host/gc.bats
	needs fuzz clang && stage fuzz tests/fuzz/fuzz.sh "$O/fuzz" "${FUZZ_SECONDS:-120}"
	result
fi

start=$SECONDS
stage unit-musl unit musl
# A machine that needs N times as long for this as two common processors (65 s) gets the time it takes: limits against what
# hangs are longer, and of what is sampled (system calls to die at, writes to be cut off at) a sample N times as thin.
export PACE=$(((SECONDS - start + 32) / 65))
[ $PACE -ge 1 ] || PACE=1
[ $PACE -le 6 ] || PACE=6
export LAB_PATIENCE=$((PACE * 2))
[ $PACE -eq 1 ] || echo "a slow machine: one of $PACE samples"
stage unit-gcc unit gcc CC=gcc SAN=address,undefined
needs unit-clang clang llvm-cov && stage unit-clang covered clang CC=clang
stage build-ubsan build ubsan SAN=undefined	# for the lab; its units ran under both sanitizers above
stage fuzz tests/fuzz/replay.sh "$O/gcc"
# in_order FOLDER NAME…: all its files, these first: the long ones, so that none of them is left alone at the end.
in_order() { { printf "$1/%s.bats\n" "${@:2}"; printf '%s\n' "$1"/*.bats; } | awk '!seen[$0]++'; }
# shellcheck disable=SC2046 # names without blanks
needs host bats && stage host host gcc $(in_order tests/host sweep gc image_crash image_broken vhd_sr)
lab_files() { in_order tests live nfs nbd_lvm lvhd lvm_host sr hybrid nbd power lvm_turns lvm_take nfs_hosts; }
# shellcheck disable=SC2046 # names without blanks
needs lab bats && stage lab lab musl $(lab_files)
# UBSan looks at how we compute, not at when we die or what a table of the kernel's says: few of the sweeps' deaths, one door
# (the others' have host's tests under it), and nothing of which others, or host's files of the same name, compute the same.
plain='lab_|docs|hybrid|power|writelog|lvm_ring|lvm_take|lvm_host|nfs_hosts|nbd_hosts|dm|churn|cbt|lock|stress|vg'
# shellcheck disable=SC2046 # names without blanks
needs lab-ubsan bats && LAB_DOORS=people STRESS_SECONDS=2 STEPS=40 SWEEP_EVERY=$((1201 * PACE)) stage lab-ubsan lab ubsan \
	$(lab_files | grep -vE "/($plain)")
needs driver bats && stage driver tests/driver_readme.sh "$O/driver"
stage layers tests/layers.sh
stage writable tests/lint/writable.sh "$O/musl"
stage kconfig tests/build/kconfig.sh "$O/kconfig"
stage make tests/build/make.sh "$O/make"
stage sweep tests/build/sweep.sh "$O/sweep"
stage size tests/build/size.sh "$O/size"
stage reproducible tests/build/reproducible.sh "$O/reproducible" "$O/musl"
needs lint clang-tidy cppcheck shellcheck && stage lint tests/lint/lint.sh "$O/lint"

result
