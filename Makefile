# SPDX-License-Identifier: LGPL-2.1-or-later
# Everything is built in $(O); the source tree is only read.
#
#     make dom0_defconfig && make        make O=out V=1        make help
#
# A directory that holds code holds a Makefile of lists and nothing else:
#     obj-y                 += always.o
#     obj-$(CONFIG_FMT_VHD) += vhd.o
#     obj-$(CONFIG_LVM2)    += lvm2/          (read that directory too)

VERSION := 0.1.0
PREFIX  ?= /usr/local
O       ?= build
override O := $(abspath $O)
srctree := $(abspath $(dir $(lastword $(MAKEFILE_LIST))))
MAKEFLAGS += -rR --no-print-directory
Q       := $(if $(V),,@)
silent  := $(findstring s,$(filter-out --%,$(firstword -$(MAKEFLAGS))))
say      = $(if $(V),,@$(if $(silent),,printf '  %-7s %s\n' $1 $(@:$O/%=%);))

ifneq ($(words $O $(srctree)),2)
$(error Make cannot work in a path with blanks: $O)
endif

all: $O/bin/smbox $(if $(CROSS_COMPILE),,$O/bin/.links)

# --- order of goals ------------------------------------------------------
# "make -j2 clean tiny_defconfig all": the first two change what the third
# reads, so such goals run one at a time.

sets  := $(filter clean %config,$(MAKECMDGOALS))
mixed := $(and $(sets),$(word 2,$(MAKECMDGOALS)))
ifdef mixed
.NOTPARALLEL:
$(sort all $(MAKECMDGOALS)): one_by_one ; @:
one_by_one:
	@set -e; for goal in $(MAKECMDGOALS); do $(MAKE) $$goal; done
.PHONY: $(sort all one_by_one $(MAKECMDGOALS))
else

# --- configuration -------------------------------------------------------

kconfig = @$(srctree)/configs/kconfig.sh $(srctree) $O

defconfig: full_defconfig
%_defconfig: FORCE
	$(kconfig) defconfig $(srctree)/configs/$@
menuconfig olddefconfig savedefconfig: | $O/.config
	$(kconfig) $@
allnoconfig allyesconfig:
	$(kconfig) $@
$O/.config:
	@echo '  CONFIG  full, for want of another' >&2
	$(kconfig) defconfig $(srctree)/configs/full_defconfig
