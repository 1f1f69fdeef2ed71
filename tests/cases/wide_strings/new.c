#include <wchar.h>
long answer(long x) { return x + (long)wcslen(x ? L"sixsix" : L"none"); }
