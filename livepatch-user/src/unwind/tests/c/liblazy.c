#include <unistd.h>
static int real(int x) { return x + 1; }
static int (*pick(void))(int) {
  long n; int p[2];
  /* No libc call: relocations of this library may not be done yet. pipe, write, read. */
  __asm__ volatile("syscall" : "=a"(n) : "a"(22L), "D"(p) : "rcx", "r11", "memory");
  __asm__ volatile("syscall" : "=a"(n) : "a"(1L), "D"(1L), "S"("ready\n"), "d"(6L) : "rcx", "r11", "memory");
  __asm__ volatile("syscall" : "=a"(n) : "a"(0L), "D"((long)p[0]), "S"(&n), "d"(1L) : "rcx", "r11", "memory");
  return real;
}
int chosen(int x) __attribute__((ifunc("pick")));
