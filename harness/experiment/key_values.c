#include "experiment/key_values.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiment/protocol_facts.h"
#include "experiment/yaml.h"

// ---- saying what was expected ----

static const char *describe(bl_arena *arena, const bl_value *value) {
    switch (value->kind) {
    case BL_VALUE_LIST: return "a list";
    case BL_VALUE_MAP: return "a map of keys";
    case BL_VALUE_NULL: return "nothing";
    case BL_VALUE_SCALAR: break;
    }
    return bl_arena_format(arena, value->quoted ? "the text \"%s\"" : "%s", value->text);
}

static int unexpected(bl_arena *arena, const bl_key *key, const char *name, const bl_value *value) {
    bl_text range = {0};
    bl_key_range(key, &range);
    const char *advice = bl_arena_format(arena, "write %s", range.chars);
    bl_text_free(&range);
    return bl_refuse(value->spot, advice, "%s: %s does not fit here", name, describe(arena, value));
}

// Edit distance, in which two neighbours that changed places are one mistake; at most `limit` + 1. Names are short.
static int distance(const char *a, const char *b, int limit) {
    size_t width = strlen(b);
    int rows[3][64]; // of a's prefixes: row i % 3
    if (width >= 64 || strlen(a) >= 64) return limit + 1;
    for (size_t j = 0; j <= width; j++) rows[0][j] = (int)j;
    for (size_t i = 1; a[i - 1]; i++) {
        int *row = rows[i % 3];
        const int *above = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];
        row[0] = (int)i;
        for (size_t j = 1; j <= width; j++) {
            const int replaced = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = row[j - 1] < above[j] ? row[j - 1] + 1 : above[j] + 1;
            if (replaced < row[j]) row[j] = replaced;
            const bool is_swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (is_swapped && before[j - 2] + 1 < row[j]) row[j] = before[j - 2] + 1;
        }
    }
    return rows[strlen(a) % 3][width];
}

const char *bl_nearest_name(const char *name, const char *const *names, int count) {
    int limit = (int)strlen(name) / 4 + 1; // more mistakes in longer names
    if (limit > 3) limit = 3;
    const char *best = NULL;
    for (int i = 0; i < count; i++) {
        int d = distance(name, names[i], limit);
        if (d <= limit) {
            best = names[i];
            limit = d - 1;
        }
    }
    return best;
}

// ---- scalars ----

static bool read_number(const bl_value *value, double *number) {
    if (!value || value->kind != BL_VALUE_SCALAR || value->quoted) return false;
    const char *text = value->text;
    if (text[strspn(text, "+-.0123456789eE")]) return false; // no hexadecimal, no inf, no nan
    char *end;
    *number = strtod(text, &end);
    return end != text && !*end && isfinite(*number);
}

static bool read_whole(const bl_value *value, int64_t *number) {
    if (value->kind != BL_VALUE_SCALAR || value->quoted) return false;
    const char *text = value->text;
    if (text[strspn(text, "+-0123456789")]) return false;
    char *end;
    errno = 0;
    *number = strtoll(text, &end, 10);
    return end != text && !*end && !errno;
}

static int parse_number(bl_arena *arena, const bl_key *key, const char *name, const bl_value *value, double *number) {
    if (!read_number(value, number) || *number < key->low || *number > key->high) return unexpected(arena, key, name, value);
    return BL_OK;
}

static int parse_whole(bl_arena *arena, const bl_key *key, const char *name, const bl_value *value, int64_t *number) {
    if (!read_whole(value, number) || (double)*number < key->low || (double)*number > key->high)
        return unexpected(arena, key, name, value);
    return BL_OK;
}

