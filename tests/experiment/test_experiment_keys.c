// Every row of the schema, whatever it is called: printed with what it says of itself, kept in a field of its own, written into the
// resolved text, and of the ids that its class names.

#include "experiment/schema.h"
#include "experiment_rig.h"

enum { TRIED = 64 };

// ---- what is printed ----

static const char *next_line(const char *at) {
    at = strchr(at, '\n');
    return at ? at + 1 : NULL;
}

static void every_key_is_printed_with_what_it_takes_and_means(void **state) {
    (void)state;
    static const char *const classes[] = {"train", "evaluate", "machine", "report"};
    bl_text text = {0};
    bl_schema_print(&text);
    const char *line = text.chars;
    for (int i = 0; i < bl_schema_count; i++) {
        const bl_key *key = &bl_schema[i];
        bl_text expected = {0};
        bl_text_add(&expected, "%s: ", key->path);
        bl_key_range(key, &expected);
        if (key->type != BL_TYPE_STRUCTURE) {
            if (key->default_text) bl_text_add(&expected, "; default %s", key->default_text);
            else bl_text_add(&expected, "; required");
        }
        bl_text_add(&expected, "; class %s", classes[key->key_class]);
        if (!line || strncmp(line, expected.chars, expected.size) != 0) fail_msg("should be %s, is\n%s", expected.chars, line ? line : "no more");
        const char *end = strchr(line, '\n'), *only = strstr(line, "; only where ");
        if (!key->when != !(only && only < end)) fail_msg("%s: when it has a meaning", key->path);
        line = next_line(line);
        if (strncmp(line, "    ", 4) != 0 || strncmp(line + 4, key->meaning, strlen(key->meaning)) != 0 || !*key->meaning)
            fail_msg("%s: what it means", key->path);
        line = next_line(line);
        bl_text_free(&expected);
    }
    assert_true(line && !*line);
    // And one in full, by hand: what the functions above agree on could be wrong.
    bl_test_holds(text.chars, "\nmethod.target.tau: a number from 0 to 1; default 0.99; class train; only where method.target.source=ema\n");
    bl_test_holds(text.chars, "\ndata.dataset: cifar10 | cifar100 | shapes | cityscapes | streets; required; class train\n");
    bl_test_holds(text.chars, "\ntrain.optimizer.lr: a number, or {value, per} above 0, at most 1000; required; class train\n");
    bl_text_free(&text);
}

// ---- what is kept ----

static size_t field_bytes(const bl_key *key) {
    switch (key->type) {
    case BL_TYPE_INT:
    case BL_TYPE_CHOICE: return sizeof(int);
    case BL_TYPE_SPLITS: return sizeof(unsigned);
    case BL_TYPE_INT64:
    case BL_TYPE_UINT64: return sizeof(int64_t);
    case BL_TYPE_NUMBER:
    case BL_TYPE_RATE: return sizeof(double);
    case BL_TYPE_BOOL:
    case BL_TYPE_CHOICE_BOOL: return sizeof(bool);
    case BL_TYPE_TEXT:
    case BL_TYPE_NAME: return sizeof(char *);
    case BL_TYPE_INTERVAL: return sizeof(bl_interval);
    case BL_TYPE_PAIR: return 2 * sizeof(double);
    case BL_TYPE_NUMBERS: return (size_t)key->most * sizeof(double);
    case BL_TYPE_EPOCHS: return sizeof(bl_epochs);
    case BL_TYPE_EPOCH_LIST: return sizeof(((bl_cell *)0)->save_checkpoints);
    case BL_TYPE_SEEDS: return sizeof(((bl_experiment *)0)->seeds);
    case BL_TYPE_NORMALIZE: return sizeof(((bl_transform *)0)->mean);
    case BL_TYPE_VIEW: return sizeof(bl_recipe);
    case BL_TYPE_ARMS: return sizeof(((bl_evaluation_entry *)0)->arms);
    case BL_TYPE_STRUCTURE: break;
    }
    return 0;
}

