// safetensors.c - the file format of weights.h: 8 bytes of length, a JSON header, the tensors' bytes one after the other.
//
// A file comes from anywhere: nothing its header says is believed before it is compared with what is there.

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "datasets/views/normalization.h" // bl_normalization_has_fault
#include "experiment/yaml.h"              // bl_json_parse
#include "weights/weights_table.h"

enum {
    LENGTH_BYTES = 8,
    MOST_HEADER_BYTES = 4 << 20, // a ResNet-50's has 40 thousand
    MOST_NAME_BYTES = 200,
    MOST_TENSORS = 1 << 16,
};

// ---- reading: one entry of the header ----

// Those of safetensors. What is no float lies beside weights (a queue's pointer, a count of batches), or is refused where it is one.
typedef enum dtype { F32, F16, BF16, F64, FLOATS, NONE = 21 } dtype;
static const struct {
    const char *name;
    int bits;
} dtypes[] = {{"F32", 32}, {"F16", 16},    {"BF16", 16},    {"F64", 64},    {"I64", 64},     {"I32", 32}, {"I16", 16},
              {"I8", 8},   {"U64", 64},    {"U32", 32},     {"U16", 16},    {"U8", 8},       {"BOOL", 8}, {"C64", 64},
              {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4},   {"F8_E4M3FNUZ", 8}};
_Static_assert(sizeof dtypes / sizeof *dtypes == NONE, "a row a type");

typedef struct entry {
    const char *name;
    dtype type;
    bl_shape shape;
    uint64_t begin, end; // of the data
} entry;

typedef struct header {
    bl_weights *weights;
    const char *path;
    entry *entries;
    int count;
    uint64_t data_bytes;
} header;

static bool is_text(const bl_value *value) { return value && value->kind == BL_VALUE_SCALAR; }

static bool text_is(const bl_value *value, const char *expected) { return is_text(value) && !strcmp(value->text, expected); }

// NULL where it holds what no name does.
static const char *name_in(const char *text) {
    if (strlen(text) > 10 * MOST_NAME_BYTES) return NULL;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < ' ') return NULL;
    return text;
}

static const char *text_of(const bl_value *value) { return is_text(value) ? name_in(value->text) : NULL; }

// Digits alone: no sign, no fraction, no exponent, below 2^53 as JSON's numbers are.
static bool read_whole(const bl_value *number, uint64_t *value) {
    if (!is_text(number) || number->quoted) return false;
    const size_t length = strlen(number->text);
    if (!length || length > 16) return false;
    *value = 0;
    for (size_t i = 0; i < length; i++) {
        if (number->text[i] < '0' || number->text[i] > '9') return false;
        *value = 10 * *value + (uint64_t)(number->text[i] - '0');
    }
    return *value < (uint64_t)1 << 53;
}

static int read_dtype(const header *h, const bl_value *value, entry *e) {
    for (e->type = 0; e->type < NONE; e->type++)
        if (text_is(value, dtypes[e->type].name)) return BL_OK;
    const char *text = text_of(value);
    return bl_fail("%s: %s: dtype %.20s: weights are F32, F16, BF16 or F64", h->path, e->name, text && *text ? text : "missing");
}

static int read_shape(const header *h, const bl_value *value, entry *e) {
    if (!value || value->kind != BL_VALUE_LIST) return bl_fail("%s: %s: its shape is no list of numbers", h->path, e->name);
    e->shape = (bl_shape){0};
    int64_t count = 1;
    for (int i = 0; i < value->count; i++) {
        uint64_t dimension;
        if (!read_whole(value->entries[i].value, &dimension)) return bl_fail("%s: %s: its shape is no list of whole numbers", h->path, e->name);
        if (e->shape.rank == BL_MAX_RANK) return bl_fail("%s: %s: more than %d dimensions", h->path, e->name, BL_MAX_RANK);
        e->shape.dims[e->shape.rank++] = (int64_t)dimension;
        if (__builtin_mul_overflow(count, (int64_t)dimension, &count) || count > INT64_MAX / 64)
            return bl_fail("%s: %s: its shape holds more values than any file", h->path, e->name);
    }
    return BL_OK;
}

