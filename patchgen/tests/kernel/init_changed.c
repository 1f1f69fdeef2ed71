//#Refused: it is initialisation code, which has run and is gone
#include "kernel.h"
int __init start(int x)
{
	return value(x + CHOOSE(1, 2)) + CHOOSE(0, 1);
}
int show(int x)
{
	return value(x + CHOOSE(1, 2));
}
