// Exceptions in new code compiled by clang.
//#Compiler: clang
//#ExpectBefore: 41
//#ExpectOutput: 52
//#ExpectOutput: 52
#include "../cxx_catch_in_patched/old.cc"
