/* Mutants of requests through all loops of the library, each in memory of its very size: built with sanitizers, any byte
 * that is read or written beside it ends this. Usage: fuzz CORPUS COUNT SEED; the corpus: requests, each behind its size. */
#include <stdio.h>
#include <stdlib.h>

#define span plain_span
#define scope plain_scope
#define resource plain_resource
#define value plain_value
#define text plain_text
#define Counts PlainCounts
#include "plain.c"
#undef span
#undef scope
#undef resource
#undef value
#undef text
#undef Counts
#define put put_place
#include "levels.c"
#undef put
#define same same_text
#define UNSET KV_UNSET
#define STRING KV_STRING
#define BOOL KV_BOOL
#define INT KV_INT
#define DOUBLE KV_DOUBLE
#define ARRAY KV_ARRAY
#define MAP KV_MAP
#define BYTES KV_BYTES
#include "attributes.c"
#undef STRING
#undef BOOL
#undef INT
#undef DOUBLE
#undef BYTES
#include "json.c"

static uint64_t state;
static uint64_t chance(uint64_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below ? state % below : 0;
}

static void *room(int64_t count, size_t size) {
    void *made = calloc((size_t)(count > 0 ? count : 0), size);
    if (!made && count > 0) abort();
    return made ? made : calloc(1, 1);
}

static int64_t mutate(uint8_t *data, int64_t size, int64_t most) {
    static const uint8_t likely[] = {0xff, 0x80, 0x00, 0x7f, 0x0a, 0x12, 0x4a, 0x2a, 0x1a, 0x39, 0x85, 0xed, 0xf4};
    for (uint64_t changes = chance(4) + 1; changes; changes--) {
        int64_t at = (int64_t)chance((uint64_t)size + 1);
        switch (chance(6)) {
        case 0: size = chance(4) ? size : at; break;
        case 1:
            if (size == most) break;
            memmove(data + at + 1, data + at, (size_t)(size - at));
            data[at] = likely[chance(sizeof likely)];
            size++;
            break;
        case 2:
            if (at == size) break;
            memmove(data + at, data + at + 1, (size_t)(size - at - 1));
            size--;
            break;
        default:
            if (at < size) data[at] = chance(2) ? (uint8_t)chance(256) : likely[chance(sizeof likely)];
        }
    }
    return size;
}

static int64_t attributes(const uint8_t *data, const int32_t *starts, const int32_t *ends, int64_t count,
                          const int32_t *owners, int64_t spans) {
    int32_t *bounds = room(4 * count + 1, 4), *numbers = room(count, 4), *firsts = room(count, 4), *next = room(count, 4);
    int32_t *keys = room(count, 4), *picks = room(count, 4), *laid = room(count + 1, 4), *key_ends, *doubles;
    int32_t *picks_of = room(count, 4);
    int32_t more[] = {0, 4};
    uint8_t *members = room(count, 1), *marks = room(count, 1), *valid = room((count + 7) / 8, 1), *texts, *key_texts;
    int8_t *kinds = room(count, 1);
    int64_t *integers = room(count, 8), mask = 1, reals = 0;
    double *numbers_of = room(count, 8);
    int64_t others = otel_cost_key_values(data, starts, ends, count, bounds, members, integers, numbers_of);
    static const int8_t kind_of[] = {JSON, STRING, BOOL, INT, DOUBLE, JSON, JSON, BYTES};
    while (mask < 2 * count) mask *= 2;
    int32_t *table = room(mask, 4);
    memset(table, 0xff, (size_t)mask * 4);
    for (int64_t row = 0; row < count; row++) {
        keys[row] = (int32_t)(4 * row + 1);
        picks[row] = members[row] == 0 ? (int32_t)(4 * count) : members[row] >= 2 && members[row] <= 4 ? -1 : keys[row] + 2;
        kinds[row] = kind_of[members[row]];
        marks[row] = chance(5) ? 0 : 1;
        reals += kinds[row] == DOUBLE;
    }
    int64_t distinct = otel_cost_number_texts(data, bounds, keys, count, 7, numbers, firsts, next, table, mask - 1);
    int32_t small[] = {-1, -1, -1, -1}, *places;
    if (otel_cost_number_texts(data, bounds, keys, count, 7, numbers, firsts, next, small, 3) != (distinct > 2 ? UNUSUAL : distinct))
        abort();
    if (distinct > 2) {
        memset(table, 0xff, (size_t)mask * 4);
        otel_cost_number_texts(data, bounds, keys, count, 7, numbers, firsts, next, table, mask - 1);
    }
    int64_t *begins = room(distinct, 8);
    for (int64_t key = 0; key < distinct; key++) begins[key] = key * 3;
    places = room(distinct * 3, 4);
    for (int64_t row = 0; row < count; row++) picks_of[row] = (int32_t)chance(3) + (chance(99) ? 0 : (int32_t)chance(9) - 4);
    otel_cost_place_rows(numbers, picks_of, count, begins, distinct, 3, places);
    int64_t size = otel_cost_size_texts(bounds, 4 * count, more, 1, picks, count);
    if (size < 0) abort();
    texts = room(size, 1);
    otel_cost_lay_texts(data, bounds, 4 * count, (bytes) "null", more, picks, count, laid, texts, valid);
    key_ends = room(distinct + 1, 4);
    doubles = room(reals + 1, 4);
    int64_t key_bytes = 0;
    for (int64_t key = 0; key < distinct; key++) key_ends[key + 1] = (int32_t)(key_bytes += chance(9));
    key_texts = room(key_bytes, 1);
    for (int64_t real = 0; real < reals; real++) doubles[real + 1] = doubles[real] + 3;
    uint8_t *real_texts = room(3 * reals, 1);
    int32_t *owner_of_key = room(distinct, 4), *object_ends = room(spans + 1, 4);
    memset(owner_of_key, 0xff, (size_t)distinct * 4);
    Objects objects = {spans, owners, numbers, kinds, marks, laid, texts, integers, doubles, real_texts,
                       key_ends, key_texts, otel_cost_count_specials(texts, size), owner_of_key, object_ends, NULL};
    int64_t most = otel_cost_size_objects(&objects, count, distinct, reals);
    if (most == NO_TABLE) abort();
    if (most >= 0) {
        objects.out = room(most + 3 * reals, 1);
        otel_cost_write_objects(&objects);
        free(objects.out);
    }
    void *all[] = {picks_of, begins, places, bounds, numbers, firsts, next, keys, picks, laid, key_ends, doubles, members, marks, valid, texts,
                   key_texts, kinds, integers, numbers_of, table, real_texts, owner_of_key, object_ends};
    for (size_t one = 0; one < sizeof all / sizeof *all; one++) free(all[one]);
    return others;
}