// Whole numbers are steps; with a unit they are seconds.
static int parse_interval(bl_arena *arena, const bl_key *key, const char *name, const bl_value *value, bl_interval *interval) {
    *interval = (bl_interval){0};
    if (read_whole(value, &interval->steps)) return parse_whole(arena, key, name, value, &interval->steps);
    const size_t length = value->kind == BL_VALUE_SCALAR ? strlen(value->text) : 0;
    if (length < 3 || strcmp(value->text + length - 2, " s") != 0) return unexpected(arena, key, name, value);
    const bl_value number = {.kind = BL_VALUE_SCALAR, .text = bl_arena_format(arena, "%.*s", (int)length - 2, value->text)};
    if (!read_number(&number, &interval->seconds) || interval->seconds < key->low || interval->seconds > key->high)
        return unexpected(arena, key, name, value);
    return BL_OK;
}

static int parse_bool(bl_arena *arena, const bl_key *key, const char *name, const bl_value *value, bool *flag) {
    bool is_plain = value->kind == BL_VALUE_SCALAR && !value->quoted;
    *flag = is_plain && !strcmp(value->text, "true");
    return *flag || (is_plain && !strcmp(value->text, "false")) ? BL_OK : unexpected(arena, key, name, value);
}

static int parse_choice(bl_arena *arena, const bl_key *key, const char *name, const bl_value *value, const bl_choice **found) {
    const bl_choice *choices = key->choices;
    if (value->kind != BL_VALUE_SCALAR) return unexpected(arena, key, name, value);
    int count = 0;
    while (choices[count].name) count++;
    const char **names = bl_arena_take(arena, (size_t)count * sizeof *names);
    for (int i = 0; i < count; i++) {
        names[i] = choices[i].name;
        if (strcmp(names[i], value->text) != 0) continue;
        *found = &choices[i];
        return BL_OK;
    }
    const char *near = bl_nearest_name(value->text, names, count);
    if (near)
        return bl_refuse(value->spot, bl_arena_format(arena, "write `%s`", near), "%s: no choice is called %s", name, value->text);
    return unexpected(arena, key, name, value);
}

static int expand(bl_arena *arena, const char *name, const bl_value *value, const char **text) {
    if (value->kind != BL_VALUE_SCALAR)
        return bl_refuse(value->spot, "write text", "%s: %s does not fit here", name, describe(arena, value));
    bl_text out = {0};
    int status = BL_FAILED;
    bl_text_add(&out, "%s", "");
    for (const char *c = value->text; *c;) {
        const char *end = c[0] == '$' && c[1] == '{' ? strchr(c, '}') : NULL;
        if (!end) {
            bl_text_add(&out, "%c", *c++);
            continue;
        }
        const char *variable = bl_arena_format(arena, "%.*s", (int)(end - c - 2), c + 2);
        const char *content = getenv(variable);
        if (!content && value->is_verbatim) content = bl_arena_format(arena, "${%s}", variable);
        if (!content) {
            bl_refuse(value->spot, bl_arena_format(arena, "set it: export %s=...; or write the path itself", variable),
                      "%s: the environment variable %s is not set", name, variable);
            goto done;
        }
        bl_text_add(&out, "%s", content);
        c = end + 1;
    }
    *text = bl_arena_copy(arena, out.chars);
    status = BL_OK;
done:
    bl_text_free(&out);
    return status;
}

// ---- what has parts ----

static int parse_numbers(bl_arena *arena, const bl_key *key, const char *name, const bl_value *value, double *numbers, int count) {
    if (value->kind != BL_VALUE_LIST || value->count != count) return unexpected(arena, key, name, value);
    for (int i = 0; i < count; i++)
        if (parse_number(arena, key, name, value->entries[i].value, &numbers[i])) return BL_FAILED;
    return BL_OK;
}

static int parse_pair(bl_arena *arena, const bl_key *key, const char *name, const bl_value *value, double pair[2]) {
    if (parse_numbers(arena, key, name, value, pair, 2)) return BL_FAILED;
    if (pair[0] > pair[1]) return bl_refuse(value->spot, "write the lower end first", "%s: %g is above %g", name, pair[0], pair[1]);
    return BL_OK;
}

// Of a list that has to hold at least one.
static int check_count(bl_arena *arena, const bl_key *key, const char *name, const bl_value *value, const char *what) {
    if (value->count >= 1 && value->count <= key->most) return BL_OK;
    return bl_refuse(value->spot, bl_arena_format(arena, "write between 1 and %d of them", key->most), "%s: %d %s", name, value->count, what);
}