static int read_offsets(const header *h, const bl_value *value, entry *e) {
    if (!value || value->kind != BL_VALUE_LIST || value->count != 2 || !read_whole(value->entries[0].value, &e->begin) ||
        !read_whole(value->entries[1].value, &e->end))
        return bl_fail("%s: %s: data_offsets are not two whole numbers", h->path, e->name);
    if (e->begin > e->end)
        return bl_fail("%s: %s: its data end at %" PRIu64 ", before they begin at %" PRIu64, h->path, e->name, e->end, e->begin);
    if (e->end > h->data_bytes)
        return bl_fail("%s: %s: its data end at byte %" PRIu64 " of %" PRIu64 ": the file is cut short, or its header lies", h->path, e->name,
                       e->end, h->data_bytes);
    const uint64_t bits = (uint64_t)bl_shape_count(&e->shape) * (uint64_t)dtypes[e->type].bits, needed = (bits + 7) / 8;
    if (bits % 8 == 0 && e->end - e->begin == needed) return BL_OK;
    bl_text text = {0};
    bl_shape_print(&text, &e->shape);
    const int status = bl_fail("%s: %s: shape %s of %s takes %" PRIu64 " bytes, its data have %" PRIu64, h->path, e->name, text.chars,
                               dtypes[e->type].name, needed, e->end - e->begin);
    bl_text_free(&text);
    return status;
}

static int read_entry(header *h, const char *name, const bl_value *value) {
    entry *e = &h->entries[h->count];
    *e = (entry){.name = name};
    if (!*name || strlen(name) > MOST_NAME_BYTES)
        return bl_fail("%s: a tensor's name has %zu characters, not 1 to %d", h->path, strlen(name), MOST_NAME_BYTES);
    if (value->kind != BL_VALUE_MAP) return bl_fail("%s: %s: its entry is no object of dtype, shape and data_offsets", h->path, name);
    const bl_value *parts[3] = {0};
    for (int i = 0; i < value->count; i++) {
        static const char *const keys[] = {"dtype", "shape", "data_offsets"};
        int k = 0;
        while (k < 3 && strcmp(value->entries[i].key, keys[k]) != 0) k++;
        if (k == 3 || parts[k]) return bl_fail("%s: %s: its entry is not dtype, shape and data_offsets, once each", h->path, name);
        parts[k] = value->entries[i].value;
    }
    if (read_dtype(h, parts[0], e) || read_shape(h, parts[1], e) || read_offsets(h, parts[2], e)) return BL_FAILED;
    h->count++;
    return BL_OK;
}

// ---- reading: the metadata ----

static bool is_number(const char *text, double *number, const char **end) {
    char *after;
    *number = strtod(text, &after);
    *end = after;
    return after != text && *number > -1e6 && *number < 1e6; // not NaN
}

// "0.485 0.456 0.406", "0.485, 0.456, 0.406", "[0.485, 0.456, 0.406]", "(0.485, 0.456, 0.406)": nothing but three numbers.
static bool read_triple(const char *text, double out[3]) {
    static const char space[] = " \t\r\n";
    text += strspn(text, space);
    const char closing = *text == '[' ? ']' : *text == '(' ? ')' : 0;
    if (closing) text++;
    for (int i = 0; i < 3; i++) {
        if (!is_number(text, &out[i], &text)) return false;
        const size_t gap = strspn(text, space);
        text += gap;
        if (i == 2) break;
        if (*text == ',') text++;
        else if (!gap) return false;
    }
    if (closing && *text++ != closing) return false;
    return !text[strspn(text, space)];
}

static bool read_pixels(const char *text, int *pixels) {
    double number;
    const char *end;
    if (!is_number(text, &number, &end) || *end || number < 1 || number != (int)number) return false;
    *pixels = (int)number;
    return true;
}

typedef enum fact { MEAN, STD, IMAGE_SIZE, RESIZE, CHANNEL_ORDER, FACTS } fact; // of how images were prepared

