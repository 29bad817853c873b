#include "experiment/experiment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/threads.h"          // bl_processors
#include "experiment/cell.h"
#include "experiment/contradictions.h"
#include "experiment/drafts.h"
#include "experiment/key_values.h" // bl_nearest_name
#include "experiment/keys.h"
#include "experiment/variables.h"
#include "experiment/yaml.h"

// "cifar10/understanding_byol" of ".../experiments/cifar10/understanding_byol.yaml"; else the file's stem.
static const char *study_of(bl_arena *arena, const char *path) {
    char *real = realpath(path, NULL);
    const char *name = real ? real : path, *inside = NULL;
    for (const char *at = name; (at = strstr(at, "/experiments/")); at++) inside = at + strlen("/experiments/");
    const char *slash = strrchr(name, '/');
    if (!inside) inside = slash ? slash + 1 : name;
    size_t length = strlen(inside);
    for (const char *ending = ".yaml"; ending; ending = strcmp(ending, ".yaml") ? NULL : ".yml")
        if (length > strlen(ending) && !strcmp(inside + length - strlen(ending), ending)) length -= strlen(ending);
    const char *study = bl_arena_format(arena, "%.*s", (int)length, inside);
    free(real);
    return study;
}

// ---- overrides ----

typedef struct override { // --set, parsed
    const char *key;
    bl_spot key_spot;
    bl_value *value;
} override;

// "evaluate.0.knn.k" of "evaluate[0].knn.k".
static const char *with_dots(bl_arena *arena, const char *key) {
    char *dotted = bl_arena_copy(arena, key), *to = dotted;
    for (const char *from = key; *from; from++)
        if (*from != ']') *to++ = *from == '[' ? '.' : *from;
    *to = '\0';
    return dotted;
}

static int parse_override(bl_arena *arena, const bl_override *given, override *out) {
    static const char option[] = "--set ";
    bl_source *source = bl_arena_take(arena, sizeof *source);
    source->name = source->text = bl_arena_format(arena, "%s%s=%s", option, given->key, given->value);
    *out = (override){.key = bl_arena_copy(arena, given->key), .key_spot = {source, 1, (int)sizeof option}};
    if (!*given->key || !strcmp(given->key, "base"))
        return bl_refuse(out->key_spot, "write --set train.epochs=2", "%s cannot be set here", *given->key ? "base" : "a key without a name");
    if (strchr(given->key, '['))
        return bl_refuse(out->key_spot, bl_arena_format(arena, "write `%s`", with_dots(arena, given->key)),
                         "an entry of a list is named by a dot and its index");
    // Behind as many blanks as what stands before it, which YAML passes over, the value stands in its own column.
    const int before = strchr(given->value, '\n') ? 0 : (int)(sizeof option + strlen(given->key));
    return bl_yaml_parse(arena, source, bl_arena_format(arena, "%*s%s", before, "", given->value), BL_LAYER_SET, &out->value);
}

static int parse_overrides(bl_arena *arena, const bl_override *given, int count, override **out) {
    *out = bl_arena_take(arena, (size_t)(count + 1) * sizeof **out);
    for (int i = 0; i < count; i++)
        if (parse_override(arena, &given[i], &(*out)[i])) return BL_FAILED;
    return BL_OK;
}

static int apply(bl_arena *arena, bl_value *tree, const override *overrides, int count) {
    for (int i = 0; i < count; i++)
        if (bl_value_assign(arena, tree, overrides[i].key, overrides[i].key_spot, overrides[i].value)) return BL_FAILED;
    return BL_OK;
}

// What chooses cells or stands beside them: no cell holds it.
static bool is_of_study(const char *key) {
    static const char *const study[] = {"cells", "sweep", "expect"};
    for (int i = 0; i < 3; i++)
        if (strlen(study[i]) == strcspn(key, ".") && !strncmp(key, study[i], strlen(study[i]))) return true;
    return false;
}

