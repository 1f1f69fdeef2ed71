// Exceptions in new code of a program linked so: static.
//#Link: static
//#ExpectBefore: 41
//#ExpectOutput: 52
//#ExpectOutput: 52
#include "../cxx_catch_in_patched/old.cc"
