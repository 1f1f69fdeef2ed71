// The freed exception of an earlier call, by clang and libstdc++, holds the handler's address and a stack pointer; it is no suspended stack.
//#Compiler: clang
//#Cflags: -O2
//#Forms: none
//#ExpectBefore: 41
//#ExpectOutput: 42
#include "../cxx_noexcept/old.cc"
