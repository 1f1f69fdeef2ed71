/* Puts its only thread to sleep on the stack that argv[1] names and prints "ready". The parent's death ends it. */
#define _GNU_SOURCE
#include <alloca.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#define FRAME __attribute__((noinline, noclone))
static volatile int sink;
static int pipes[2];

FRAME void say_ready(void) { static const char s[] = "ready\n"; if (write(1, s, 6) != 6) _exit(1); }
FRAME int asleep(void) { char c; say_ready(); int n = (int)read(pipes[0], &c, 1); sink = n; return n; }
FRAME int bystander(int x) { sink = x * 3; return sink; }

/* nested: outer -> middle -> inner -> asleep */
FRAME int inner(int x) { int r = asleep(); sink += x; return r + sink; }
FRAME int middle(int x) { volatile int keep = x; int r = inner(x + 1); return r + keep; }
FRAME int outer(int x) { int r = middle(x + 1); sink += r; return r; }

/* alloca: the frame pointer is the only way up */
FRAME int with_alloca(int x) { volatile char *p = alloca((size_t)x * 16 + 16); p[x] = 1; int r = inner(x); return r + p[x]; }

/* deep N: recursion */
FRAME int deep(int n) { volatile int keep = n; int r = n ? deep(n - 1) : asleep(); return r + keep; }
FRAME int bottom(int n) { int r = deep(n); sink += r; return r; }

/* signal: victim is interrupted, the handler sleeps */
static volatile int interrupted;
FRAME int victim(int x) { while (!interrupted) sink += x; return sink; }
FRAME int around_victim(int x) { int r = victim(x); sink += r; return r; }
static void handler(int s) { (void)s; sink = asleep(); interrupted = 1; }
static char alternate[65536] __attribute__((aligned(4096)));
static void arm(int flags) {
  struct sigaction act; memset(&act, 0, sizeof act); act.sa_handler = handler; act.sa_flags = flags;
  sigaction(SIGALRM, &act, 0);
  struct itimerval t = {{0, 0}, {0, 20000}}; setitimer(ITIMER_REAL, &t, 0);
}
static void on_alternate(void) {
  stack_t s; memset(&s, 0, sizeof s); s.ss_sp = alternate; s.ss_size = sizeof alternate; sigaltstack(&s, 0); arm(SA_ONSTACK);
}
static void on_mapped_alternate(void) {
  stack_t s; memset(&s, 0, sizeof s); s.ss_size = 65536;
  s.ss_sp = mmap(0, s.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  sigaltstack(&s, 0); arm(SA_ONSTACK);
}

/* noreturn: the call of `forever` is the last instruction of `dies` */
FRAME __attribute__((noreturn)) void forever(void) { for (;;) sink = asleep(); }
FRAME __attribute__((noreturn)) void dies(int x) { sink = x; forever(); }
FRAME int next_door(int x) { sink = x * 5; return sink; }

/* tail: at -O2 `hands_over` jumps to `middle` */
FRAME int hands_over(int x) { sink = x; return middle(x * 2); }

/* callback: through libc */
static int compare(const void *a, const void *b) { sink = asleep(); return *(const int *)a - *(const int *)b; }
FRAME int sorter(int x) { int v[3] = {x, 2, 1}; qsort(v, 3, sizeof *v, compare); return v[0]; }

/* jit: sub rsp,8; call rdi; add rsp,8; ret */
static const unsigned char stub[] = {0x48, 0x83, 0xec, 8, 0xff, 0xd7, 0x48, 0x83, 0xc4, 8, 0xc3};
FRAME int through_jit(int x) {
  void *p = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(p, stub, sizeof stub); mprotect(p, 4096, PROT_READ | PROT_EXEC);
  int (*f)(int (*)(void)) = (int (*)(int (*)(void)))p; int r = f(asleep); sink += x; return r + sink;
}

/* corrupted: the return address of `smashed` is not one */
FRAME int smashed(int x) {
  volatile unsigned long *frame = (volatile unsigned long *)__builtin_frame_address(0);
  frame[1] = (unsigned long)&sink + (unsigned long)x; return asleep();
}

FRAME int around_smashed(int x) { int r = smashed(x); sink += r; return r; }

/* vdso: never sleeps */
FRAME int clock_loop(void) { struct timespec t; say_ready(); for (;;) { clock_gettime(CLOCK_MONOTONIC, &t); sink = (int)t.tv_nsec; } }

/* busy: calls through libc, stepped by the parent */
FRAME int work(int x) {
  char text[64]; int v[8]; for (int i = 0; i < 8; i++) v[i] = (x * (i + 3)) % 11;
  snprintf(text, sizeof text, "%d %s %.2f", x, "abc", x / 3.0);
  char *copy = strdup(text); size_t n = strlen(copy); free(copy);
  time_t now = (time_t)x * 1000; struct tm tm; gmtime_r(&now, &tm);
  return (int)n + v[x & 7] + tm.tm_hour;
}
FRAME int busy(void) { asleep(); for (int i = 0;; i++) sink += work(i); }

#if defined(__GLIBC__)
#include <ucontext.h>
/* coroutine: `suspended` waits on the thread's own stack while a coroutine sleeps on another */
static ucontext_t own, other;
static void coroutine(void) { sink = asleep(); }
FRAME int suspended(int x) {
  getcontext(&other); other.uc_stack.ss_size = 65536; other.uc_link = &own;
  other.uc_stack.ss_sp = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  makecontext(&other, coroutine, 0); swapcontext(&own, &other); sink += x; return sink;
}
#else
FRAME int suspended(int x) { return x; }
#endif

int main(int argc, char **argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (argc < 2 || pipe(pipes)) return 2;
  const char *what = argv[1]; int n = argc > 2 ? atoi(argv[2]) : 5;
  if (!strcmp(what, "nested")) return outer(n);
  if (!strcmp(what, "alloca")) return with_alloca(n);
  if (!strcmp(what, "deep")) return bottom(n);
  if (!strcmp(what, "signal")) { arm(0); return around_victim(n); }
  if (!strcmp(what, "alternate")) { on_alternate(); return around_victim(n); }
  if (!strcmp(what, "mapped-alternate")) { on_mapped_alternate(); return around_victim(n); }
  if (!strcmp(what, "noreturn")) dies(n);
  if (!strcmp(what, "tail")) return hands_over(n);
  if (!strcmp(what, "callback")) return sorter(n);
  if (!strcmp(what, "jit")) return through_jit(n);
  if (!strcmp(what, "smashed")) return around_smashed(n);
  if (!strcmp(what, "vdso")) return clock_loop();
  if (!strcmp(what, "busy")) return busy();
  if (!strcmp(what, "coroutine")) return suspended(n);
  return bystander(n) + next_door(n) + 2;
}
