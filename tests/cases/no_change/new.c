// A comment.


long answer(long question) {
    return question + 1;
}
