// Exceptions pass through new code by LLVM's unwinder, whose table of records keeps what was taken out of it until others come.
//#Compiler: clang
//#Cflags: -O2 -stdlib=libc++
//#Libraries: -nodefaultlibs -Wl,-u,_Unwind_Find_FDE -Wl,-Bstatic -lc++ -lc++abi -lunwind -Wl,-Bdynamic -lm -lc -lgcc
//#Forms: none
//#Kept
//#ExpectBefore: 41
//#ExpectOutput: 52
//#ExpectOutput: 52
#include "../cxx_catch_in_patched/old.cc"
