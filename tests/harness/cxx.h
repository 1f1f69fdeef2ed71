/* Included before a case written in C when it is compiled as C++: what the harness calls keeps its name. */
#ifdef __cplusplus
#include <stddef.h>
extern "C" {
long answer(long question);
void ask(const char *line, char *out, size_t size);
}
#endif
