// New code catches by type what old code throws: a class of the program, its base, and a type of the C++ library.
#include "../cxx_catch_in_patched/new.cc"
