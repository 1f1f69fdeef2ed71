// Floating-point constants lie in mergeable read-only data.
//#ExpectBefore: 2.50 7.50
//#ExpectOutput: 2.75 7.50
double scale(double x) { return x * 0.25 + 1.5; }
float other(float x) { return x * 1.875f; }
