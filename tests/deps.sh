#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What building and testing need of Debian 12.
#
#	deps.sh list			the packages, a group a line
#	deps.sh install [GROUP...]	those that are missing, by apt-get
#
# Groups: build, test, lab, judges (the default); cross for check-cross, bench for bench.
set -u

# shellcheck disable=SC2034 # read by their names
{
build="gcc musl-tools linux-libc-dev libc6-dev kconfig-frontends-nox make binutils file"
test="bats strace clang llvm libclang-rt-14-dev clang-tidy cppcheck shellcheck jq libxml2-utils xz-utils zstd git python3"
lab="user-mode-linux busybox-static bash-static kmod"
judges="qemu-utils libvhdi-utils python3-libvhdi libnbd-bin fio dmsetup lvm2 udev fdisk e2fsprogs xfsprogs thin-provisioning-tools xen-utils-4.17 nfs-kernel-server rpcbind dnsmasq-base iproute2"
cross="gcc-aarch64-linux-gnu linux-libc-dev-arm64-cross musl-dev:arm64 qemu-user-static"
bench="hyperfine jq python3"
}

missing() {
	for package; do
		dpkg-query -W -f='${Status}\n' "$package" 2>/dev/null | grep >/dev/null ' installed$' ||
			echo "$package"
	done
}

# Installing a server must not start it: neither in a container, nor here.
no_services() {
	local policy=/usr/sbin/policy-rc.d

	[ ! -e $policy ] || return 0
	printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy
	# shellcheck disable=SC2064 # the name is known now
	trap "rm -f $policy" EXIT
}

# The part that needs root.
as_root() {
	local apt=(apt-get -q -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3)

	export DEBIAN_FRONTEND=noninteractive
	no_services
	case " $* " in *:arm64*)
		dpkg --add-architecture arm64
	esac
	"${apt[@]}" update || echo "deps: no fresh package index; going on with the one that is here" >&2
	"${apt[@]}" install --no-install-recommends "$@"
}

install() {
	local packages want=()

	for group in "${@:-build test lab judges}"; do
		for g in $group; do
			case $g in
			build | test | lab | judges | cross | bench) read -ra packages <<<"${!g}" ;;
			*) echo "deps: no group $g" >&2; return 2 ;;
			esac
			want+=("${packages[@]}")
		done
	done
	if ! command -v dpkg-query >/dev/null; then
		echo "deps: no Debian; these packages or their like are needed: ${want[*]}" >&2
		return 0
	fi
	read -ra want <<<"$(missing "${want[@]}" | tr '\n' ' ')"
	[ ${#want[@]} -gt 0 ] || return 0
	echo "deps: installing ${want[*]}"
	if [ "$(id -u)" -eq 0 ]; then
		as_root "${want[@]}"
	elif command -v sudo >/dev/null; then
		sudo "$0" as_root "${want[@]}"
	else
		echo "deps: needs root: apt-get install --no-install-recommends ${want[*]}" >&2
		return 1
	fi
}

case ${1:-list} in
list)
	for g in build test lab judges cross bench; do
		printf '%-8s %s\n' $g "${!g}"
	done ;;
install) shift; install "$@" ;;
as_root) shift; as_root "$@" ;;
*) echo "usage: deps.sh list | install [GROUP...]" >&2; exit 2 ;;
esac
