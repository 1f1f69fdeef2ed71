long counter;
