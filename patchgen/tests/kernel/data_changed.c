//#Refused: the initial value of a live variable changed
#include "kernel.h"
int limit = CHOOSE(3, 4);
int show(int x)
{
	return value(x + limit);
}
