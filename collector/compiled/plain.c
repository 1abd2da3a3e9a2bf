/* Requests of which everything is certainly taken: each field once, in the form that encoders write, each text UTF-8, ids
 * and times in their range. Whatever is not certain ends with UNUSUAL; decoding has to tell then.
 * Nothing is written. Every length is checked against the end of the message that holds it. Values nest twice at most. */
#include "wire.h"

#define MOST_ARRAY_BYTES 65536 /* larger ones are not worth a look */
#define NO_TIME_NS INT64_MAX   /* the first time that is refused */

typedef struct {
    int64_t spans, attributes, most_spans, most_attributes;
} Counts;

static inline int is_utf8(bytes at, bytes stop) {
    while (at < stop) {
        if (stop - at >= 8 && !(u64(at) & UINT64_C(0x8080808080808080))) {
            at += 8;
            continue;
        }
        uint8_t first = *at;
        int more = first < 0x80 ? 0 : first < 0xc2 ? -1 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : -1;
        if (more < 0 || stop - at <= more) return 0;
        if (more >= 2) { /* what is too long for its number, surrogates, what is beyond the last character */
            uint8_t second = at[1];
            if (first == 0xe0 && second < 0xa0) return 0;
            if (first == 0xed && second > 0x9f) return 0;
            if (first == 0xf0 && second < 0x90) return 0;
            if (first == 0xf4 && second > 0x8f) return 0;
        }
        for (int place = 1; place <= more; place++)
            if ((at[place] & 0xc0) != 0x80) return 0;
        at += more + 1;
    }
    return 1;
}

/* The text whose length is written at `at`; where it ends, or UNUSUAL. */
static inline int64_t text(bytes data, int64_t at, int64_t stop) {
    int64_t end = body(data, &at, stop);
    return end >= 0 && is_utf8(data + at, data + end) ? end : UNUSUAL;
}

static inline int64_t small(bytes data, int64_t at, int64_t stop) {
    return at < stop && data[at] < 0x80 ? at + 1 : UNUSUAL;
}

static inline int varint_ends_at(bytes data, int64_t at, int64_t stop) {
    if (at >= stop || stop - at > 10) return 0;
    for (; at < stop - 1; at++)
        if (data[at] < 0x80) return 0;
    return data[at] < 0x80;
}

/* Whether a value of one member fills the place up to `stop`; arrays: whether it may be one. */
static inline int value(bytes data, int64_t at, int64_t stop, int arrays) {
    if (at >= stop) return 0;
    switch (data[at++]) {
    case 0x0a: return text(data, at, stop) == stop;
    case 0x10: return stop - at == 1 && data[at] <= 1;
    case 0x18: return varint_ends_at(data, at, stop);
    case 0x21: return stop - at == 8;
    case 0x3a: return body(data, &at, stop) == stop;
    case 0x2a:
        if (!arrays || body(data, &at, stop) != stop || stop - at > MOST_ARRAY_BYTES) return 0;
        while (at < stop) {
            if (data[at++] != 0x0a) return 0;
            int64_t end = body(data, &at, stop);
            if (end < 0 || !value(data, at, end, 0)) return 0;
            at = end;
        }
        return 1;
    default: return 0;
    }
}

/* The attribute whose length is written at `at`; where it ends, or UNUSUAL. */
static inline int64_t attribute(bytes data, int64_t at, int64_t stop, Counts *counts) {
    int64_t end = body(data, &at, stop);
    if (end < 0 || ++counts->attributes > counts->most_attributes) return UNUSUAL;
    if (at >= end || data[at++] != 0x0a || (at = text(data, at, end)) < 0) return UNUSUAL;
    if (at >= end || data[at++] != 0x12 || body(data, &at, end) != end) return UNUSUAL;
    return value(data, at, end, 1) ? end : UNUSUAL;
}

static inline int64_t status(bytes data, int64_t at, int64_t stop) {
    int64_t end = body(data, &at, stop);
    if (end < 0) return UNUSUAL;
    if (at < end && data[at] == 0x12 && (at = text(data, at + 1, end)) < 0) return UNUSUAL;
    if (at < end && data[at] == 0x18 && (at = small(data, at + 1, end)) < 0) return UNUSUAL;
    return at == end ? end : UNUSUAL;
}

/* The bytes of an id of `size`, not all zeros; or, if it `may_miss`, none. */
static inline int64_t id(bytes data, int64_t at, int64_t stop, int64_t size, int may_miss) {
    int64_t end = body(data, &at, stop);
    if (end < 0) return UNUSUAL;
    if (end - at != size) return may_miss && end == at ? end : UNUSUAL;
    uint64_t first = u64(data + at), last = u64(data + end - 8);
    return may_miss || (first | last) ? end : UNUSUAL;
}

