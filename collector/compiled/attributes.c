/* Serialised KeyValues taken apart, their keys numbered, their texts laid one behind the other. */
#include "wire.h"

enum { UNSET, STRING, BOOL, INT, DOUBLE, ARRAY, MAP, BYTES };
#define MOST_VARINT_BYTES 10

/* The member that is set and its place or number; UNSET: not in the form that encoders write. */
static inline uint8_t value(bytes data, int64_t at, int64_t stop, int64_t *start, int64_t *integer, double *number) {
    uint8_t tag = data[at++];
    switch (tag) {
    case 0x0a:
    case 0x2a:
    case 0x32:
    case 0x3a:
        if (body(data, &at, stop) != stop) return UNSET;
        *start = at;
        return tag >> 3;
    case 0x10:
        if (stop - at != 1 || data[at] > 1) return UNSET;
        *integer = data[at];
        return BOOL;
    case 0x18: {
        uint64_t bits = 0;
        int64_t size = stop - at;
        if (size < 1 || size > MOST_VARINT_BYTES) return UNSET;
        for (int64_t place = 0; place < size; place++) {
            uint8_t byte = data[at + place];
            if ((byte >= 0x80) != (place < size - 1)) return UNSET;
            bits |= (uint64_t)(byte & 0x7f) << (7 * place);
        }
        *integer = (int64_t)bits;
        return INT;
    }
    case 0x21:
        if (stop - at != 8) return UNSET;
        memcpy(number, data + at, 8);
        return DOUBLE;
    default: return UNSET;
    }
}

/* `count` messages, each between its start and its end; how many of them are not in the form.
 * bounds, 4 * count + 1: a row's head, key, what is between, payload; those of `collector.decode.key_values`. */
API int64_t otel_cost_key_values(bytes data, const int32_t *starts, const int32_t *ends, int64_t count, int32_t *bounds,
                                 uint8_t *members, int64_t *integers, double *doubles) {
    int64_t others = 0;
    bounds[0] = count ? starts[0] : 0;
    for (int64_t row = 0; row < count; row++) {
        int64_t stop = ends[row], at = starts[row], key = at, key_end = at, payload = stop;
        int32_t *pieces = bounds + 4 * row + 1;
        uint8_t member = UNSET;
        integers[row] = 0;
        doubles[row] = 0;
        if (at < stop && data[at++] == 0x0a && (key_end = body(data, &at, stop)) >= 0) {
            key = at;
            at = key_end;
            if (at < stop && data[at++] == 0x12 && body(data, &at, stop) == stop && at < stop)
                member = value(data, at, stop, &payload, integers + row, doubles + row);
        }
        members[row] = member;
        others += member == UNSET;
        pieces[0] = (int32_t)(member ? key : starts[row]);
        pieces[1] = (int32_t)(member ? key_end : starts[row]);
        pieces[2] = (int32_t)payload;
        pieces[3] = (int32_t)stop;
    }
    return others;
}

#if defined(__GNUC__) || defined(__clang__)
#define PREFETCH(at) __builtin_prefetch(at)
#else
#define PREFETCH(at) ((void)0)
#endif
#define AHEAD 12 /* texts whose bytes are asked for before they are looked at: they are not in the caches any more */
#define LEAST_LUCK (-64) /* hits less misses, from which on a text is not guessed any more */
#define MOST_LUCK 64

static inline uint64_t mixed(uint64_t left, uint64_t right) {
    left ^= left >> 32;
    left *= right | 1;
    return left ^ left >> 29;
}

static inline uint64_t hash(bytes at, int64_t size, uint64_t seed) {
    uint64_t state = seed ^ (uint64_t)size * UINT64_C(0x9e3779b97f4a7c15), last = 0;
    for (; size >= 8; at += 8, size -= 8) state = mixed(state ^ u64(at), UINT64_C(0xa0761d6478bd642f) ^ seed << 1);
    memcpy(&last, at, (size_t)size);
    state = mixed(state ^ last, UINT64_C(0xe7037ed1a0b428db) ^ seed << 1);
    return mixed(state, UINT64_C(0x8ebc6af09c88c6e3));
}

static inline int same(bytes left, bytes right, int64_t size) {
    for (; size >= 8; left += 8, right += 8, size -= 8)
        if (u64(left) != u64(right)) return 0;
    return memcmp(left, right, (size_t)size) == 0;
}

typedef struct {
    bytes data;
    const int32_t *bounds;
} Texts; /* text i is data[bounds[i]:bounds[i + 1]] */