// What stands there, or else around it.
static const bl_value *nearest(bl_arena *arena, const bl_value *tree, const char *key) {
    char *shorter = bl_arena_copy(arena, key);
    const bl_value *value;
    while (!(value = bl_value_at(tree, shorter))) *(strrchr(shorter, '.') ? strrchr(shorter, '.') : shorter) = '\0'; // "" is the tree
    return value;
}

// A cell's own value stands above --set, as it stands above the file: where it is another one --set would be without effect there. What a
// cell takes back by null has no effect there either, as it wants.
static int is_heard(bl_arena *arena, const bl_draft *draft, const char *key, const bl_value *value) {
    for (int i = 0; value->kind == BL_VALUE_MAP && i < value->count; i++)
        if (is_heard(arena, draft, bl_arena_format(arena, "%s.%s", key, value->entries[i].key), value->entries[i].value)) return BL_FAILED;
    const bl_value *there = nearest(arena, draft->tree, key);
    const bool is_taken_back = there->kind == BL_VALUE_MAP && !bl_value_at(draft->tree, key);
    if (value->kind == BL_VALUE_MAP || is_taken_back || there->layer != BL_LAYER_CELL) return BL_OK;
    if (there->kind == BL_VALUE_SCALAR && value->kind == BL_VALUE_SCALAR && !strcmp(there->text, value->text)) return BL_OK;
    const char *advice = draft->of_product ? "change sweep.product in the file" :
                                             bl_arena_format(arena, "write --set cells.%s.%s for this cell", draft->name, key);
    return bl_refuse(value->spot, advice, "%s: cell %s has its own, which stands above the file and this: %s", key, draft->name,
                     bl_spot_name(arena, there->spot));
}

static int are_heard(bl_arena *arena, const bl_draft *draft, const override *overrides, int count) {
    for (int i = 0; i < count; i++)
        if (!is_of_study(overrides[i].key) && is_heard(arena, draft, overrides[i].key, overrides[i].value)) return BL_FAILED;
    return BL_OK;
}

// ---- cells ----

// The first line of what was wrong, without its file's folder: what is kept must not depend on where it was asked for.
static const char *reason(bl_arena *arena) {
    const char *error = bl_error(), *start = error;
    const int length = (int)strcspn(error, "\n");
    for (const char *at = error; at < error + strcspn(error, ":"); at++)
        if (*at == '/' && *error != '-') start = at + 1;
    return bl_arena_format(arena, "%.*s", length - (int)(start - error), start);
}

static void leave_out(bl_experiment *experiment, const char *name) {
    experiment->skipped[experiment->skipped_count++] = bl_arena_format(experiment->arena, "%s: %s", name, reason(experiment->arena));
}

// The last one's message stands.
static int refuse_all(const bl_experiment *experiment) {
    const int count = experiment->skipped_count;
    return count == 1 ? BL_FAILED : bl_fail("%s\n  no cell is left of sweep.product: this is one of %d", bl_error(), count);
}

static int make_cells(bl_experiment *experiment, bl_value *file, const override *overrides, int override_count) {
    bl_arena *arena = experiment->arena;
    bl_drafts drafts;
    if (bl_drafts_make(arena, file, &drafts)) return BL_FAILED;
    experiment->cells = bl_arena_take(arena, (size_t)drafts.count * sizeof *experiment->cells);
    experiment->skipped = bl_arena_take(arena, (size_t)(drafts.count + drafts.excluded_count) * sizeof *experiment->skipped);
    for (int i = 0; i < drafts.count; i++) {
        const bl_draft *draft = &drafts.items[i];
        bl_cell *cell = &experiment->cells[experiment->cell_count];
        *cell = (bl_cell){.name = draft->name};
        if (are_heard(arena, draft, overrides, override_count)) return BL_FAILED;
        int status = bl_cell_fill(arena, draft->tree, cell);
        if (!status && bl_cell_check(arena, draft->tree, &experiment->machine, cell)) status = BL_MEANINGLESS;
        if (status == BL_MEANINGLESS && draft->of_product) {
            leave_out(experiment, draft->name);
            continue;
        }
        if (status) return BL_FAILED;
        bl_cell_identify(arena, draft->tree, &experiment->machine, cell);
        for (int k = 0; k < experiment->cell_count; k++)
            if (!strcmp(experiment->cells[k].train_id, cell->train_id))
                return bl_refuse(draft->spot, "leave one of them out", "cells %s and %s train the same thing",
                                 experiment->cells[k].name, cell->name);
        experiment->cell_count++;
    }
    for (int i = 0; i < drafts.excluded_count; i++) experiment->skipped[experiment->skipped_count++] = drafts.excluded[i];
    return experiment->cell_count ? BL_OK : refuse_all(experiment);
}