// Keys of two transforms or two protocols may share a field: no entry has both.
static bool can_stand_together(const bl_key *a, const bl_key *b) {
    const char *list = strstr(a->path, "[]."), *other = strstr(b->path, "[].");
    if (!list || !other || a->owner != b->owner) return a->owner == b->owner;
    const size_t size = strcspn(list + 3, "."), other_size = strcspn(other + 3, ".");
    return a->owner == BL_OF_EXPECTATION || (size == other_size && !strncmp(list + 3, other + 3, size));
}

static void no_two_keys_of_one_thing_fill_one_field(void **state) {
    (void)state;
    for (int i = 0; i < bl_schema_count; i++)
        for (int k = 0; k < i; k++) {
            const bl_key *a = &bl_schema[i], *b = &bl_schema[k];
            if (!strcmp(a->path, b->path)) fail_msg("%s stands there twice", a->path);
            if (a->type == BL_TYPE_STRUCTURE || b->type == BL_TYPE_STRUCTURE || !can_stand_together(a, b)) continue;
            if (a->offset < b->offset + field_bytes(b) && b->offset < a->offset + field_bytes(a))
                fail_msg("%s and %s fill the same bytes", a->path, b->path);
        }
}

// ---- what follows from a value ----

static const char study[] = "data: {dataset: shapes, train: 400, test: 100, validation: 40}\n"
                            "views: [{flip: 0.5, normalize: imagenet}]\n"
                            "train: {epochs: 4, batch: 16, optimizer: {lr: 0.1}}\n"
                            "evaluate: [{knn: {k: 5}}]\n"
                            "expect: [{row: knn/k5/validation, epoch: 1, value: 1, source: there}]\n";

// Where a key has a meaning, beside what its row says of that: below this path, or where that key has that value.
static const struct {
    const char *below, *key, *value;
} settings[] = {
    {"views[].random_resized_crop", "views", "[{random_resized_crop: {size: 32}, normalize: imagenet}]"},
    {"views[].center_crop", "views", "[{center_crop: {size: 32}, normalize: imagenet}]"},
    {"views[].color_jitter", "views", "[{color_jitter: {}, normalize: imagenet}]"},
    {"views[].grayscale", "views", "[{grayscale: 0.5, normalize: imagenet}]"},
    {"views[].blur", "views", "[{blur: {}, normalize: imagenet}]"},
    {"views[].solarize", "views", "[{solarize: {p: 0.5}, normalize: imagenet}]"},
    {"views[].normalize", "views", "[{normalize: imagenet}]"},
    {"evaluate[].linear", "evaluate", "[{linear: {}}]"},
    {"evaluate[].finetune", "evaluate", "[{finetune: {shares: [50, 100]}}]"},
    {"evaluate[].probe", "method.probe.kind", "linear"},
    {"evaluate[].probe", "evaluate", "[{probe: {}}]"},
    {"evaluate[].accuracy", "method.kind", "supervised"},
    {"evaluate[].accuracy", "evaluate", "[{accuracy: {}}]"},
    {"evaluate[].segmentation", "data.dataset", "streets"},
    {"evaluate[].segmentation", "evaluate", "[{segmentation: {crop: 64}}]"},
    {"data.dataset=cifar10", "data", "{dataset: cifar10, root: /data, validation: 40}"},
    {"data.dataset=streets", "data", "{dataset: streets, train: 40, test: 20}"},
    {"data.dataset=streets", "views", "[{random_resized_crop: {size: 64}, normalize: imagenet}]"},
    {"data.dataset=streets", "network.stem", "imagenet"},
    {"data.dataset=streets", "evaluate", "[]"},
    {"data.dataset=streets", "expect", "[]"},
    {"data.extra", "data.splits", "[train, train_extra]"},
    {"method.target.batch_norm", "method.target.buffers", "average"},
    {"method.stop_gradient", "method.target.source", "online"},
    {"train.schedule=step", "train.milestones", "[1]"},
    {"train.plateau_row", "evaluate", "[{knn: {k: 5, at: {every: 1}}}]"},
    {"train.warmup_start", "train.warmup", "1"},
    {"evaluate[].segmentation.schedule=plateau", "evaluate.0.segmentation.refit", "false"},
    {"evaluate[].segmentation.schedule=plateau", "evaluate.0.segmentation.watch", "held_out"},
    {"evaluate[].segmentation.watch=held_out", "evaluate.0.segmentation.refit", "false"},
    {"evaluate[].knn.monitor", "evaluate.0.knn.split", "test"},
    {"evaluate[].linear.monitor", "evaluate.0.linear.split", "test"},
    {"evaluate[].probe.monitor", "evaluate.0.probe.split", "test"},
    {"evaluate[].accuracy.monitor", "evaluate.0.accuracy.split", "test"},
    {"expect[].row", "evaluate", "[{knn: {k: 5}}, {knn: {k: 6}}]"},
    {"expect[].spread", "expect.0.spread_kind", "sd"},
    {"expect[].spread_kind", "expect.0.spread", "1"},
    {"expect[].range", "expect.0.value", "null"},
    {"train.steps", "train.epochs", "null"},
    {"evaluate", "expect", "[]"},
};