static int64_t levels(const uint8_t *data, int64_t size) {
    Levels found;
    int64_t ends[] = {size};
    if (otel_cost_count_levels(data, ends, 1, 1000, &found) < 0) return 0;
    int64_t spans = found.counts[SPANS], freed = 0;
    void *all[64];
#define TAKE(to, count, size) (all[freed++] = (to) = room((count), (size)))
    TAKE(found.request_of_resource, found.counts[RESOURCES], 8);
    TAKE(found.resource_of_scope, found.counts[SCOPES], 8);
    TAKE(found.scope_of_span, spans, 8);
    TAKE(found.resource_bytes, found.counts[RESOURCE_BYTES], 1);
    TAKE(found.scope_bytes, found.counts[SCOPE_BYTES], 1);
    TAKE(found.resource_ends, found.counts[RESOURCES] + 1, 4);
    TAKE(found.scope_ends, found.counts[SCOPES] + 1, 4);
    for (int text = 0; text < TEXTS; text++) TAKE(found.texts[text], 2 * spans, 4);
    TAKE(found.start_ns, spans, 8);
    TAKE(found.end_ns, spans, 8);
    for (int number = 0; number < NUMBERS; number++) TAKE(found.numbers[number], spans, 4);
    for (int list = 0; list < LISTS; list++) {
        int64_t count = found.counts[ATTRIBUTES + list];
        TAKE(found.list_starts[list], count, 4);
        TAKE(found.list_ends[list], count, 4);
        TAKE(found.list_counts[list], spans, 4);
    }
    otel_cost_read_levels(data, ends, 1, 1000, &found);
    if (found.counts[ATTRIBUTES])
        attributes(data, found.list_starts[0], found.list_ends[0], found.counts[ATTRIBUTES], found.list_counts[0], spans);
    while (freed) free(all[--freed]);
    return spans;
}

int main(int count, char **given) {
    if (count != 4) return 2;
    FILE *corpus = fopen(given[1], "rb");
    uint8_t *bodies[4096], *changed;
    int64_t sizes[4096], held = 0, plain = 0, read = 0;
    uint32_t size;
    while (corpus && held < 4096 && fread(&size, 4, 1, corpus) == 1) {
        bodies[held] = malloc(size ? size : 1);
        if (fread(bodies[held], 1, size, corpus) != size) return 2;
        sizes[held++] = size;
    }
    if (!held) return 2;
    state = strtoull(given[3], NULL, 10) * 2 + 1;
    for (int64_t left = strtoll(given[2], NULL, 10); left; left--) {
        uint64_t which = chance((uint64_t)held);
        int64_t most = sizes[which] + 8;
        changed = malloc((size_t)most);
        memcpy(changed, bodies[which], (size_t)sizes[which]);
        int64_t now = left % 64 ? mutate(changed, sizes[which], most) : sizes[which];
        uint8_t *exact = malloc((size_t)(now ? now : 1));
        memcpy(exact, changed, (size_t)now);
        if (!now) exact = realloc(exact, 1);
        plain += otel_cost_plain_spans(exact, now, 1000, 1000) > 0;
        read += levels(exact, now) > 0;
        free(exact);
        free(changed);
    }
    for (int64_t one = 0; one < held; one++) free(bodies[one]);
    if (corpus) fclose(corpus);
    printf("%lld plain, %lld read\n", (long long)plain, (long long)read);
    return 0;
}