static int read_fact(header *h, fact f, const char *key, const char *text) {
    bl_preprocessing *found = &h->weights->preprocessing;
    static const char *const advice[FACTS] = {
        [MEAN] = "\"0.485 0.456 0.406\"",
        [STD] = "\"0.229 0.224 0.225\"",
        [IMAGE_SIZE] = "pixels a side, \"224\"",
        [RESIZE] = "pixels a side before the centre crop, \"256\", or \"none\"",
        [CHANNEL_ORDER] = "\"rgb\", after turning conv1.weight's input channels round where they are in another order",
    };
    bool is_read = false;
    switch (f) {
    case MEAN: is_read = read_triple(text, found->mean); break;
    case STD: is_read = read_triple(text, found->std) && found->std[0] > 0 && found->std[1] > 0 && found->std[2] > 0; break;
    case IMAGE_SIZE: is_read = read_pixels(text, &found->image_size); break;
    case RESIZE: is_read = !strcmp(text, "none") || read_pixels(text, &found->resize); break;
    case CHANNEL_ORDER: is_read = !strcmp(text, "rgb") || !strcmp(text, "RGB"); break;
    case FACTS: break;
    }
    return is_read ? BL_OK : bl_fail("%s: __metadata__: %s \"%.60s\": write %s", h->path, key, name_in(text) ? text : "...", advice[f]);
}

static int read_metadata(header *h, const bl_value *map) {
    static const char *const keys[FACTS] = {"mean", "std", "image_size", "resize", "channel_order"};
    bl_preprocessing *found = &h->weights->preprocessing;
    bool has[FACTS] = {0};
    if (map->kind != BL_VALUE_MAP) return bl_fail("%s: __metadata__ is no object of texts", h->path);
    for (int i = 0; i < map->count; i++) {
        const char *key = map->entries[i].key;
        const bl_value *value = map->entries[i].value;
        int f = 0;
        while (f < FACTS && strcmp(key, keys[f]) != 0) f++;
        if (!is_text(value) || !value->quoted)
            return bl_fail("%s: __metadata__: %.60s is no text, and metadata are texts: write \"0.485 0.456 0.406\", not a list or a number",
                           h->path, name_in(key) ? key : "one");
        if (f == FACTS) continue; // someone's notes
        if (has[f]) return bl_fail("%s: __metadata__: %s stands there twice", h->path, key);
        has[f] = true;
        if (read_fact(h, f, key, value->text)) return BL_FAILED;
    }
    static const double none[3] = {1, 1, 1};
    bl_normalization_fault fault;
    if (bl_normalization_has_fault(found->mean, has[STD] ? found->std : none, &fault)) // a mean that is not there is 0
        return bl_fail("%s: __metadata__: %s: %s", h->path, fault.what, fault.advice);
    if (has[MEAN] != has[STD])
        return bl_fail("%s: __metadata__: %s without %s: write both, or neither", h->path, keys[has[STD]], keys[has[MEAN]]);
    found->known = has[MEAN];
    return BL_OK;
}

// ---- reading: the header as a whole ----

static int by_name(const void *a, const void *b) { return strcmp(((const entry *)a)->name, ((const entry *)b)->name); }

