#include "parse.h"

#include "command.h"
#include "limits.h"

struct cursor {
    const char *at;
    const char *end;
};

/* The next word of the line; empty at its end. */
static struct slice take_word(struct cursor *line)
{
    while (line->at < line->end && *line->at == ' ')
        line->at++;
    const char *begin = line->at;
    while (line->at < line->end && *line->at != ' ')
        line->at++;
    return (struct slice){begin, (size_t)(line->at - begin)};
}

static enum parse_status take_unsigned(struct cursor *line, uint64_t limit, uint64_t *number)
{
    struct slice word = take_word(line);
    if (word.length == 0)
        return PARSE_MISSING;
    *number = 0;
    for (size_t i = 0; i < word.length; i++) {
        unsigned digit = (unsigned char)word.data[i] - '0';
        if (digit > 9 || *number > (limit - digit) / 10)
            return PARSE_BAD_NUMBER;
        *number = *number * 10 + digit;
    }
    return PARSE_OK;
}

static enum parse_status take_signed(struct cursor *line, int64_t *number)
{
    uint64_t magnitude;
    struct cursor ahead = *line;
    struct slice word = take_word(&ahead);
    bool negative = word.length > 1 && word.data[0] == '-';
    if (negative)
        line->at = word.data + 1;
    enum parse_status status = take_unsigned(line, INT64_MAX, &magnitude);
    if (status == PARSE_OK)
        *number = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return status;
}

static enum parse_status take_length(struct cursor *line, size_t *length)
{
    uint64_t number;
    enum parse_status status = take_unsigned(line, MAX_VALUE, &number);
    *length = status == PARSE_OK ? (size_t)number : 0;
    return status == PARSE_BAD_NUMBER ? PARSE_BAD_LENGTH : status;
}

static enum parse_status take_name(struct cursor *line, struct slice *name)
{
    *name = take_word(line);
    if (name->length == 0)
        return PARSE_MISSING;
    return name->length <= MAX_WORD ? PARSE_OK : PARSE_BAD_WORD;
}

/* `LENGTH BYTES`, the bytes on the same line and free to hold spaces. */
static enum parse_status take_inline(struct cursor *line, struct slice *data)
{
    enum parse_status status = take_length(line, &data->length);
    if (status != PARSE_OK)
        return status;
    if (line->at < line->end)
        line->at++;
    data->data = line->at;
    line->at = line->end;
    return PARSE_OK;
}

/* `LENGTH`, the bytes after the line, with a line end of their own. */
static enum parse_status take_block(struct cursor *line, struct cursor *rest, struct slice *data)
{
    enum parse_status status = take_length(line, &data->length);
    if (status != PARSE_OK)
        return status;
    if ((size_t)(rest->end - rest->at) < data->length + 2)
        return PARSE_MORE;
    data->data = rest->at;
    rest->at += data->length + 2;
    return rest->at[-2] == '\r' && rest->at[-1] == '\n' ? PARSE_OK : PARSE_BAD_BLOCK;
}

static enum parse_status take_argument(char kind, struct cursor *line, struct cursor *rest, struct request *request)
{
    enum parse_status status;
    uint64_t number;
    switch (kind) {
    case SIGNATURE_WORD:
        return take_name(line, &request->word);
    case SIGNATURE_OPTIONAL_WORD:
        request->word = take_word(line);
        return request->word.length <= MAX_WORD ? PARSE_OK : PARSE_BAD_WORD;
    case SIGNATURE_TTL:
        status = take_unsigned(line, UINT32_MAX, &number);
        request->ttl = status == PARSE_OK ? (uint32_t)number : 0;
        return status;
    case SIGNATURE_NUMBER:
        return take_signed(line, &request->number);
    case SIGNATURE_INLINE:
        return take_inline(line, &request->data);
    case SIGNATURE_BLOCK:
        return take_block(line, rest, &request->data);
    }
    return PARSE_UNKNOWN;
}

static enum parse_status parse_line(struct cursor *line, struct cursor *rest, struct request *request)
{
    request->command = command_find(take_word(line));
    if (request->command == NULL)
        return PARSE_UNKNOWN;
    for (const char *kind = request->command->signature; *kind != '\0'; kind++) {
        enum parse_status status = take_argument(*kind, line, rest, request);
        if (status != PARSE_OK)
            return status;
    }
    return take_word(line).length == 0 ? PARSE_OK : PARSE_EXTRA;
}

enum parse_status parse_request(struct slice input, struct request *request, size_t *used)
{
    size_t window = input.length < MAX_LINE ? input.length : MAX_LINE;
    const char *newline = memchr(input.data, '\n', window);
    if (newline == NULL)
        return window < MAX_LINE ? PARSE_MORE : PARSE_TOO_LONG;
    struct cursor line = {input.data, newline};
    struct cursor rest = {newline + 1, input.data + input.length};
    if (line.end > line.at && line.end[-1] == '\r')
        line.end--;
    enum parse_status status = parse_line(&line, &rest, request);
    *used = (size_t)(rest.at - input.data);
    return status;
}

const char *parse_error_text(enum parse_status status)
{
    switch (status) {
    case PARSE_TOO_LONG:
        return "line too long";
    case PARSE_UNKNOWN:
        return "unknown command";
    case PARSE_MISSING:
        return "argument missing";
    case PARSE_EXTRA:
        return "too many arguments";
    case PARSE_BAD_NUMBER:
        return "bad number";
    case PARSE_BAD_LENGTH:
        return "bad length";
    case PARSE_BAD_WORD:
        return "word too long";
    case PARSE_BAD_BLOCK:
        return "data not followed by a line end";
    case PARSE_OK:
    case PARSE_MORE:
        break;
    }
    return "no error";
}
