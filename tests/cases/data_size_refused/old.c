// An existing array grows: the running one has no room.
//#PatchgenRefuses: room
//#ExpectBefore: 40
long room[4];
long answer(long x) { return x + room[x & 3]; }
