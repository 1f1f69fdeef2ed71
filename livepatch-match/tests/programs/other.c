/* Another unit, or a shared library. */
#include <stdarg.h>
#include <stdio.h>

int other_data = 11;
__thread int tls_other = 13;
__thread long tls_other_wide;
static int calls;

__attribute__((noinline)) static int count(int a) { return calls += a; }
int other_function(int a) { return count(a) + other_data; }
int other_variadic(const char *format, ...) {
    va_list list;
    va_start(list, format);
    int result = vprintf(format, list);
    va_end(list);
    return result + count(result);
}