// Values that no rule below finds.
static const struct {
    const char *path, *values[3];
} own_values[] = {
    {"data.dataset", {"shapes", "cifar10"}},
    {"data.root", {"/data", "/elsewhere"}},
    {"train.steps", {"20", "30"}},
    {"train.plateau_row", {"loss", "knn/k5/validation"}},
    {"expect[].row", {"knn/k5/validation", "knn/k6/validation"}},
    {"expect[].cell", {"\"\"", "main"}},
};

typedef struct trial {
    bl_override overrides[24];
    int count;
    char paths[24][96], values[24][32];
} trial;

// "evaluate[].knn.k" as an override names it: "evaluate.0.knn.k".
static const char *named(trial *t, const char *path, size_t size) {
    char *name = t->paths[t->count];
    snprintf(name, sizeof t->paths[0], "%.*s", (int)size, path);
    for (char *list; (list = strstr(name, "[]"));) memcpy(list, ".0", 2);
    return name;
}

static void add(trial *t, const char *path, size_t size, const char *value) {
    assert_in_range(t->count, 0, 22);
    t->overrides[t->count] = (bl_override){named(t, path, size), value};
    t->count++;
}

static void set(trial *t, const char *key, size_t size, const char *value);

static void set_below(trial *t, const char *path, bool whole) {
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const char *below = settings[i].below;
        const size_t size = strlen(below);
        if (whole ? strcmp(path, below) : strchr(below, '=') || strncmp(path, below, size) || (path[size] && !strchr(".[", path[size]))) continue;
        if (whole) add(t, settings[i].key, strlen(settings[i].key), settings[i].value); // its own keys need no more
        else set(t, settings[i].key, strlen(settings[i].key), settings[i].value);
    }
}

// A key with what it needs itself.
static void set(trial *t, const char *key, size_t size, const char *value) {
    char claim[160];
    add(t, key, size, value);
    snprintf(claim, sizeof claim, "%.*s=%s", (int)size, key, value);
    set_below(t, claim, true);
}

// What makes the key mean something: first what that needs in turn.
static void make_room(trial *t, const bl_key *key) {
    set_below(t, key->path, false);
    if (!key->when) return;
    char needs[96];
    bl_text when = {0};
    bl_key_when(key, &when);
    const size_t size = strcspn(when.chars, "=");
    snprintf(needs, sizeof needs, "%.*s", (int)size, when.chars);
    const bl_key *needed = bl_schema_find(needs);
    assert_non_null(needed);
    make_room(t, needed);
    char *value = t->values[t->count];
    const char *values = when.chars + size + 1;
    if (strstr(values, "shapes")) snprintf(value, sizeof t->values[0], "shapes"); // of data sets one without files, where there is one
    else if (strstr(values, "streets")) snprintf(value, sizeof t->values[0], "streets");
    else snprintf(value, sizeof t->values[0], "%.*s", (int)strcspn(values, "|"), values);
    set(t, needs, size, value);
    bl_text_free(&when);
}