static int parse_number_list(bl_arena *arena, const bl_key *key, const char *name, const bl_value *value, double *numbers, int *count) {
    if (value->kind != BL_VALUE_LIST) return unexpected(arena, key, name, value);
    if (check_count(arena, key, name, value, "numbers")) return BL_FAILED;
    for (*count = 0; *count < value->count; ++*count) {
        const bl_value *item = value->entries[*count].value;
        if (parse_number(arena, key, name, item, &numbers[*count])) return BL_FAILED;
        if (*count && numbers[*count] <= numbers[*count - 1])
            return bl_refuse(item->spot, "write them in order, each once", "%s: %g after %g", name, numbers[*count], numbers[*count - 1]);
    }
    return BL_OK;
}

static int parse_splits(bl_arena *arena, const bl_key *key, const char *name, const bl_value *value, unsigned *splits) {
    if (value->kind != BL_VALUE_LIST || !value->count) return unexpected(arena, key, name, value);
    *splits = 0;
    for (int i = 0; i < value->count; i++) {
        const bl_value *item = value->entries[i].value;
        const bl_choice *choice;
        if (parse_choice(arena, key, name, item, &choice)) return BL_FAILED;
        if (*splits & 1u << choice->value) return bl_refuse(item->spot, "write each once", "%s: %s stands there twice", name, choice->name);
        *splits |= 1u << choice->value;
    }
    return BL_OK;
}

static int parse_rate(bl_arena *arena, const bl_key *key, const char *name, const bl_value *value, double *rate, double images) {
    if (value->kind == BL_VALUE_SCALAR) return parse_number(arena, key, name, value, rate);
    const bl_value *base = bl_value_get(value, "value"), *per = bl_value_get(value, "per");
    double unit = 0;
    if (!base || !per || value->count != 2) return unexpected(arena, key, name, value);
    if (parse_number(arena, key, name, base, rate)) return BL_FAILED;
    if (!read_number(per, &unit) || unit < 1)
        return bl_refuse(per->spot, "write a number of images, 256 in most papers", "%s.per: %s does not fit here", name,
                         describe(arena, per));
    *rate = *rate * images / unit;
    return BL_OK;
}

static int parse_epoch_list(bl_arena *arena, const bl_key *key, const char *name, const bl_value *value, int *list, int *count) {
    if (value->kind != BL_VALUE_LIST) return unexpected(arena, key, name, value);
    if (value->count > BL_MAX_EPOCHS)
        return bl_refuse(value->spot, bl_arena_format(arena, "write at most %d%s", BL_MAX_EPOCHS, key->type == BL_TYPE_EPOCHS ? ", or {first, every}" : ""),
                         "%s: a list of %d epochs", name, value->count);
    for (*count = 0; *count < value->count; ++*count) {
        int64_t epoch = 0;
        if (parse_whole(arena, key, name, value->entries[*count].value, &epoch)) return BL_FAILED;
        if (*count && epoch <= list[*count - 1])
            return bl_refuse(value->entries[*count].value->spot, "write them in order, each once", "%s: %d after %d", name, (int)epoch,
                             list[*count - 1]);
        list[*count] = (int)epoch;
    }
    return BL_OK;
}

static int parse_epochs(bl_arena *arena, const bl_key *key, const char *name, const bl_value *value, bl_epochs *epochs) {
    *epochs = (bl_epochs){0};
    if (value->kind == BL_VALUE_LIST) return parse_epoch_list(arena, key, name, value, epochs->list, &epochs->list_count);
    if (value->kind != BL_VALUE_MAP) return unexpected(arena, key, name, value);
    for (int i = 0; i < value->count; i++) {
        const bl_entry *entry = &value->entries[i];
        int64_t number = 0;
        if (!strcmp(entry->key, "also")) {
            if (parse_epoch_list(arena, key, name, entry->value, epochs->list, &epochs->list_count)) return BL_FAILED;
        } else if (!strcmp(entry->key, "first") || !strcmp(entry->key, "every")) {
            if (parse_whole(arena, key, name, entry->value, &number)) return BL_FAILED;
            *(entry->key[0] == 'f' ? &epochs->first : &epochs->every) = (int)number;
        } else {
            return bl_refuse(entry->key_spot, "write first, every or also", "%s.%s: no such key", name, entry->key);
        }
    }
    if (!epochs->every) return bl_refuse(value->spot, "write `every: 1` or more, or a list of epochs", "%s: every is missing", name);
    return BL_OK;
}

