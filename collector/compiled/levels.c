/* Requests down to the fields of spans, where they lie on the wire.
 *
 * The same walk is made twice: first it checks and counts, then, into arrays of the counted sizes, it writes. Whatever is
 * not in the form that encoders write ends the first one with UNUSUAL; the second one meets the same bytes.
 * Every length is checked against the end of the message that holds it, every other byte against that end too. */
#include "wire.h"

enum { RESOURCES, SCOPES, SPANS, ATTRIBUTES, EVENTS, LINKS, RESOURCE_BYTES, SCOPE_BYTES, COUNTS };
enum { TRACE_ID, SPAN_ID, TRACE_STATE, PARENT_ID, NAME, STATUS, TEXTS };
enum { LIST_ATTRIBUTES, LIST_EVENTS, LIST_LINKS, LISTS };
enum { KIND, DROPPED_ATTRIBUTES, DROPPED_EVENTS, DROPPED_LINKS, FLAGS, NUMBERS };

/* `collector.compiled.levels` has the same. Places are pairs of start and end. */
typedef struct {
    int64_t counts[COUNTS];
    int64_t *request_of_resource, *resource_of_scope, *scope_of_span;
    uint8_t *resource_bytes, *scope_bytes; /* the messages without what is repeated in them */
    int32_t *resource_ends, *scope_ends;   /* where each of these ends; the first is 0 */
    int32_t *texts[TEXTS];                 /* places; twice the span's start where there is none */
    uint64_t *start_ns, *end_ns;           /* from here on: zeros before */
    uint32_t *numbers[NUMBERS];
    int32_t *list_starts[LISTS], *list_ends[LISTS];
    int32_t *list_counts[LISTS]; /* of each span */
} Levels;

static inline void put(int32_t *places, int64_t row, int64_t start, int64_t end) {
    places[2 * row] = (int32_t)start;
    places[2 * row + 1] = (int32_t)end;
}

static inline int text_of(uint8_t tag) {
    switch (tag) {
    case 0x0a: return TRACE_ID;
    case 0x12: return SPAN_ID;
    case 0x1a: return TRACE_STATE;
    case 0x22: return PARENT_ID;
    case 0x2a: return NAME;
    case 0x7a: return STATUS;
    default: return -1;
    }
}

static inline int list_of(uint8_t tag) {
    return tag == 0x4a ? LIST_ATTRIBUTES : tag == 0x5a ? LIST_EVENTS : tag == 0x6a ? LIST_LINKS : -1;
}

static inline int number_of(uint8_t tag) {
    return tag == 0x30 ? KIND : tag == 0x50 ? DROPPED_ATTRIBUTES : tag == 0x60 ? DROPPED_EVENTS : DROPPED_LINKS;
}

/* A field that is there once and has no length; gives where it ends. */
static inline int64_t fixed(bytes data, int64_t at, int64_t stop, uint8_t tag, Levels *levels, int writes, int64_t row) {
    switch (tag) {
    case 0x39:
    case 0x41:
        if (stop - at < 8) return UNUSUAL;
        if (writes) (tag == 0x39 ? levels->start_ns : levels->end_ns)[row] = u64(data + at);
        return at + 8;
    case 0x30:
    case 0x50:
    case 0x60:
    case 0x70:
        if (at >= stop || data[at] >= 0x80) return UNUSUAL;
        if (writes) levels->numbers[number_of(tag)][row] = data[at];
        return at + 1;
    case 0x85: /* the second byte of the tag follows */
        if (stop - at < 5 || data[at] != 1) return UNUSUAL;
        if (writes) levels->numbers[FLAGS][row] = u32(data + at + 1);
        return at + 5;
    default: return UNUSUAL;
    }
}