static inline int64_t size_of(Texts texts, int64_t row) { return texts.bounds[row + 1] - texts.bounds[row]; }
static inline bytes bytes_of(Texts texts, int64_t row) { return texts.data + texts.bounds[row]; }
static inline int alike(Texts texts, int64_t left, int64_t right) {
    int64_t size = size_of(texts, left);
    return size == size_of(texts, right) && same(bytes_of(texts, left), bytes_of(texts, right), size);
}

/* Numbers the distinct texts of `picks` in the order in which they come; how many there are.
 * firsts, followers: one for each pick; the pick where a number came first, and the number that came behind it last time,
 * which is looked at first: spans say the same keys in the same order.
 * table: a power of two, `mask` + 1, all -1. UNUSUAL: more than half of it would be taken. */
API int64_t otel_cost_number_texts(bytes data, const int32_t *bounds, const int32_t *picks, int64_t count, uint64_t seed,
                                   int32_t *numbers, int32_t *firsts, int32_t *followers, int32_t *table, int64_t mask) {
    Texts texts = {data, bounds};
    int64_t distinct = 0, luck = 0;
    int32_t before = -1;
    for (int64_t row = 0; row < count; row++) {
        int64_t pick = picks[row];
        if (row + AHEAD < count) PREFETCH(bytes_of(texts, picks[row + AHEAD]));
        int32_t number = before < 0 || luck < LEAST_LUCK ? -1 : followers[before];
        if (number < 0 || !alike(texts, picks[firsts[number]], pick)) {
            luck--;
            uint64_t slot = hash(bytes_of(texts, pick), size_of(texts, pick), seed) & (uint64_t)mask;
            while ((number = table[slot]) >= 0 && !alike(texts, picks[firsts[number]], pick))
                slot = (slot + 1) & (uint64_t)mask;
            if (number < 0) {
                if (2 * (distinct + 1) > mask + 1) return UNUSUAL;
                number = table[slot] = (int32_t)distinct++;
                firsts[number] = (int32_t)row;
                followers[number] = -1;
            }
            if (before >= 0) followers[before] = number;
        } else if (luck < MOST_LUCK) {
            luck++;
        }
        numbers[row] = before = number;
    }
    return distinct;
}

/* Where each attribute stands: table[starts[code] + owner] = row; the last one where several do. UNUSUAL: a code is not
 * below `names`, or an owner not below `size`. The table has room for `size` behind each start. */
API int64_t otel_cost_place_rows(const int32_t *codes, const int32_t *owners, int64_t count, const int64_t *starts,
                                 int64_t names, int64_t size, int32_t *table) {
    for (int64_t row = 0; row < count; row++) {
        if (codes[row] < 0 || codes[row] >= names || owners[row] < 0 || owners[row] >= size) return UNUSUAL;
        table[starts[codes[row]] + owners[row]] = (int32_t)row;
    }
    return count;
}

/* The bytes that `picks` take together; -1: one is behind the last of `border` texts and `behind` more. */
API int64_t otel_cost_size_texts(const int32_t *bounds, int64_t border, const int32_t *more, int64_t behind,
                                 const int32_t *picks, int64_t count) {
    int64_t size = 0;
    for (int64_t row = 0; row < count; row++) {
        int64_t pick = picks[row];
        if (pick >= border + behind) return -1;
        if (pick >= border) size += more[pick - border + 1] - more[pick - border];
        else if (pick >= 0) size += bounds[pick + 1] - bounds[pick];
    }
    return size;
}

/* The picked texts: of those before `border`, or of `more` behind it, NULL where a pick is negative; how many are NULL.
 * valid: a bit for each, zeros before. */
API int64_t otel_cost_lay_texts(bytes data, const int32_t *bounds, int64_t border, bytes more_data, const int32_t *more,
                                const int32_t *picks, int64_t count, int32_t *ends, uint8_t *out, uint8_t *valid) {
    int64_t at = 0, nulls = 0;
    ends[0] = 0;
    for (int64_t row = 0; row < count; row++) {
        int64_t pick = picks[row];
        if (pick < 0) {
            nulls++;
        } else {
            int behind = pick >= border;
            Texts texts = {behind ? more_data : data, behind ? more : bounds};
            int64_t size = size_of(texts, pick -= behind ? border : 0);
            copy(out + at, bytes_of(texts, pick), size);
            at += size;
            valid[row >> 3] |= (uint8_t)(1u << (row & 7));
        }
        ends[row + 1] = (int32_t)at;
    }
    return nulls;
}