static int parse_seeds(bl_arena *arena, const bl_key *key, const char *name, const bl_value *value, uint64_t *seeds, int *count) {
    if (value->kind != BL_VALUE_LIST) return unexpected(arena, key, name, value);
    if (check_count(arena, key, name, value, "seeds")) return BL_FAILED;
    for (*count = 0; *count < value->count; ++*count) {
        int64_t seed = 0;
        const bl_value *item = value->entries[*count].value;
        if (parse_whole(arena, key, name, item, &seed)) return BL_FAILED;
        for (int i = 0; i < *count; i++)
            if (seeds[i] == (uint64_t)seed) return bl_refuse(item->spot, "write each once", "%s: %s stands there twice", name, item->text);
        seeds[*count] = (uint64_t)seed;
    }
    return BL_OK;
}

static const struct {
    const char *name;
    double mean[3], std[3];
} statistics[] = {
    {"imagenet", {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}},      // torchvision's
    {"cifar10", {0.4914, 0.4822, 0.4465}, {0.2470, 0.2435, 0.2616}}, // solo-learn's
};

static int parse_normalize(bl_arena *arena, const bl_key *key, const char *name, const bl_value *value, bl_transform *transform) {
    if (value->kind == BL_VALUE_MAP) {
        const bl_value *mean = bl_value_get(value, "mean"), *std = bl_value_get(value, "std");
        if (!mean || !std || value->count != 2) return unexpected(arena, key, name, value);
        if (parse_numbers(arena, key, name, mean, transform->mean, 3) || parse_numbers(arena, key, name, std, transform->std, 3))
            return BL_FAILED;
        for (int c = 0; c < 3; c++)
            if (transform->std[c] <= 0)
                return bl_refuse(std->spot, "write numbers above 0", "%s: a std of %g", name, transform->std[c]);
        return BL_OK;
    }
    for (size_t i = 0; value->kind == BL_VALUE_SCALAR && i < sizeof statistics / sizeof *statistics; i++)
        if (!strcmp(value->text, statistics[i].name)) {
            memcpy(transform->mean, statistics[i].mean, sizeof transform->mean);
            memcpy(transform->std, statistics[i].std, sizeof transform->std);
            return BL_OK;
        }
    return unexpected(arena, key, name, value);
}

// ---- arms ----

// The name stands in a row's, "finetune/random/10%/test", whose other parts are no arms.
static bool names_an_arm(const char *name) {
    const bl_protocol_facts *protocol = bl_protocol_facts_find(name);
    if ((protocol && protocol->has_arms) || !strcmp(name, bl_scene_split_name(BL_SCENE_VAL))) return false;
    for (int split = 0; split < BL_SPLITS; split++)
        if (!strcmp(name, bl_split_name((bl_split)split))) return false;
    size_t length = strlen(name);
    return length && length <= 24 && !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")];
}

static int parse_own_arm(const bl_value *value, const char *name, bl_arm *arm) {
    static const char *const choices[] = {[BL_ARM_PRETRAINED] = "pretrained", [BL_ARM_RANDOM] = "random"};
    for (int i = 0; value->kind == BL_VALUE_SCALAR && i < 2; i++)
        if (!strcmp(value->text, choices[i])) {
            arm->source = (bl_arm_source)i;
            return BL_OK;
        }
    return bl_refuse(value->spot, "write pretrained, random, or instead of a list one map: {name: {run: PATH}} or {name: {weights: PATH}}", "%s: no such arm", name);
}

