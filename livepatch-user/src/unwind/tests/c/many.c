/* Threads that sleep twenty calls deep in four ways, one that calls `answer` all the time, and one that waits.
   After the probe of the pause measurement. usage: many THREADS */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static volatile int last;
static int asleep;
__attribute__((noinline, noclone)) int answer(int x) { last = x; return x + 1; }
static void *spinner(void *a) {
  struct timespec t;
  for (;;) { last = answer(40); clock_gettime(CLOCK_MONOTONIC, &t); }
  return a;
}
static int deep(int d, int kind) {
  volatile char pad[256]; pad[0] = (char)d;
  if (d) return deep(d - 1, kind) + pad[0];
  int ep = epoll_create1(0), p[2], f = 0; struct epoll_event e;
  if (pipe(p)) abort();
  __atomic_fetch_add(&asleep, 1, __ATOMIC_SEQ_CST);
  for (;;) switch (kind & 3) {
    case 0: epoll_wait(ep, &e, 1, -1); break;
    case 1: { struct timespec t = {3600, 0}; nanosleep(&t, 0); break; }
    case 2: if (read(p[0], &e, 1) < 0) abort(); break;
    case 3: syscall(SYS_futex, &f, FUTEX_WAIT, 0, 0, 0, 0); break;
  }
}
static void *sleeper(void *a) { return (void *)(long)deep(20, (int)(long)a); }
int main(int c, char **v) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int n = c > 1 ? atoi(v[1]) : 2; pthread_t t; pthread_attr_t at;
  pthread_attr_init(&at); pthread_attr_setstacksize(&at, 128 * 1024);
  if (pthread_create(&t, &at, spinner, 0)) return 1;
  for (long i = 0; i < n - 2; i++) if (pthread_create(&t, &at, sleeper, (void *)i)) return 1;
  while (__atomic_load_n(&asleep, __ATOMIC_SEQ_CST) < n - 2) usleep(1000);
  usleep(200000); puts("ready"); fflush(stdout);
  return getchar();
}
