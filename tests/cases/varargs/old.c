// A function with variable arguments, integers and floating point.
//#ExpectBefore: 10.5
//#ExpectOutput: 21.0
#include <stdarg.h>
double sum(int n, ...) {
    va_list list;
    double total = 0;
    va_start(list, n);
    for (int i = 0; i < n; i++)
        total += i % 2 ? va_arg(list, double) : va_arg(list, int);
    va_end(list);
    return total;
}
