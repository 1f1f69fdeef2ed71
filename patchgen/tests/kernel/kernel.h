/* Macros that leave behind what the kernel's own do: entries of tables about code. */
#ifndef KERNEL_H
#define KERNEL_H

typedef unsigned long size_t;
#define noinline __attribute__((noinline))
#define unlikely(x) __builtin_expect(!!(x), 0)
#define __init __attribute__((section(".init.text")))
#define __read_mostly __attribute__((section(".data..read_mostly")))
#define __once __attribute__((section(".data.once")))

#ifdef NEW
#define CHOOSE(old, new) new
#else
#define CHOOSE(old, new) old
#endif

extern int printk(const char *format, ...);
extern void use(const void *pointer);
extern int value(int x);

/* include/asm-generic/bug.h and arch/x86/include/asm/bug.h */
#define BUG_FLAGS(line, flags) \
	asm volatile("1: ud2\n" \
		     ".pushsection __bug_table, \"aw\"\n" \
		     "2: .long 1b - 2b\n\t.long %c0 - 2b\n\t.word %c1\n\t.word %c2\n\t.org 2b + 12\n" \
		     ".popsection" \
		     : : "i"(__FILE__), "i"(line), "i"(flags))
#define WARN_ON(condition) ({ if (unlikely(condition)) BUG_FLAGS(__LINE__, 1); })
#define WARN_ON_ONCE(condition) ({ \
	static _Bool __already_done __once; \
	if (unlikely(condition) && !__already_done) { __already_done = 1; BUG_FLAGS(__LINE__, 1); } })

/* arch/x86/include/asm/alternative.h */
#define ALTERNATIVE(old, new, feature) \
	"771: " old "\n772:\n" \
	".pushsection .altinstructions, \"a\"\n" \
	".long 771b - .\n.long 774f - .\n.word " #feature "\n.byte 772b - 771b\n.byte 775f - 774f\n" \
	".popsection\n" \
	".pushsection .altinstr_replacement, \"ax\"\n774: " new "\n775:\n.popsection\n"

/* arch/x86/include/asm/jump_label.h */
struct static_key { int enabled; void *entries; };
static inline __attribute__((always_inline)) int static_branch(struct static_key *const key)
{
	asm goto("1: .byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n"
		 ".pushsection __jump_table, \"aw\"\n.balign 8\n"
		 ".long 1b - .\n.long %l[yes] - .\n.quad %c0 - .\n.popsection"
		 : : "i"(key) : : yes);
	return 0;
yes:
	return 1;
}

/* arch/x86/include/asm/asm.h: a load that may fail */
#define LOAD_OR(error, to, from) ({ \
	int __failed = 0; \
	asm volatile("1: mov %2, %1\n2:\n" \
		     ".pushsection .fixup, \"ax\"\n3: mov %3, %0\n\tjmp 2b\n.popsection\n" \
		     ".pushsection __ex_table, \"a\"\n.long 1b - .\n.long 3b - .\n.long 0\n.popsection" \
		     : "+r"(__failed), "=r"(to) : "m"(*(from)), "i"(error)); \
	__failed; })

/* include/linux/printk.h with CONFIG_PRINTK_INDEX */
struct pi_entry { const char *format, *func, *file; unsigned int line; };
#define pr_indexed(text) ({ \
	static const struct pi_entry _entry = { text, __func__, __FILE__, __LINE__ }; \
	static const struct pi_entry *_entry_ptr __attribute__((used, section(".printk_index"))) = &_entry; \
	printk(text); })

/* include/linux/dynamic_debug.h */
struct ddebug { const char *module, *function, *file, *format; unsigned int line, flags; } __attribute__((aligned(8)));
#define pr_debug(text) ({ \
	static struct ddebug __attribute__((section("__dyndbg"))) descriptor = { "case", __func__, __FILE__, text, __LINE__, 0 }; \
	if (unlikely(descriptor.flags)) printk(text, &descriptor); })

/* include/linux/export.h and module.h */
#define MODULE_INFO(tag, text) \
	static const char __UNIQUE_ID_##tag##100[] __attribute__((used, section(".modinfo"))) = #tag "=" text
#define atomic_inc(p) asm volatile(".pushsection .smp_locks, \"a\"\n.balign 4\n.long 671f - .\n.popsection\n671: lock; incl %0" : "+m"(*(p)))

/* arch/x86/include/asm/runtime-const.h */
#define RUNTIME_POINTER(sym) ({ void *__ret; \
	asm("mov %1,%0\n1:\n.pushsection runtime_ptr_" #sym ",\"a\"\n.long 1b - 8 - .\n.popsection" \
	    : "=r"(__ret) : "i"(0x0123456789abcdefull)); __ret; })
#define RUNTIME_SHIFT(val, sym) ({ unsigned __ret = (val); \
	asm("shrl $12,%k0\n1:\n.pushsection runtime_shift_" #sym ",\"a\"\n.long 1b - 1 - .\n.popsection" : "+r"(__ret)); __ret; })

/* arch/x86/include/asm/static_call.h */
#define STATIC_CALL_BY(name, key) \
	asm volatile("1: call __SCT__" #name "\n.pushsection .static_call_sites, \"aw\"\n.long 1b - .\n.long __SCK__" #key " - .\n" \
		     ".popsection" : : : "memory")
#define STATIC_CALL(name) STATIC_CALL_BY(name, name)
struct call_key { void *func; unsigned long type; };
#define STATIC_CALL_DEFINE(name, function) \
	struct call_key __SCK__##name = { function, 1 }; \
	asm(".pushsection .static_call.text, \"ax\"\n.balign 4\n.globl __SCT__" #name "\n__SCT__" #name ":\n" \
	    ".byte 0xe9\n.long " #function " - (. + 4)\n.byte 0x0f, 0xb9, 0xcc\n" \
	    ".type __SCT__" #name ", @function\n.size __SCT__" #name ", . - __SCT__" #name "\n.popsection");

/* include/linux/btf_ids.h */
#define BTF_ENTRY_(name) \
	".local __BTF_ID__" #name "\n.type __BTF_ID__" #name ", STT_OBJECT\n.size __BTF_ID__" #name ", 4\n__BTF_ID__" #name ": .zero 4\n"
#define BTF_PASTE(name, number) BTF_ENTRY_(name##__##number)
#define BTF_ENTRY(name, number) BTF_PASTE(name, number)
#define BTF_LIST(name, entries) \
	asm(".pushsection .BTF_ids,\"a\"\n.local " #name "\n" #name ":\n" entries ".popsection");

#endif
