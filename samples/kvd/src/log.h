/* The log: one line a call, to standard error, whole even when threads write at once. */
#ifndef KVD_LOG_H
#define KVD_LOG_H

#include <stdint.h>

/* Milliseconds of the monotonic clock. */
int64_t clock_ms(void);

void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For failures of the system: appends the meaning of errno. */
void log_failure(const char *what) __attribute__((cold));

/* For failures at start, before there is anything to clean up. */
void die(const char *what) __attribute__((cold, noreturn));

#endif
