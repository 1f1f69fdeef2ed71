// A structure returned through memory.
//#ExpectBefore: 1 2 3 4
//#ExpectOutput: 4 3 2 1
struct four {
    long a, b, c, d;
};
struct four make(void) { return (struct four){1, 2, 3, 4}; }