static int values_of(const bl_key *key, char values[TRIED][96]) {
    int count = 0;
#define VALUE(...) snprintf(values[count++], sizeof values[0], __VA_ARGS__)
    for (size_t i = 0; i < sizeof own_values / sizeof *own_values; i++)
        if (!strcmp(own_values[i].path, key->path)) {
            for (int k = 0; own_values[i].values[k]; k++) VALUE("%s", own_values[i].values[k]);
            return count;
        }
    if (key->default_text) VALUE("%s", key->default_text);
    switch (key->type) {
    case BL_TYPE_INT:
    case BL_TYPE_INT64:
    case BL_TYPE_UINT64:
        for (const char *const *v = (const char *const[]){"1", "2", "3", "5", "7", "32", "48", "64", "96", "200", NULL}; *v; v++) VALUE("%s", *v);
        break;
    case BL_TYPE_NUMBER:
    case BL_TYPE_RATE:
        for (const char *const *v = (const char *const[]){"0.001", "0.25", "0.5", "0.75", "2", "50", NULL}; *v; v++) VALUE("%s", *v);
        break;
    case BL_TYPE_BOOL: VALUE("true"), VALUE("false"); break;
    case BL_TYPE_NAME:
    case BL_TYPE_CHOICE:
    case BL_TYPE_CHOICE_BOOL:
        for (const bl_choice *choice = key->choices; choice->name; choice++) VALUE("%s", *choice->name ? choice->name : "\"\"");
        break;
    case BL_TYPE_TEXT: VALUE("one"), VALUE("another"); break;
    case BL_TYPE_INTERVAL: VALUE("7 s"); break;
    case BL_TYPE_PAIR: VALUE("[0.25, 0.75]"), VALUE("[0.5, 0.75]"); break;
    case BL_TYPE_NUMBERS: VALUE("[20, 100]"), VALUE("[50, 100]"), VALUE("[1, 2]"), VALUE("[1, 3]"); break;
    case BL_TYPE_SPLITS: VALUE("[train, train_extra]"); break;
    case BL_TYPE_EPOCHS: VALUE("[1, 2]"); break;
    case BL_TYPE_EPOCH_LIST: VALUE("[1]"); break;
    case BL_TYPE_SEEDS: VALUE("[3]"); break;
    case BL_TYPE_NORMALIZE: VALUE("imagenet"), VALUE("cifar10"); break;
    case BL_TYPE_VIEW: VALUE("{flip: 0.25}"); break;
    case BL_TYPE_ARMS: VALUE("[random]"); break;
    case BL_TYPE_STRUCTURE: break;
    }
#undef VALUE
    return count;
}

// The first two values that the file may have there, of different texts; the error of one that it may not stays in bl_error.
static bool read_two(const trial *room, const bl_key *key, bl_experiment *read[2], char taken[2][96]) {
    char values[TRIED][96];
    const int count = values_of(key, values);
    int found = 0;
    for (int i = 0; i < count && found < 2; i++) {
        trial t = *room;
        if (found && !strcmp(values[i], taken[0])) continue;
        for (int k = 0; k < t.count; k++) { // pointers into the copy's own text
            t.overrides[k].key = t.paths[k];
            for (int v = 0; v < 24; v++)
                if (room->overrides[k].value == room->values[v]) t.overrides[k].value = t.values[v];
        }
        set(&t, key->path, strlen(key->path), values[i]);
        if (bl_experiment_read(&read[found], write_file("mine.yaml", study), t.overrides, t.count)) continue;
        strcpy(taken[found++], values[i]);
    }
    if (found == 1) bl_experiment_free(read[0]);
    return found == 2;
}

static const void *field_of(const bl_experiment *experiment, const bl_key *key) {
    const bl_cell *cell = &experiment->cells[0];
    const void *const owners[] = {[BL_OF_CELL] = cell, [BL_OF_MACHINE] = &experiment->machine, [BL_OF_STUDY] = experiment,
                                  [BL_OF_TRANSFORM] = &cell->views[0].items[0], [BL_OF_EVALUATION] = cell->entries,
                                  [BL_OF_EXPECTATION] = experiment->expectations};
    return (const char *)owners[key->owner] + key->offset;
}

