/* Confinements that a program puts on itself, by name. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define WHEN(value, then) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1), then
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
#define ALLOW(call) WHEN(__NR_##call, RETURN(SECCOMP_RET_ALLOW))
#define FILTER(name, ...) \
    static struct sock_filter name##_code[] = {LOAD(nr), __VA_ARGS__}; \
    static struct sock_fprog name = {sizeof name##_code / sizeof *name##_code, name##_code}

/* Kills for all that the program does not do itself: mmap, mprotect, memfd_create, restart_syscall, ... */
FILTER(killing, ALLOW(read), ALLOW(write), ALLOW(epoll_wait), ALLOW(rt_sigtimedwait), ALLOW(clock_nanosleep), ALLOW(poll),
       ALLOW(futex), ALLOW(rt_sigreturn), ALLOW(exit), ALLOW(exit_group), RETURN(SECCOMP_RET_KILL_PROCESS));
/* The same, for the errors that `SystemCallFilter=` with `SystemCallErrorNumber=` gives. */
FILTER(refusing, WHEN(__NR_mmap, RETURN(SECCOMP_RET_ERRNO | EPERM)), WHEN(__NR_mprotect, RETURN(SECCOMP_RET_ERRNO | EPERM)),
       WHEN(__NR_memfd_create, RETURN(SECCOMP_RET_ERRNO | EPERM)), RETURN(SECCOMP_RET_ALLOW));
/* What `MemoryDenyWriteExecute=` of systemd before 253 forbids. */
FILTER(systemd, WHEN(__NR_mprotect, LOAD(args[2])), BPF_STMT(BPF_MISC | BPF_TAX, 0), LOAD(nr),
       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mprotect, 0, 3), BPF_STMT(BPF_MISC | BPF_TXA, 0),
       BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1), RETURN(SECCOMP_RET_ERRNO | EPERM), LOAD(nr),
       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mmap, 0, 4), LOAD(args[2]), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, PROT_EXEC | PROT_WRITE),
       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROT_EXEC | PROT_WRITE, 0, 1), RETURN(SECCOMP_RET_ERRNO | EPERM), RETURN(SECCOMP_RET_ALLOW));

static void must(long result, const char *what) {
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

static void filter(struct sock_fprog *program) {
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
    must(syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, program), "seccomp");
}

static void landlock(void) {
    struct landlock_ruleset_attr all = {.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1};
    long ruleset = syscall(__NR_landlock_create_ruleset, &all, sizeof all, 0);
    must(ruleset, "landlock_create_ruleset");
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
    must(syscall(__NR_landlock_restrict_self, ruleset, 0), "landlock_restrict_self");
    close((int)ruleset);
}

static void become_nobody(void) {
    must(setgid(65534), "setgid");
    must(setuid(65534), "setuid");
}

static void confine(const char *how) {
    if (!strcmp(how, "filter"))
        filter(&killing);
    else if (!strcmp(how, "refusing"))
        filter(&refusing);
    else if (!strcmp(how, "systemd-mdwe"))
        filter(&systemd);
    else if (!strcmp(how, "strict"))
        must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0), "strict mode");
    else if (!strcmp(how, "mdwe"))
        must(prctl(65 /* PR_SET_MDWE */, 1 /* PR_MDWE_REFUSE_EXEC_GAIN */, 0, 0, 0), "PR_SET_MDWE");
    else if (!strcmp(how, "no-new-privs"))
        must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
    else if (!strcmp(how, "landlock"))
        landlock();
    else if (!strcmp(how, "nobody"))
        become_nobody();
    else if (!strcmp(how, "nobody-filter"))
        become_nobody(), must(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), "dumpable"), filter(&killing);
    else if (!strcmp(how, "not-dumpable"))
        must(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "not dumpable");
    else if (!strcmp(how, "nobody-not-dumpable"))
        become_nobody(), must(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "not dumpable");
    else if (!strcmp(how, "user-namespace"))
        must(unshare(CLONE_NEWUSER), "user namespace");
    else
        fprintf(stderr, "unknown confinement `%s`\n", how), exit(2);
}
