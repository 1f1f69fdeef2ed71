double scale(double x) { return x * 0.3125 + 1.5; }
float other(float x) { return x * 1.875f; }
