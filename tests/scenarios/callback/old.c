// The new code stores the address of a new function in the host's data.
//#ExpectBefore: 40
//#ExpectOutput: 140
extern long (*callback)(long);
long answer(long x) { return callback ? callback(x) : x; }
