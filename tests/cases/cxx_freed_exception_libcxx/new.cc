// The freed exception of an earlier call, by clang and libc++, holds the handler's address and a stack pointer; it is no suspended stack.
#include "../cxx_noexcept/new.cc"
