// Two of one name, numbered the other way round: told apart by who uses them.
//#Changed: second
//#Livepatch: state.0
//#NotNew: state.0 state.1
#include "kernel.h"
int first(int x)
{
	static int state;
	state += x;
	return value(state);
}
int second(int x)
{
	static int state;
	state -= x;
	return value(state + CHOOSE(1, 2));
}
