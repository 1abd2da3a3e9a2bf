/* Attributes of many owners as JSON objects, one behind the other. */
#include "wire.h"

enum { STRING = 1, BOOL, INT, DOUBLE, JSON, BYTES }; /* `value_type` of collector.decode.columns */
#define MOST_NUMBER_BYTES 20
#define MOST_FRAME_BYTES 3  /* quotes and a comma */
#define MORE_FOR_ESCAPE 5   /* \u0000 for one byte */

/* `collector.compiled.objects` has the same. `ends` of texts: one more than texts, the first is where the first starts. */
typedef struct {
    int64_t owners;
    const int32_t *counts; /* attributes of each owner */
    const int32_t *codes;  /* of each attribute its key, and so on */
    const int8_t *kinds;
    const uint8_t *marks; /* written instead of the value; 0: none */
    const int32_t *text_ends;
    bytes texts;
    const int64_t *integers;
    const int32_t *double_ends; /* of the doubles alone, one behind the other */
    bytes doubles;
    const int32_t *key_ends; /* of each key `"key":` */
    bytes keys;
    int64_t specials; /* bytes in all texts that JSON escapes */
    int32_t *owner_of_key; /* -1 before */
    int32_t *ends;
    uint8_t *out;
} Objects;

static inline int is_special(uint8_t byte) { return (byte < 0x20) | (byte == '"') | (byte == '\\'); }

static inline int64_t specials(bytes at, int64_t size) {
    int64_t count = 0;
    for (int64_t place = 0; place < size; place++) count += is_special(at[place]);
    return count;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))
/* Not 0 where one of eight bytes is below `bound`, which is 128 at most. */
static inline uint64_t below(uint64_t eight, uint64_t bound) { return (eight - EACH(bound)) & ~eight & EACH(0x80); }

static inline int has_special(bytes at, int64_t size) {
    uint64_t found = 0, eight;
    for (int64_t left = size; left > 0; at += 8, left -= 8) {
        if (left < 8) {
            eight = EACH('a');
            memcpy(&eight, at, (size_t)left);
        } else {
            eight = u64(at);
        }
        found |= below(eight, 0x20) | below(eight ^ EACH('"'), 1) | below(eight ^ EACH('\\'), 1);
    }
    return found != 0;
}

API int64_t otel_cost_count_specials(bytes data, int64_t size) { return specials(data, size); }

static inline uint8_t *put(uint8_t *out, bytes from, int64_t size) {
    copy(out, from, size);
    return out + size;
}

static inline uint8_t *put_text(uint8_t *out, const int32_t *ends, bytes data, int64_t row) {
    return put(out, data + ends[row], ends[row + 1] - ends[row]);
}

static inline uint8_t *put_escaped(uint8_t *out, bytes from, int64_t size) {
    static const char digits[] = "0123456789abcdef";
    for (; size; size--) {
        uint8_t byte = *from++;
        if (!is_special(byte)) {
            *out++ = byte;
            continue;
        }
        *out++ = '\\';
        switch (byte) {
        case '"':
        case '\\': *out++ = byte; break;
        case '\n': *out++ = 'n'; break;
        case '\r': *out++ = 'r'; break;
        case '\t': *out++ = 't'; break;
        default:
            out = put(out, (bytes) "u00", 3);
            *out++ = (uint8_t)digits[byte >> 4];
            *out++ = (uint8_t)digits[byte & 15];
        }
    }
    return out;
}

static inline uint8_t *put_number(uint8_t *out, int64_t value) {
    uint8_t digits[MOST_NUMBER_BYTES];
    int count = 0;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do digits[count++] = (uint8_t)('0' + left % 10);
    while (left /= 10);
    if (value < 0) *out++ = '-';
    while (count) *out++ = digits[--count];
    return out;
}

/* How many bytes `otel_cost_write_objects` writes at most, without the doubles; UNUSUAL: an owner has a key twice.
 * NO_TABLE: these are not `rows` attributes with `keys` keys and `reals` doubles. */
#define NO_TABLE (-2)
API int64_t otel_cost_size_objects(const Objects *objects, int64_t rows, int64_t keys, int64_t reals) {
    int64_t size = 2 * objects->owners + MORE_FOR_ESCAPE * objects->specials, row = 0;
    for (int64_t owner = 0; owner < objects->owners; owner++) {
        if (objects->counts[owner] < 0 || objects->counts[owner] > rows) return NO_TABLE;
        rows -= objects->counts[owner];
    }
    if (rows) return NO_TABLE;
    for (int64_t owner = 0; owner < objects->owners; owner++) {
        for (int64_t stop = row + objects->counts[owner]; row < stop; row++) {
            int32_t code = objects->codes[row];
            if (code < 0 || code >= keys) return NO_TABLE;
            if (objects->owner_of_key[code] == owner) return UNUSUAL;
            reals -= objects->kinds[row] == DOUBLE;
            objects->owner_of_key[code] = (int32_t)owner;
            size += objects->key_ends[code + 1] - objects->key_ends[code] + MOST_FRAME_BYTES;
            size += objects->text_ends[row + 1] - objects->text_ends[row];
            if (objects->marks[row]) size++;
            if (objects->kinds[row] == INT || objects->kinds[row] == BOOL) size += MOST_NUMBER_BYTES;
        }
    }
    return reals ? NO_TABLE : size;
}

/* The value of a row, quotes and all. `*reals`: doubles so far. */
static inline uint8_t *put_value(uint8_t *out, const Objects *objects, int64_t row, int64_t *reals) {
    int8_t kind = objects->kinds[row];
    uint8_t mark = objects->marks[row];
    int64_t size = objects->text_ends[row + 1] - objects->text_ends[row];
    bytes text = objects->texts + objects->text_ends[row];
    int quoted = kind == STRING || kind == BYTES;
    if (quoted) *out++ = '"';
    if (kind == STRING && objects->specials && has_special(text, size)) out = put_escaped(out, text, size);
    else if (mark && kind != BOOL && kind != DOUBLE) *out++ = mark;
    else if (kind == INT) out = put_number(out, objects->integers[row]);
    else if (kind == BOOL) out = objects->integers[row] ? put(out, (bytes) "true", 4) : put(out, (bytes) "false", 5);
    else if (kind == DOUBLE) out = put_text(out, objects->double_ends, objects->doubles, *reals);
    else out = put(out, text, size);
    *reals += kind == DOUBLE;
    if (quoted) *out++ = '"';
    return out;
}

/* The bytes that are written. */
API int64_t otel_cost_write_objects(const Objects *objects) {
    uint8_t *out = objects->out;
    int64_t row = 0, reals = 0;
    for (int64_t owner = 0; owner < objects->owners; owner++) {
        int64_t first = row, stop = row + objects->counts[owner];
        objects->ends[owner] = (int32_t)(out - objects->out);
        *out++ = '{';
        for (; row < stop; row++) {
            if (row != first) *out++ = ',';
            out = put_text(out, objects->key_ends, objects->keys, objects->codes[row]);
            out = put_value(out, objects, row, &reals);
        }
        *out++ = '}';
    }
    objects->ends[objects->owners] = (int32_t)(out - objects->out);
    return out - objects->out;
}