static inline int64_t time_ns(bytes data, int64_t at, int64_t stop) {
    return stop - at >= 8 && u64(data + at) < (uint64_t)NO_TIME_NS ? at + 8 : UNUSUAL;
}

static inline int span(bytes data, int64_t at, int64_t stop, Counts *counts) {
    uint32_t seen = 0;
    while (at < stop) {
        uint8_t tag = data[at++];
        uint32_t field = UINT32_C(1) << (tag >> 3);
        if (tag != 0x4a && seen & field) return UNUSUAL;
        seen |= field;
        switch (tag) {
        case 0x0a: at = id(data, at, stop, 16, 0); break;
        case 0x12: at = id(data, at, stop, 8, 0); break;
        case 0x22: at = id(data, at, stop, 8, 1); break;
        case 0x1a:
        case 0x2a: at = text(data, at, stop); break;
        case 0x39:
        case 0x41: at = time_ns(data, at, stop); break;
        case 0x4a: at = attribute(data, at, stop, counts); break;
        case 0x7a: at = status(data, at, stop); break;
        case 0x30:
        case 0x50:
        case 0x60:
        case 0x70: at = small(data, at, stop); break;
        case 0x85: at = stop - at >= 5 && data[at] == 1 ? at + 5 : UNUSUAL; break;
        default: return UNUSUAL;
        }
        if (at < 0) return UNUSUAL;
    }
    return (seen & 6) == 6 ? 0 : UNUSUAL; /* both ids */
}

/* Resource, or InstrumentationScope with its name and version: attributes at `tag`. */
static inline int64_t described(bytes data, int64_t at, int64_t stop, uint8_t tag, uint8_t number, Counts *counts) {
    int64_t end = body(data, &at, stop);
    uint32_t seen = 0;
    if (end < 0) return UNUSUAL;
    while (at < end) {
        uint8_t found = data[at++];
        uint32_t field = UINT32_C(1) << (found >> 3);
        if (found == tag) {
            at = attribute(data, at, end, counts);
        } else {
            if (seen & field) return UNUSUAL;
            seen |= field;
            if (found == number) at = small(data, at, end);
            else if (tag == 0x1a && (found == 0x0a || found == 0x12)) at = text(data, at, end);
            else return UNUSUAL;
        }
        if (at < 0) return UNUSUAL;
    }
    return end;
}

static inline int64_t scope(bytes data, int64_t at, int64_t stop, Counts *counts) {
    int64_t end = body(data, &at, stop);
    uint32_t seen = 0;
    if (end < 0) return UNUSUAL;
    while (at < end) {
        uint8_t tag = data[at++];
        if (tag == 0x12) {
            int64_t inner = body(data, &at, end);
            if (inner < 0 || ++counts->spans > counts->most_spans || span(data, at, inner, counts) < 0) return UNUSUAL;
            at = inner;
        } else if (tag == 0x0a) {
            if (seen & 1) return UNUSUAL;
            seen |= 1;
            at = described(data, at, end, 0x1a, 0x20, counts);
        } else if (tag == 0x1a) {
            if (seen & 2) return UNUSUAL;
            seen |= 2;
            at = text(data, at, end);
        } else {
            return UNUSUAL;
        }
        if (at < 0) return UNUSUAL;
    }
    return end;
}

static inline int64_t resource(bytes data, int64_t at, int64_t stop, Counts *counts) {
    int64_t end = body(data, &at, stop);
    uint32_t seen = 0;
    if (end < 0) return UNUSUAL;
    for (int64_t scopes = 0; at < end;) {
        uint8_t tag = data[at++];
        if (tag == 0x12) {
            if (++scopes > counts->most_spans) return UNUSUAL;
            at = scope(data, at, end, counts);
        } else if (tag == 0x0a) {
            if (seen & 1) return UNUSUAL;
            seen |= 1;
            at = described(data, at, end, 0x0a, 0x10, counts);
        } else if (tag == 0x1a) {
            if (seen & 2) return UNUSUAL;
            seen |= 2;
            at = text(data, at, end);
        } else {
            return UNUSUAL;
        }
        if (at < 0) return UNUSUAL;
    }
    return end;
}

/* The spans of one request, at least one; UNUSUAL: decoding has to tell. */
API int64_t otel_cost_plain_spans(bytes data, int64_t size, int64_t most_spans, int64_t most_attributes) {
    Counts counts = {0, 0, most_spans, most_attributes};
    int64_t at = 0;
    while (at < size) {
        if (data[at++] != 0x0a || (at = resource(data, at, size, &counts)) < 0) return UNUSUAL;
    }
    return counts.spans ? counts.spans : UNUSUAL;
}