static inline int span(bytes data, int64_t at, int64_t stop, Levels *levels, int writes, int64_t row) {
    int64_t before[LISTS];
    uint32_t seen = 0;
    for (int list = 0; list < LISTS; list++) before[list] = levels->counts[ATTRIBUTES + list];
    if (writes)
        for (int text = 0; text < TEXTS; text++) put(levels->texts[text], row, at, at);
    while (at < stop) {
        uint8_t tag = data[at++];
        int list = list_of(tag), text = text_of(tag);
        int64_t end;
        if (list < 0) {
            uint32_t field = UINT32_C(1) << (tag >> 3);
            if (seen & field) return UNUSUAL; /* twice: parsers take the last, or join */
            seen |= field;
        }
        if (list < 0 && text < 0) {
            end = fixed(data, at, stop, tag, levels, writes, row);
        } else {
            end = body(data, &at, stop);
            if (writes && text >= 0) put(levels->texts[text], row, at, end);
            if (list >= 0) {
                int64_t number = levels->counts[ATTRIBUTES + list]++;
                if (writes) levels->list_starts[list][number] = (int32_t)at;
                if (writes) levels->list_ends[list][number] = (int32_t)end;
            }
        }
        if (end < 0) return UNUSUAL;
        at = end;
    }
    if (writes)
        for (int list = 0; list < LISTS; list++)
            levels->list_counts[list][row] = (int32_t)(levels->counts[ATTRIBUTES + list] - before[list]);
    return 0;
}

/* The field of ResourceSpans or ScopeSpans at `*at`, which becomes where its body starts; gives where it ends. */
static inline int64_t child(bytes data, int64_t *at, int64_t stop, uint8_t *tag) {
    *tag = data[(*at)++];
    return *tag == 0x0a || *tag == 0x12 || *tag == 0x1a ? body(data, at, stop) : UNUSUAL;
}

static inline void keep(bytes data, int64_t from, int64_t to, uint8_t *out, int64_t *size, int writes) {
    if (writes) memcpy(out + *size, data + from, (size_t)(to - from));
    *size += to - from;
}

static inline int scope(bytes data, int64_t at, int64_t stop, Levels *levels, int writes, int64_t most) {
    int64_t row = levels->counts[SCOPES]++;
    while (at < stop) {
        int64_t start = at;
        uint8_t tag;
        int64_t end = child(data, &at, stop, &tag);
        if (end < 0) return UNUSUAL;
        if (tag == 0x12) {
            int64_t number = levels->counts[SPANS]++;
            if (levels->counts[SPANS] > most) return UNUSUAL;
            if (writes) levels->scope_of_span[number] = row;
            if (span(data, at, end, levels, writes, number) < 0) return UNUSUAL;
        } else {
            keep(data, start, end, levels->scope_bytes, &levels->counts[SCOPE_BYTES], writes);
        }
        at = end;
    }
    if (writes) levels->scope_ends[row + 1] = (int32_t)levels->counts[SCOPE_BYTES];
    return 0;
}

static inline int resource(bytes data, int64_t at, int64_t stop, Levels *levels, int writes, int64_t most) {
    int64_t row = levels->counts[RESOURCES]++;
    while (at < stop) {
        int64_t start = at;
        uint8_t tag;
        int64_t end = child(data, &at, stop, &tag);
        if (end < 0) return UNUSUAL;
        if (tag == 0x12) {
            if (levels->counts[SCOPES] >= most) return UNUSUAL;
            if (writes) levels->resource_of_scope[levels->counts[SCOPES]] = row;
            if (scope(data, at, end, levels, writes, most) < 0) return UNUSUAL;
        } else {
            keep(data, start, end, levels->resource_bytes, &levels->counts[RESOURCE_BYTES], writes);
        }
        at = end;
    }
    if (writes) levels->resource_ends[row + 1] = (int32_t)levels->counts[RESOURCE_BYTES];
    return 0;
}

static inline int walk(bytes data, const int64_t *ends, int64_t requests, int64_t most, Levels *levels, int writes) {
    int64_t at = 0;
    memset(levels->counts, 0, sizeof levels->counts);
    for (int64_t request = 0; request < requests; request++) {
        while (at < ends[request]) {
            if (data[at++] != 0x0a || levels->counts[RESOURCES] >= most) return UNUSUAL;
            int64_t end = body(data, &at, ends[request]);
            if (end < 0) return UNUSUAL;
            if (writes) levels->request_of_resource[levels->counts[RESOURCES]] = request;
            if (resource(data, at, end, levels, writes, most) < 0) return UNUSUAL;
            at = end;
        }
    }
    return 0;
}

/* Requests one behind the other in `data`, each up to its end. At most `most` resources, scopes and spans in all. */
API int64_t otel_cost_count_levels(bytes data, const int64_t *ends, int64_t requests, int64_t most, Levels *levels) {
    return walk(data, ends, requests, most, levels, 0);
}

API int64_t otel_cost_read_levels(bytes data, const int64_t *ends, int64_t requests, int64_t most, Levels *levels) {
    return walk(data, ends, requests, most, levels, 1);
}
