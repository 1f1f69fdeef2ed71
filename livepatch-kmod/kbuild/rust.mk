# SPDX-License-Identifier: GPL-2.0
# Included by Kbuild: builds $(obj)/policy.o from the crate, with the flags of the kernel that is built for, CONFIG_RUST or not.
#
#   LPK_RUSTC     a rustc from 1.85 on; stable is fine: RUSTC_BOOTSTRAP=1 is set as the kernel's own Makefile does
#   LPK_RUST_SRC  .../library of exactly that rustc (rustup component add rust-src; Debian: rust-web-src)

LPK_RUSTC    ?= rustc
LPK_RUST_SRC ?= $(shell $(LPK_RUSTC) --print sysroot)/lib/rustlib/src/rust/library
LPK_CRATE    ?= $(src)/../src
lpk-version  := $(shell $(LPK_RUSTC) --version | sed -E 's/^rustc 1\.([0-9]+)\..*/\1/')
lpk-from      = $(shell [ $(lpk-version) -ge $(1) ] && echo y)

# ABI and code model: what arch/x86/Makefile gives to Rust in a kernel with CONFIG_RUST. The target has no SSE and no red
# zone: a core built otherwise corrupts user registers. -Zplt=y because a module may have no GOTPCREL relocation (insmod:
# "Unknown rela relocation: 9").
lpk-flags := --target=x86_64-unknown-none -Cpanic=abort -Copt-level=2 -Ccodegen-units=1 -Crelocation-model=static \
	-Ccode-model=kernel -Cno-redzone=y -Cforce-unwind-tables=n -Csymbol-mangling-version=v0 -Zfunction-sections=n -Zplt=y

# Mitigations follow the kernel's configuration (6.9 put MITIGATION_ before the first two names); without them objtool warns.
ifneq ($(CONFIG_RETPOLINE)$(CONFIG_MITIGATION_RETPOLINE),)
lpk-flags += -Zretpoline-external-thunk
endif
ifneq ($(CONFIG_RETHUNK)$(CONFIG_MITIGATION_RETHUNK),)
lpk-flags += -Zfunction-return=thunk-extern
endif
ifdef CONFIG_X86_KERNEL_IBT
lpk-flags += -Zcf-protection=branch $(if $(call lpk-from,93),-Cjump-tables=n,-Zno-jump-tables)
endif
ifdef CONFIG_CALL_PADDING
lpk-flags += -Zpatchable-function-entry=$(CONFIG_FUNCTION_PADDING_BYTES),$(CONFIG_FUNCTION_PADDING_BYTES)
endif
ifdef CONFIG_FRAME_POINTER
lpk-flags += -Cforce-frame-pointers=y
endif

lpk-rustc = RUSTC_BOOTSTRAP=1 $(LPK_RUSTC) $(lpk-flags) --sysroot=/dev/null -L$(obj)/rust --out-dir $(obj)/rust

quiet_cmd_lpk_core = RUSTC [M] $@
      cmd_lpk_core = mkdir -p $(obj)/rust; $(lpk-rustc) --crate-name core --edition=$(if $(call lpk-from,87),2024,2021) \
	--crate-type=rlib -Cembed-bitcode=y --cap-lints=allow --cfg no_fp_fmt_parse $(LPK_RUST_SRC)/core/src/lib.rs

$(obj)/rust/libcore.rlib: $(LPK_RUST_SRC)/core/src/lib.rs FORCE
	$(call if_changed,lpk_core)

quiet_cmd_lpk_builtins = RUSTC [M] $@
      cmd_lpk_builtins = $(lpk-rustc) --crate-name compiler_builtins --edition=2021 --crate-type=rlib $<

$(obj)/rust/libcompiler_builtins.rlib: $(src)/compiler_builtins.rs $(obj)/rust/libcore.rlib FORCE
	$(call if_changed,lpk_builtins)

# One object: the crate and, by fat LTO, what it uses of core. objtool then checks it and adds ORC data: kernels with IBT
# run it over the linked module, the others would skip an object that none of their own rules made, and the unwinder would
# stop in Rust, on which transitions depend.
quiet_cmd_lpk_policy = RUSTC [M] $@
      cmd_lpk_policy = $(lpk-rustc) --crate-name livepatch_kmod --edition=2024 --crate-type=staticlib -Clto=fat \
	--cfg livepatch_kernel -Coverflow-checks=y $<; \
	$(LD) $(KBUILD_LDFLAGS) -r -u lpk_rs_command -o $@ $(obj)/rust/liblivepatch_kmod.a \
	$(if $(delay-objtool),,$(if $(CONFIG_OBJTOOL),; $(objtool) $(objtool-args-y) --module $@))

$(obj)/policy.o: $(LPK_CRATE)/lib.rs $(wildcard $(LPK_CRATE)/*.rs) $(obj)/rust/libcore.rlib $(obj)/rust/libcompiler_builtins.rlib FORCE
	$(call if_changed,lpk_policy)

targets += rust/libcore.rlib rust/libcompiler_builtins.rlib policy.o
clean-files += rust
