#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One write(2) for the line, so that lines of different threads do not mix. */
static void write_line(char *line, size_t size, int length)
{
    if (length < 0)
        return;
    if ((size_t)length > size - 2)
        length = (int)size - 2;
    line[length++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, (size_t)length);
    (void)written; /* there is nowhere to complain about the log itself */
}

/* Seconds since the first line, which main writes before there are other threads. */
static size_t stamp(char *line, size_t size)
{
    static int64_t started;
    if (started == 0)
        started = clock_ms();
    int64_t age = clock_ms() - started;
    return (size_t)snprintf(line, size, "[%lld.%03d] ", (long long)(age / 1000), (int)(age % 1000));
}

void log_line(const char *format, ...)
{
    char line[512];
    size_t head = stamp(line, sizeof(line));
    va_list arguments;
    va_start(arguments, format);
    int body = vsnprintf(line + head, sizeof(line) - head, format, arguments);
    va_end(arguments);
    write_line(line, sizeof(line), body < 0 ? body : (int)head + body);
}

void log_failure(const char *what)
{
    log_line("%s: %s", what, strerror(errno));
}

void die(const char *what)
{
    log_failure(what);
    exit(EXIT_FAILURE);
}
