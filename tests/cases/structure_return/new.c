struct four {
    long a, b, c, d;
};
struct four make(void) { return (struct four){4, 3, 2, 1}; }
