// The new code brings zeroed data of more than a page.
//#In no-sections: PatchgenRefuses: cannot be told whether it refers to
//#ExpectBefore: 40
//#ExpectOutput: 41
//#ExpectOutput: 42
long answer(long x) { return x; }