// ---- published figures ----

static int unknown_row(bl_experiment *experiment, const bl_value *item, const bl_expectation *expectation) {
    int count = 0, room = 0;
    for (int c = 0; c < experiment->cell_count; c++) room += experiment->cells[c].evaluation_count;
    const char **names = bl_arena_take(experiment->arena, (size_t)(room + 1) * sizeof *names);
    for (int c = 0; c < experiment->cell_count; c++)
        for (int i = 0; i < experiment->cells[c].evaluation_count; i++) names[count++] = experiment->cells[c].evaluations[i].row;
    for (int i = 0; i < count; i++)
        if (!strcmp(names[i], expectation->row)) return BL_OK;
    const char *near = bl_nearest_name(expectation->row, names, count);
    if (!near && count) near = names[0];
    return bl_refuse(bl_value_get(item, "row")->spot,
                     near ? bl_arena_format(experiment->arena, "write `%s`, or add the row below `evaluate:`", near)
                          : "add the row below `evaluate:`",
                     "expect.row: no evaluation is called %s", expectation->row);
}

static int unknown_cell(bl_experiment *experiment, const bl_value *item, const bl_expectation *expectation) {
    for (int c = 0; c < experiment->cell_count; c++)
        if (!strcmp(experiment->cells[c].name, expectation->cell)) return BL_OK;
    for (int s = 0; s < experiment->skipped_count; s++) {
        size_t length = strlen(expectation->cell);
        if (!strncmp(experiment->skipped[s], expectation->cell, length) && experiment->skipped[s][length] == ':') return BL_OK;
    }
    return bl_refuse(bl_value_get(item, "cell")->spot, bl_arena_format(experiment->arena, "write `%s`", experiment->cells[0].name),
                     "expect.cell: no cell is called %s", expectation->cell);
}

// `range` stands for a value: what both its ends are checked as. A copy, where there is one.
static int with_value(bl_arena *arena, const bl_value *item, const bl_value **out) {
    const bl_value *range = bl_value_get(item, "range"), *value = bl_value_get(item, "value");
    *out = item;
    if (!range) return BL_OK;
    if (value) return bl_refuse(value->spot, "write one of the two", "expect.value beside expect.range");
    bl_value *copy = bl_value_copy(arena, item), *none = bl_value_new(arena, BL_VALUE_SCALAR, range->spot, range->layer);
    none->text = "0";
    bl_value_append(arena, copy, "value", range->spot, none);
    *out = copy;
    return BL_OK;
}

static int last_epoch(const bl_experiment *experiment, const char *cell) {
    for (int c = 0; cell && c < experiment->cell_count; c++)
        if (!strcmp(experiment->cells[c].name, cell)) return experiment->cells[c].train.epochs;
    return experiment->cells[0].train.epochs;
}

