// Strings of wide characters.
//#ExpectBefore: 44
//#ExpectOutput: 46
#include <wchar.h>
long answer(long x) { return x + (long)wcslen(x ? L"four" : L"none"); }
