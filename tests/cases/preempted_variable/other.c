extern long level;
long level = 7;