static const char *text_of(const void *field) {
    const char *text = *(const char *const *)field;
    return text ? text : "";
}

static bool fields_differ(const bl_experiment *a, const bl_experiment *b, const bl_key *key) {
    const void *one = field_of(a, key), *other = field_of(b, key);
    if (key->type == BL_TYPE_TEXT || key->type == BL_TYPE_NAME) return text_of(one) != text_of(other) && strcmp(text_of(one), text_of(other)) != 0;
    return memcmp(one, other, field_bytes(key)) != 0;
}

static bool is_one_word(const bl_key *key) {
    return key->type == BL_TYPE_INT || key->type == BL_TYPE_INT64 || key->type == BL_TYPE_UINT64 || key->type == BL_TYPE_BOOL ||
           key->type == BL_TYPE_CHOICE || key->type == BL_TYPE_CHOICE_BOOL;
}

// What is wrong where the same file has two values for one key, or NULL.
static const char *difference(const bl_experiment *a, const bl_experiment *b, const bl_key *key, const char *value) {
    const bl_cell *one = &a->cells[0], *other = &b->cells[0];
    const bool is_row = key->key_class == BL_KEY_EVALUATE;
    char line[160];
    if (key->type != BL_TYPE_STRUCTURE && !fields_differ(a, b, key)) return "its field stays";
    if (!strcmp(one->train_id, other->train_id) == (key->key_class == BL_KEY_TRAIN)) return "the run's id";
    if (one->evaluation_count && other->evaluation_count && // the last rows: of all labels, whatever other shares and arms there are
        !strcmp(one->evaluations[one->evaluation_count - 1].id, other->evaluations[other->evaluation_count - 1].id) == is_row)
        return "the row's id";
    if (key->owner == BL_OF_STUDY || key->owner == BL_OF_EXPECTATION) return NULL; // no cell's
    if (!strcmp(one->resolved, other->resolved)) return "the resolved text stays";
    const char *leaf = strrchr(key->path, '.');
    snprintf(line, sizeof line, "%s: %s", leaf ? leaf + 1 : key->path, value);
    return is_one_word(key) && !strstr(other->resolved, line) ? "the resolved text has another value" : NULL;
}

// A choice of one; and what is always the size that another transform, or the data set, has given the views.
static bool has_one_value(const bl_key *key) {
    return (key->choices && !key->choices[1].name) || !strcmp(key->path, "views[].center_crop.size");
}

static void every_key_fills_its_field_and_is_resolved_and_of_its_ids_alone(void **state) {
    (void)state;
    int wrong = 0, seen = 0;
    for (int i = 0; i < bl_schema_count; i++) {
        const bl_key *key = &bl_schema[i];
        if (key->type == BL_TYPE_STRUCTURE) continue; // has tests of its own: bases, cells, products
        if (has_one_value(key)) continue;
        trial room = {0};
        bl_experiment *read[2];
        char taken[2][96];
        make_room(&room, key);
        seen++;
        if (!read_two(&room, key, read, taken)) {
            print_error("%s: no two values are taken: %s\n", key->path, bl_error());
            wrong++;
            continue;
        }
        const char *what = difference(read[0], read[1], key, taken[1]);
        if (what) print_error("%s: %s and %s: %s\n", key->path, taken[0], taken[1], what);
        wrong += what != NULL;
        bl_experiment_free(read[0]);
        bl_experiment_free(read[1]);
    }
    print_message("%d keys\n", seen);
    assert_int_equal(wrong, 0);
    assert_true(seen > 150);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_printed_with_what_it_takes_and_means),
        cmocka_unit_test(no_two_keys_of_one_thing_fill_one_field),
        cmocka_unit_test(every_key_fills_its_field_and_is_resolved_and_of_its_ids_alone),
    };
    return cmocka_run_group_tests(tests, set_environment, bl_test_leave);
}