static int parse_foreign_arm(bl_arena *arena, const bl_value *map, const char *name, bl_arm *arm) {
    const bl_value *run = bl_value_get(map, "run"), *weights = bl_value_get(map, "weights");
    const bl_value *preprocessing = bl_value_get(map, "preprocessing");
    if (!run == !weights || map->count != 1 + (preprocessing != NULL))
        return bl_refuse(map->spot, "write {run: PATH} or {weights: PATH}, and `preprocessing: keep` beside it where the file's own counts",
                         "%s: expected one file", name);
    if (preprocessing && (preprocessing->kind != BL_VALUE_SCALAR || strcmp(preprocessing->text, "keep") != 0))
        return bl_refuse(preprocessing->spot, "write `keep`, or leave it out", "%s.preprocessing: %s does not fit here", name,
                         describe(arena, preprocessing));
    arm->source = run ? BL_ARM_RUN : BL_ARM_WEIGHTS;
    arm->keep_preprocessing = preprocessing != NULL;
    arm->spot = (run ? run : weights)->spot;
    return expand(arena, name, run ? run : weights, &arm->path);
}

static int parse_arms(bl_arena *arena, const bl_key *key, const char *name, const bl_value *value, bl_arm *arms, int *count) {
    if (value->kind != BL_VALUE_LIST && value->kind != BL_VALUE_MAP) return unexpected(arena, key, name, value);
    if (check_count(arena, key, name, value, "arms")) return BL_FAILED;
    for (*count = 0; *count < value->count; ++*count) {
        const bl_entry *item = &value->entries[*count];
        bl_arm *arm = &arms[*count];
        const char *word = item->key;
        if (!word && parse_own_arm(item->value, name, arm)) return BL_FAILED; // a list: the arm is called what it is
        if (!word) word = item->value->text;
        const bl_spot spot = item->key ? item->key_spot : item->value->spot;
        *arm = (bl_arm){.name = word, .source = arm->source};
        if (!names_an_arm(word))
            return bl_refuse(spot, "write up to 24 letters, digits, _ or -, and no split", "%s: \"%s\" cannot name an arm", name, word);
        for (int i = 0; i < *count; i++)
            if (!strcmp(arms[i].name, word)) return bl_refuse(spot, "write each once", "%s: %s stands there twice", name, word);
        if (!item->key) continue;
        if (item->value->kind == BL_VALUE_MAP ? parse_foreign_arm(arena, item->value, name, arm) : parse_own_arm(item->value, name, arm))
            return BL_FAILED;
    }
    return BL_OK;
}

// ---- one key ----

int bl_key_parse(bl_arena *arena, const bl_key *key, const char *name, const bl_value *value, void *object) {
    void *field = (char *)object + key->offset;
    int *count = (int *)((char *)object + key->count_offset); // of a list
    const bl_choice *choice = NULL;
    int64_t whole = 0;
    switch (key->type) {
    case BL_TYPE_INT:
        if (parse_whole(arena, key, name, value, &whole)) return BL_FAILED;
        *(int *)field = (int)whole;
        return BL_OK;
    case BL_TYPE_INT64:
    case BL_TYPE_UINT64: return parse_whole(arena, key, name, value, field); // never negative: `low`
    case BL_TYPE_NUMBER: return parse_number(arena, key, name, value, field);
    case BL_TYPE_INTERVAL: return parse_interval(arena, key, name, value, field);
    case BL_TYPE_BOOL: return parse_bool(arena, key, name, value, field);
    case BL_TYPE_TEXT: return expand(arena, name, value, field);
    case BL_TYPE_NAME:
    case BL_TYPE_CHOICE:
    case BL_TYPE_CHOICE_BOOL:
        if (parse_choice(arena, key, name, value, &choice)) return BL_FAILED;
        if (key->type == BL_TYPE_NAME) *(const char **)field = choice->name;
        if (key->type == BL_TYPE_CHOICE) *(int *)field = choice->value;
        if (key->type == BL_TYPE_CHOICE_BOOL) *(bool *)field = choice->value != 0;
        return BL_OK;
    case BL_TYPE_PAIR: return parse_pair(arena, key, name, value, field);
    case BL_TYPE_NUMBERS: return parse_number_list(arena, key, name, value, field, count);
    case BL_TYPE_SPLITS: return parse_splits(arena, key, name, value, field);
    case BL_TYPE_RATE: { // batch and accumulate stand above it in the schema: they are there
        const bl_train_options *train = &((const bl_cell *)object)->train;
        return parse_rate(arena, key, name, value, field, (double)train->batch * train->accumulate);
    }
    case BL_TYPE_ARMS: return parse_arms(arena, key, name, value, field, count);
    case BL_TYPE_EPOCHS: return parse_epochs(arena, key, name, value, field);
    case BL_TYPE_EPOCH_LIST: return parse_epoch_list(arena, key, name, value, field, count);
    case BL_TYPE_SEEDS: return parse_seeds(arena, key, name, value, field, count);
    case BL_TYPE_NORMALIZE: return parse_normalize(arena, key, name, value, object);
    case BL_TYPE_VIEW: // by bl_keys_fill
    case BL_TYPE_STRUCTURE: break;
    }
    return BL_OK;
}