static int by_offset(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

// Every byte belongs to exactly one tensor, and every tensor has its own name.
static int check_entries(header *h) {
    entry *e = h->entries;
    uint64_t end = 0;
    if (!h->count) return bl_fail("%s: no tensors in it", h->path);
    qsort(e, (size_t)h->count, sizeof *e, by_name);
    for (int i = 1; i < h->count; i++)
        if (!strcmp(e[i].name, e[i - 1].name)) return bl_fail("%s: %s stands there twice", h->path, e[i].name);
    qsort(e, (size_t)h->count, sizeof *e, by_offset);
    for (int i = 0; i < h->count; i++) {
        if (i && e[i].begin < end) return bl_fail("%s: the data of %s and %s overlap", h->path, e[i - 1].name, e[i].name);
        if (e[i].begin > end)
            return bl_fail("%s: bytes %" PRIu64 " to %" PRIu64 " of the data belong to no tensor", h->path, end, e[i].begin);
        end = e[i].end;
    }
    if (end < h->data_bytes) return bl_fail("%s: the last %" PRIu64 " bytes of the data belong to no tensor", h->path, h->data_bytes - end);
    return BL_OK;
}

static int read_tree(header *h, const bl_value *root) {
    bool has_metadata = false;
    if (root->kind != BL_VALUE_MAP) return bl_fail("%s: its header is no JSON object: not a safetensors file", h->path);
    if (root->count > MOST_TENSORS) return bl_fail("%s: %d tensors, more than %d", h->path, root->count, MOST_TENSORS);
    if (!(h->entries = bl_alloc((size_t)root->count * sizeof *h->entries))) return BL_FAILED;
    for (int i = 0; i < root->count; i++) {
        const char *name = name_in(root->entries[i].key);
        const bl_value *value = root->entries[i].value;
        if (!name) return bl_fail("%s: a tensor's name holds characters that no name has", h->path);
        if (strcmp(name, "__metadata__") != 0) {
            if (read_entry(h, name, value)) return BL_FAILED;
        } else if (has_metadata || read_metadata(h, value)) {
            return has_metadata ? bl_fail("%s: __metadata__ stands there twice", h->path) : BL_FAILED;
        } else {
            has_metadata = true;
        }
    }
    return check_entries(h);
}

static int parse_header(header *h, const char *text, size_t bytes) {
    bl_arena *arena = h->weights->arena;
    const bl_source *source = &(bl_source){.name = h->path};
    bl_value *root;
    if (memchr(text, 0, bytes) || bl_json_parse(arena, source, text, bytes, &root))
        return bl_fail("%s: its header is not JSON: not a safetensors file, or a damaged one", h->path);
    return read_tree(h, root);
}

// ---- reading: the values ----

// IEEE's binary16: a sign, five bits of exponent, ten of fraction.
static float float_of_half(uint16_t half) {
    const int exponent = half >> 10 & 31, fraction = half & 1023;
    float value = exponent ? ldexpf((float)(fraction | 1024), exponent - 25) : ldexpf((float)fraction, -24);
    if (exponent == 31) value = fraction ? NAN : INFINITY;
    return half >> 15 ? -value : value;
}

static void convert(const entry *e, const unsigned char *src, float *dst) {
    const int64_t count = bl_shape_count(&e->shape);
    for (int64_t i = 0; i < count; i++, src += dtypes[e->type].bits / 8) {
        uint16_t half;
        uint32_t bits;
        double wide;
        switch (e->type) {
        case F32: memcpy(&dst[i], src, 4); break;
        case F16: memcpy(&half, src, 2), dst[i] = float_of_half(half); break;
        case BF16: memcpy(&half, src, 2), bits = (uint32_t)half << 16, memcpy(&dst[i], &bits, 4); break;
        case F64: memcpy(&wide, src, 8), dst[i] = (float)wide; break;
        case FLOATS:
        case NONE: break;
        }
    }
}

static uint64_t length_of(const unsigned char *bytes) {
    uint64_t length = 0;
    for (int i = 0; i < LENGTH_BYTES; i++) length |= (uint64_t)bytes[i] << (8 * i);
    return length;
}

// torch.save writes a zip archive, and wrote a pickle before that.
static bool is_pickle(const unsigned char *data, size_t bytes) {
    if (bytes < 4) return false;
    return !memcmp(data, "PK\3\4", 4) || (data[0] == 0x80 && data[1] >= 2 && data[1] <= 5 && data[2] != 0);
}

static int refuse_file(const char *path, const unsigned char *data, size_t bytes, const char *reason) {
    if (is_pickle(data, bytes))
        return bl_fail("%s: a pickle of torch, which can run anything: load it in Python and write it with "
                       "safetensors.torch.save_file(state_dict, \"weights.safetensors\")", path);
    return bl_fail("%s: %s: not a safetensors file, or cut short", path, reason);
}

// The header's bounds, before anything in it is read.
static int check_bounds(const char *path, const unsigned char *data, size_t bytes) {
    char reason[100];
    if (bytes < LENGTH_BYTES + 2) return refuse_file(path, data, bytes, "too few bytes");
    const uint64_t length = length_of(data);
    if (length > bytes - LENGTH_BYTES) {
        snprintf(reason, sizeof reason, "a header of %" PRIu64 " bytes, but %zu are there", length, bytes - LENGTH_BYTES);
        return refuse_file(path, data, bytes, reason);
    }
    if (length > MOST_HEADER_BYTES) return bl_fail("%s: a header of %" PRIu64 " bytes, more than %d", path, length, MOST_HEADER_BYTES);
    if (length < 2 || data[LENGTH_BYTES] != '{') return refuse_file(path, data, bytes, "its header is no JSON object");
    return BL_OK;
}

int bl_weights_read_safetensors(bl_weights *weights, const char *path) {
    int status = BL_FAILED;
    void *data = NULL;
    size_t bytes = 0;
    bl_weights_begin(weights, path);
    header h = {.weights = weights, .path = path};
    bl_weights_table table = {.weights = weights};
    if (bl_read_file(path, &data, &bytes) || check_bounds(path, data, bytes)) goto done;
    const size_t length = (size_t)length_of(data);
    const unsigned char *values = (const unsigned char *)data + LENGTH_BYTES + length;
    h.data_bytes = bytes - LENGTH_BYTES - length;
    if (parse_header(&h, (const char *)data + LENGTH_BYTES, length)) goto done;
    for (int i = 0; i < h.count; i++) {
        const entry *e = &h.entries[i];
        float *dst;
        if (e->type >= FLOATS) {
            bl_weights_note(&table, e->name, &e->shape, dtypes[e->type].name);
        } else if (bl_weights_add(&table, e->name, &e->shape, &dst)) {
            goto done;
        } else {
            convert(e, values + e->begin, dst);
        }
    }
    bl_weights_finish(&table);
    status = BL_OK;
done:
    bl_free(h.entries);
    bl_free(data);
    if (status) bl_weights_free(weights);
    return status;
}

// ---- writing ----

static void print_quoted(bl_text *text, const char *chars) {
    bl_text_add(text, "\"");
    for (; *chars; chars++) bl_text_add(text, *chars == '"' || *chars == '\\' ? "\\%c" : "%c", *chars);
    bl_text_add(text, "\"");
}

// In the fewest digits that read back the same.
static void print_number(bl_text *text, double number) {
    char digits[40];
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, number);
        if (strtod(digits, NULL) == number) break;
    }
    bl_text_add(text, "%s", digits);
}

