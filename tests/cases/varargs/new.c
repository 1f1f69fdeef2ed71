#include <stdarg.h>
double sum(int n, ...) {
    va_list list;
    double total = 0;
    va_start(list, n);
    for (int i = 0; i < n; i++)
        total += 2 * (i % 2 ? va_arg(list, double) : va_arg(list, int));
    va_end(list);
    return total;
}
