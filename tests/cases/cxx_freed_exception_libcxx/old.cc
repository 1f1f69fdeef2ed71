// The freed exception of an earlier call, by clang and libc++, holds the handler's address and a stack pointer; it is no suspended stack.
//#Compiler: clang
//#Cflags: -O2 -stdlib=libc++
//#Libraries: -nodefaultlibs -Wl,-u,_Unwind_Find_FDE -Wl,-Bstatic -lc++ -lc++abi -lunwind -Wl,-Bdynamic -lm -lc -lgcc
//#Kept
//#Forms: none
//#ExpectBefore: 41
//#ExpectOutput: 42
#include "../cxx_noexcept/old.cc"
