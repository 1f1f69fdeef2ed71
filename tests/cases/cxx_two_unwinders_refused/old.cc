// LLVM's unwinder stands before libgcc's, and takes the registrations that this makes inside: libgcc's would not know of new code.
//#Compiler: clang
//#Cflags: -O2 -stdlib=libc++
//#Libraries: -nodefaultlibs -lc++ -lc++abi -lunwind -lm -lc -lgcc
//#Forms: none
//#ExpectBefore: 41
//#ApplyRefuses: takes in its stead
#include "../cxx_catch_in_patched/old.cc"