const bl_value *bl_key_default(bl_arena *arena, const bl_key *key) {
    static const bl_source source = {"the schema", NULL};
    bl_value *value = NULL;
    if (bl_yaml_parse(arena, &source, key->default_text, 0, &value)) abort(); // the schema's own text: the tests read every default
    return value;
}

// ---- canonical text ----

static void print_number(double number, bl_text *text) {
    char digits[40];
    bool is_short_whole = fabs(number) < 1e6 && number == floor(number);
    if (is_short_whole) snprintf(digits, sizeof digits, "%.0f", number); // 20, where %g would say 2e+01
    for (int precision = 1; !is_short_whole && precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, number);
        if (strtod(digits, NULL) == number) break;
    }
    bl_text_add(text, "%s", digits);
}

static void print_numbers(const double *numbers, int count, bl_text *text) {
    for (int i = 0; i < count; i++) {
        bl_text_add(text, i ? ", " : "[");
        print_number(numbers[i], text);
    }
    bl_text_add(text, "]");
}

static void print_epoch_list(const int *list, int count, bl_text *text) {
    bl_text_add(text, "[");
    for (int i = 0; i < count; i++) bl_text_add(text, "%s%d", i ? ", " : "", list[i]);
    bl_text_add(text, "]");
}

static void print_epochs(const bl_epochs *epochs, bl_text *text) {
    if (!epochs->every) {
        print_epoch_list(epochs->list, epochs->list_count, text);
        return;
    }
    bl_text_add(text, "{first: %d, every: %d", epochs->first, epochs->every);
    if (epochs->list_count) {
        bl_text_add(text, ", also: ");
        print_epoch_list(epochs->list, epochs->list_count, text);
    }
    bl_text_add(text, "}");
}

static void print_interval(const bl_interval *interval, bl_text *text) {
    if (interval->steps) {
        bl_text_add(text, "%lld", (long long)interval->steps);
        return;
    }
    print_number(interval->seconds, text);
    bl_text_add(text, " s");
}

static void print_text(const char *chars, bl_text *text) {
    bl_text_add(text, "\"");
    for (const char *c = chars; *c; c++) {
        if (*c == '"' || *c == '\\')
            bl_text_add(text, "\\%c", *c);
        else if ((unsigned char)*c < ' ')
            bl_text_add(text, "\\x%02x", *c);
        else
            bl_text_add(text, "%c", *c);
    }
    bl_text_add(text, "\"");
}

// As it was written: what it comes to changes with the batch.
static void print_rate(const bl_value *value, double rate, bl_text *text) {
    double base = 0, per = 0;
    if (!value || !read_number(bl_value_get(value, "value"), &base) || !read_number(bl_value_get(value, "per"), &per)) {
        print_number(rate, text);
        return;
    }
    bl_text_add(text, "{value: ");
    print_number(base, text);
    bl_text_add(text, ", per: ");
    print_number(per, text);
    bl_text_add(text, "}");
}