static void print_triple(bl_text *text, const char *key, const double values[3]) {
    bl_text_add(text, ",\"%s\":\"", key);
    for (int c = 0; c < 3; c++) {
        if (c) bl_text_add(text, " ");
        print_number(text, values[c]);
    }
    bl_text_add(text, "\"");
}

static void print_header(bl_text *text, const bl_weights *weights) {
    const bl_preprocessing *p = &weights->preprocessing;
    int64_t offset = 0;
    bl_text_add(text, "{\"__metadata__\":{\"format\":\"byolab\",\"channel_order\":\"rgb\"");
    if (p->known) {
        print_triple(text, "mean", p->mean);
        print_triple(text, "std", p->std);
        if (p->image_size) bl_text_add(text, ",\"image_size\":\"%d\"", p->image_size);
        bl_text_add(text, p->resize ? ",\"resize\":\"%d\"" : ",\"resize\":\"none\"", p->resize);
    }
    bl_text_add(text, "}");
    for (int i = 0; i < weights->count; i++) {
        const bl_weight *weight = &weights->items[i];
        const int64_t end = offset + bl_shape_count(&weight->shape) * (int64_t)sizeof *weight->values;
        bl_text_add(text, ",");
        print_quoted(text, weight->name);
        bl_text_add(text, ":{\"dtype\":\"F32\",\"shape\":[");
        for (int d = 0; d < weight->shape.rank; d++) bl_text_add(text, "%s%" PRId64, d ? "," : "", weight->shape.dims[d]);
        bl_text_add(text, "],\"data_offsets\":[%" PRId64 ",%" PRId64 "]}", offset, end);
        offset = end;
    }
    bl_text_add(text, "}");
    while (text->size % LENGTH_BYTES) bl_text_add(text, " "); // the data begin at a multiple of 8
}

int bl_weights_write_safetensors(const bl_weights *weights, const char *path) {
    bl_text text = {0};
    print_header(&text, weights);
    size_t bytes = LENGTH_BYTES + text.size;
    for (int i = 0; i < weights->count; i++) bytes += (size_t)bl_shape_count(&weights->items[i].shape) * sizeof *weights->items[i].values;
    int status = BL_FAILED;
    unsigned char *file = bl_alloc(bytes), *at = file;
    if (!file) goto done;
    for (int i = 0; i < LENGTH_BYTES; i++) *at++ = (unsigned char)((uint64_t)text.size >> (8 * i));
    memcpy(at, text.chars, text.size);
    at += text.size;
    for (int i = 0; i < weights->count; i++) {
        const size_t size = (size_t)bl_shape_count(&weights->items[i].shape) * sizeof *weights->items[i].values;
        if (size) memcpy(at, weights->items[i].values, size);
        at += size;
    }
    status = bl_atomic_write(path, file, bytes);
done:
    bl_free(file);
    bl_text_free(&text);
    return status;
}
