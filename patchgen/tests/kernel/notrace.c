//#Refused: the old function has no place for ftrace
#include "kernel.h"
__attribute__((no_instrument_function)) int show(int x)
{
	return value(x + CHOOSE(1, 2));
}