void bl_arm_print(const bl_value *value, const bl_arm *arm, bl_text *text) {
    const bl_value *path = value && value->kind == BL_VALUE_MAP ? bl_value_get(value, arm->source == BL_ARM_RUN ? "run" : "weights") : NULL;
    if (!path) {
        bl_text_add(text, arm->source == BL_ARM_RANDOM ? "random" : "pretrained");
        return;
    }
    bl_text_add(text, arm->source == BL_ARM_RUN ? "{run: " : "{weights: ");
    print_text(path->text, text);
    bl_text_add(text, arm->keep_preprocessing ? ", preprocessing: keep}" : "}");
}

static void print_arms(const bl_value *value, const bl_arm *arms, int count, bl_text *text) {
    bl_text_add(text, "{");
    for (int i = 0; i < count; i++) {
        bl_text_add(text, "%s%s: ", i ? ", " : "", arms[i].name);
        bl_arm_print(value ? value->entries[i].value : NULL, &arms[i], text);
    }
    bl_text_add(text, "}");
}

static void print_splits(const bl_key *key, unsigned splits, bl_text *text) {
    const char *before = "[";
    for (const bl_choice *choice = key->choices; choice->name; choice++) {
        if (!(splits & 1u << choice->value)) continue;
        bl_text_add(text, "%s%s", before, choice->name);
        before = ", ";
    }
    bl_text_add(text, "]");
}

void bl_key_print(const bl_key *key, const bl_value *value, const void *object, bl_text *text) {
    const void *field = (const char *)object + key->offset;
    const int *count = (const int *)((const char *)object + key->count_offset); // of a list
    const bl_transform *transform = object;
    switch (key->type) {
    case BL_TYPE_INT: bl_text_add(text, "%d", *(const int *)field); return;
    case BL_TYPE_INT64: bl_text_add(text, "%lld", (long long)*(const int64_t *)field); return;
    case BL_TYPE_UINT64: bl_text_add(text, "%llu", (unsigned long long)*(const uint64_t *)field); return;
    case BL_TYPE_NUMBER: print_number(*(const double *)field, text); return;
    case BL_TYPE_INTERVAL: print_interval(field, text); return;
    case BL_TYPE_BOOL: bl_text_add(text, *(const bool *)field ? "true" : "false"); return;
    case BL_TYPE_TEXT: print_text(value ? value->text : *(const char *const *)field ? *(const char *const *)field : "", text); return;
    case BL_TYPE_NAME: {
        const char *name = *(const char *const *)field;
        bl_text_add(text, "%s", *name ? name : "\"\"");
        return;
    }
    case BL_TYPE_CHOICE:
    case BL_TYPE_CHOICE_BOOL:
        for (const bl_choice *choice = key->choices; choice->name; choice++) {
            int kept = key->type == BL_TYPE_CHOICE ? *(const int *)field : *(const bool *)field;
            if (choice->value != kept) continue;
            bl_text_add(text, "%s", choice->name);
            return;
        }
        return;
    case BL_TYPE_PAIR: print_numbers(field, 2, text); return;
    case BL_TYPE_NUMBERS: print_numbers(field, *count, text); return;
    case BL_TYPE_SPLITS: print_splits(key, *(const unsigned *)field, text); return;
    case BL_TYPE_RATE: print_rate(value, *(const double *)field, text); return;
    case BL_TYPE_ARMS: print_arms(value, field, *count, text); return;
    case BL_TYPE_EPOCHS: print_epochs(field, text); return;
    case BL_TYPE_EPOCH_LIST: print_epoch_list(field, *count, text); return;
    case BL_TYPE_NORMALIZE:
        bl_text_add(text, "{mean: ");
        print_numbers(transform->mean, 3, text);
        bl_text_add(text, ", std: ");
        print_numbers(transform->std, 3, text);
        bl_text_add(text, "}");
        return;
    case BL_TYPE_VIEW: // by bl_keys_print_flow and bl_keys_print_block
    case BL_TYPE_SEEDS:
    case BL_TYPE_STRUCTURE: return;
    }
}