static int fill_expectation(bl_experiment *experiment, const bl_value *written, bl_expectation *expectation) {
    const bl_value *item, *range = bl_value_get(written, "range"), *spread = bl_value_get(written, "spread");
    if (with_value(experiment->arena, written, &item)) return BL_FAILED;
    if (bl_keys_fill(experiment->arena, BL_OF_EXPECTATION, "expect[].", item, expectation)) return BL_FAILED;
    if (!*expectation->cell) expectation->cell = NULL;
    if (unknown_row(experiment, item, expectation)) return BL_FAILED;
    if (expectation->cell && unknown_cell(experiment, item, expectation)) return BL_FAILED;
    const bool has_kind = strcmp(expectation->spread_kind, "none") != 0;
    if ((spread != NULL) != has_kind)
        return bl_refuse(spread ? spread->spot : bl_value_get(item, "spread_kind")->spot,
                         spread ? "write `spread_kind: sd`, half_range or interval beside it" : "write `spread:` beside it",
                         spread ? "expect.spread: of what kind?" : "expect.spread_kind: of what spread?");
    if (!spread) expectation->spread = NAN;
    if (range)
        expectation->value = (expectation->low + expectation->high) / 2;
    else
        expectation->low = expectation->high = expectation->value;
    expectation->context = expectation->epoch < 0 || *expectation->about || strcmp(expectation->selection, "last") != 0;
    if (expectation->epoch < 0) expectation->epoch = last_epoch(experiment, expectation->cell);
    return BL_OK;
}

static int fill_expectations(bl_experiment *experiment, const bl_value *list) {
    if (!list) return BL_OK;
    experiment->expectations = bl_arena_take(experiment->arena, (size_t)(list->count + 1) * sizeof *experiment->expectations);
    for (int i = 0; i < list->count; i++, experiment->expectation_count++)
        if (fill_expectation(experiment, list->entries[i].value, &experiment->expectations[i])) return BL_FAILED;
    return BL_OK;
}

// ---- the file ----

static void excuse_variables(bl_experiment *experiment, const bl_value *file) {
    bl_text warnings = {0};
    bl_variables_excuse(file, &warnings);
    if (warnings.size) experiment->warnings = bl_arena_copy(experiment->arena, warnings.chars);
    bl_text_free(&warnings);
}

static int read_into(bl_experiment *experiment, const bl_override *given, int count, bool elsewhere) {
    bl_arena *arena = experiment->arena;
    bl_value *file;
    override *overrides;
    if (bl_yaml_read_merged(arena, experiment->path, &file) || parse_overrides(arena, given, count, &overrides) ||
        apply(arena, file, overrides, count))
        return BL_FAILED;
    if (elsewhere) excuse_variables(experiment, file);
    if (bl_keys_known(arena, file) ||
        bl_keys_fill(arena, BL_OF_MACHINE, "", file, &experiment->machine) || bl_keys_fill(arena, BL_OF_STUDY, "", file, experiment))
        return BL_FAILED;
    if (!*experiment->title) experiment->title = experiment->study;
    bl_value *expect = bl_value_detach(file, "expect");
    if (make_cells(experiment, file, overrides, count) || fill_expectations(experiment, expect)) return BL_FAILED;
    bl_machine *machine = &experiment->machine; // the resolved text keeps the 0: it describes the file, not this machine
    if (!machine->threads) machine->threads = bl_processors();
    if (!machine->loader_threads) machine->loader_threads = bl_processors();
    return BL_OK;
}

static int read_fresh(bl_experiment **experiment, const char *path, const bl_override *overrides, int override_count, bool elsewhere) {
    bl_arena *arena = bl_arena_create();
    bl_experiment *fresh = bl_arena_take(arena, sizeof *fresh);
    fresh->arena = arena;
    fresh->path = bl_arena_copy(arena, path);
    fresh->study = study_of(arena, path);
    fresh->warnings = "";
    *experiment = NULL;
    if (read_into(fresh, overrides, override_count, elsewhere)) {
        bl_arena_free(arena);
        return BL_FAILED;
    }
    *experiment = fresh;
    return BL_OK;
}

int bl_experiment_read(bl_experiment **experiment, const char *path, const bl_override *overrides, int override_count) {
    return read_fresh(experiment, path, overrides, override_count, false);
}

int bl_experiment_read_elsewhere(bl_experiment **experiment, const char *path, const bl_override *overrides, int override_count) {
    return read_fresh(experiment, path, overrides, override_count, true);
}

void bl_experiment_free(bl_experiment *experiment) {
    if (experiment) bl_arena_free(experiment->arena);
}