$O/auto.conf: $O/.config $(wildcard $(srctree)/Kconfig $(srctree)/*/Kconfig) $(srctree)/configs/kconfig.sh
	$(kconfig) sync

unconfigured := %config clean help deps deps-install layers lint analyze check check-long check-cross fuzz demo bench
ifneq ($(filter-out $(unconfigured),$(or $(MAKECMDGOALS),all)),)
include $O/auto.conf
endif

# --- what to build it with -----------------------------------------------

comma    := ,
sans     := $(subst $(comma), ,$(SAN))
# Sanitizers with a run-time library need glibc; UBSan alone can trap instead.
with_rt  := $(filter-out undefined,$(sans))
cross_cc := $(if $(CROSS_COMPILE),$(or $(notdir $(shell command -v $(CROSS_COMPILE:gnu-=musl-)gcc)),$(CROSS_COMPILE)gcc))
CC       := $(or $(if $(with_rt),$(CROSS_COMPILE)gcc),$(cross_cc),$(subst ",,$(CONFIG_CC)),musl-gcc)
triplet  := $(shell command -v $(firstword $(CC)) >/dev/null && $(CC) -dumpmachine)
musl     := $(findstring musl,$(CC) $(triplet))
static   := $(and $(musl),$(CONFIG_STATIC))
machine  := $(firstword $(subst -, ,$(triplet)))
ifneq ($(and $(musl),$(with_rt)),)
$(error SAN=$(SAN) needs glibc: leave CC alone, or give CC=gcc or CC=clang)
endif

# --- what to build -------------------------------------------------------

objs :=
define walk
obj-y :=
include $(srctree)/$1/Makefile
objs += $$(addprefix $O/obj/$1/,$$(filter %.o,$$(obj-y)))
$$(foreach d,$$(filter %/,$$(obj-y)),$$(eval $$(call walk,$1/$$(d:/=))))
endef
$(foreach d,arch lib drivers sm,$(eval $(call walk,$d)))

# --- how to build it -----------------------------------------------------

CFLAGS  ?=
ccflags  = -std=gnu11 -D_GNU_SOURCE -g $(if $(CONFIG_OPTIMIZE_SIZE),-Oz -fno-jump-tables,-O2) \
           -fno-strict-aliasing -ffunction-sections -fdata-sections \
           -fno-asynchronous-unwind-tables -fno-unwind-tables \
           $(if $(CONFIG_STACK_PROTECTOR),-fstack-protector-strong,-fno-stack-protector) \
           -Wall -Wextra -Wno-unused-parameter -Wstrict-prototypes -Wmissing-prototypes \
           -Wvla -Wundef -Wformat=2 $(if $W,-Werror) \
           -gno-record-gcc-switches -ffile-prefix-map=$(CURDIR)=. \
           -ffile-prefix-map=$(srctree)/= -ffile-prefix-map=$(srctree)=. -ffile-prefix-map=$O=build
# Data begins in the page of the file in which code ends: no padding between them.
small    = -Wl,--sort-section=alignment,-z,norelro,-z,noseparate-code,-z,common-page-size=64,--build-id=none
# Sorted, data needs a page less in dom0.
safe     = -Wl,--sort-section=alignment,-z,relro,-z,now
ldflags  = -Wl,--gc-sections,-z,noexecstack $(if $(CONFIG_OPTIMIZE_SIZE),$(small),$(safe))
includes = -I$(srctree) -I$O/include $(if $(musl),-idirafter $O/uapi)
ifdef static
ccflags += -fno-pie
ldflags += -static -no-pie
endif
ifdef SAN
ccflags += -fsanitize=$(SAN) -fno-omit-frame-pointer -O1 \
           $(if $(musl),-fsanitize-undefined-trap-on-error,-fno-sanitize-recover=all)
ldflags += $(if $(musl),,-fsanitize=$(SAN))
endif
ifdef COV
ccflags += --coverage -O1 -DOWN_CALLS
ldflags += --coverage
endif

# Tables of jumps are data, of which dom0 has no room for more.
# What waits for the kernel or for a person gains nothing from a longer program;
# what goes over every byte or every volume does.
hot := lib/serve/disk_read.o lib/serve/disk_write.o lib/serve/session.o lib/qcow2/inflate.o arch/x86_64/% \
       $(patsubst %,lib/%.o,arena buf crc32 image_read io io_file io_keep io_sparse num \
       utf8 uuid zero text/json_write text/text $(addprefix vhd/,bat batch batmap bitmap read write) \
       $(addprefix lvm2/,alloc commit decode decode_lv decode_plain lv map mda ops print show text tree vg))
cold = $(if $(SAN)$(COV),,$(if $(CONFIG_OPTIMIZE_SIZE),$(lean),$(if $(filter $(hot),$(@:$O/obj/%=%)),,-Oz -fno-jump-tables $(lean) $(guard))))
# What gcc still copies for speed at -Oz: 3 % of the program.  Loops as they stand make
# it see what is not set where all is; the sanitizers' builds, without this, still look.
lean = $(if $(findstring gcc,$(CC)),-fno-guess-branch-probability -fno-tree-ch -fno-thread-jumps -fno-caller-saves \
       -fno-inline-small-functions -Wno-maybe-uninitialized)
# Decoders meet hostile bytes: all that has an address is guarded.  Elsewhere what has a buffer.
guard = $(if $(CONFIG_STACK_PROTECTOR),$(if $(filter sm/% drivers/%,$(@:$O/obj/%=%)),-fstack-protector))

# What was used last time: a change of flags rebuilds what it touches.
differs = cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$O/.cc: FORCE
	@command -v $(firstword $(CC)) >/dev/null || { echo '$(firstword $(CC)) is missing:' \
		'apt-get install $(if $(musl),musl-tools,$(firstword $(CC))) (or: make deps-install)' >&2; exit 1; }
	$(file >$@.new,$(CC) $(ccflags) $(CFLAGS) $(includes) $(hot)) @$(differs)
$O/.ld: FORCE
	$(file >$@.new,$(CC) $(ldflags) $(LDFLAGS) $(objs)) @$(differs)
$O/include/version.h: FORCE
	@sh $(srctree)/configs/version.sh $(srctree) $(VERSION) $(config_name) $(COMMIT) >$@.new && { $(differs); }

# musl brings no kernel headers, and /usr/include as a whole would bring glibc's.
uapi := $(if $(musl),$O/uapi/.made)
KERNEL_HEADERS ?= /usr/include /usr/include/$(triplet) /usr/$(triplet)/include
$O/uapi/.made: $O/.cc
	@mkdir -p $(@D) && for d in linux asm asm-generic mtd rdma scsi; do \
		for h in $(KERNEL_HEADERS); do [ ! -d $$h/$$d ] || ln -sfn $$h/$$d $(@D)/; done; done
	@[ -e $(@D)/linux/loop.h ] && [ -e $(@D)/asm/types.h ] && touch $@ || { echo \
		'the kernel headers are missing: apt-get install linux-libc-dev (or: make deps-install)' >&2; exit 1; }

$O/obj/%.o: $(srctree)/%.c $O/.cc | $(uapi) $O/include/version.h
	@mkdir -p $(@D)
	$(if $(COV),@rm -f $(@:.o=.gcda))
	$(call say,CC)$(CC) $(ccflags) $(cold) $(CFLAGS) $(includes) -MMD -MP -c -o $@ $<
	@awk -v stamps=$O/include/config -f $(srctree)/configs/asks.awk $(@:.o=.d) >$(@:.o=.d).new && mv $(@:.o=.d).new $(@:.o=.d)
# A page less: code begins behind the headers, not in a page of its own.  The rest as the linker has it.
script := $(if $(and $(static),$(filter x86_64,$(machine))),$(if $(CONFIG_OPTIMIZE_SIZE),,$O/ld.script))
$O/ld.script: $O/.ld
	$Q$(CC) $(ldflags) -Wl,--verbose 2>/dev/null | \
		sed '1,/^=====/d; /^=====/,$$d; 0,/\. = ALIGN(CONSTANT (MAXPAGESIZE));/s///' >$@ && grep -q SECTIONS $@
$O/bin/smbox: $(objs) $O/.ld $(script)
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(ldflags) $(addprefix -Wl$(comma)-T$(comma),$(script)) -o $@ $(objs) $(LDFLAGS)
$O/bin/smbox.stripped: $O/bin/smbox
	$(call say,STRIP)$(CROSS_COMPILE)strip -s -R .comment -o $@ $<

# Only a program can name its applets; across machines its native twin does.
$O/applets: $O/bin/smbox
ifdef CROSS_COMPILE
	@mkdir -p $O/native && cp $O/.config $O/native/
	@env -u MAKEFLAGS -u MFLAGS -u CROSS_COMPILE -u CC $(MAKE) -s -f $(srctree)/Makefile O=$O/native $O/native/applets
	$Qcp $O/native/applets $@
else
	$Q$< --list >$@
endif
$O/bin/.links: $O/applets
	$Qfind $(@D) -type l -delete
	$Qfor a in $$(cat $O/applets); do ln -s smbox $(@D)/$$a; done; touch $@
install: $O/bin/smbox.stripped $O/applets
	$Qinstall -D -m 755 $< $(DESTDIR)$(PREFIX)/bin/smbox
	$Qfor a in $$(cat $O/applets); do ln -sfn smbox $(DESTDIR)$(PREFIX)/bin/$$a; done

# --- checks --------------------------------------------------------------

unit := $(patsubst $(srctree)/%.c,$O/obj/%.o,$(wildcard $(srctree)/tests/unit/*.c))
ifdef CONFIG_UNIT_TESTS
$O/bin/unit: $(unit) $(filter-out $O/obj/sm/main.o,$(objs)) $O/.ld
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(ldflags) -o $@ $(filter %.o,$^) $(LDFLAGS)
else
$O/bin/unit: FORCE
	@echo 'unit tests need CONFIG_UNIT_TESTS: make full_defconfig' >&2; exit 1
endif
unit: $O/bin/unit
	$Q$< $(T)

-include $(patsubst %.o,%.d,$(objs) $(unit))

tests := $(srctree)/tests
size: $O/bin/smbox.stripped
	$Qsh $(tests)/build/objects.sh $O $(objs)
	$Q$(tests)/build/size.sh $O/size
check: deps-install
	$Q$(tests)/check.sh $O/check $(STAGES)
check-long: deps-install
	$QLONG=1 $(tests)/check.sh $O/check-long $(STAGES)
check-cross:
	$Q$(tests)/cross/check.sh $O/cross
lint:
	$Q$(tests)/lint/lint.sh $O/lint
layers:
	$Q$(tests)/layers.sh
analyze:
	$Q$(MAKE) -s O=$O/analyze CC=gcc full_defconfig
	$Q$(MAKE) -k O=$O/analyze CC=gcc CFLAGS='-fanalyzer -O1'
fuzz:
	$Q$(tests)/fuzz/fuzz.sh $O/fuzz $(or $(SECONDS),60)
demo:
	$Q$(tests)/demo.sh $O/demo
bench:
	$Q$(tests)/bench.sh $O/bench $(BENCH)
deps:
	$Q$(tests)/deps.sh list
deps-install:
	$Q$(tests)/deps.sh install

help:
	@sed 's/^/  /' $(srctree)/configs/help.txt

clean:
	@[ ! -e $O ] || [ -e $O/include ] || { echo '$O does not look like a build folder: remove it yourself' >&2; exit 1; }
	$Qrm -rf $O

FORCE:
.PHONY: FORCE all install unit size check check-long check-cross lint analyze layers fuzz demo bench deps deps-install \
	help clean defconfig menuconfig olddefconfig savedefconfig allnoconfig allyesconfig
.DELETE_ON_ERROR:
endif
