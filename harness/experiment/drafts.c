#include "experiment/drafts.h"

#include <string.h>

#include "experiment/schema.h"
#include "experiment/yaml.h" // BL_LAYER_CELL

#define MAX_CELLS 1024
#define MAX_COMBINATIONS 65536 // excluded ones among them

static const char *const plain_name = "write letters, digits and _ . = -";

// A cell's name is a folder's.
static bool is_plain(const char *name) {
    return *name && *name != '.' && !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.=-")];
}

// What describes the study or the machine cannot differ between cells.
static int belongs_to_cells(bl_arena *arena, const bl_value *keys) {
    for (int i = 0; i < keys->count; i++) {
        const bl_entry *entry = &keys->entries[i];
        bool belongs = true;
        for (int k = 0; k < bl_schema_count; k++) {
            size_t length = strcspn(bl_schema[k].path, ".[");
            if (strlen(entry->key) != length || strncmp(entry->key, bl_schema[k].path, length)) continue;
            belongs =
                bl_schema[k].owner != BL_OF_STUDY && bl_schema[k].owner != BL_OF_MACHINE && bl_schema[k].owner != BL_OF_EXPECTATION;
            break;
        }
        if (!belongs)
            return bl_refuse(entry->key_spot, bl_arena_format(arena, "write `%s:` at the top of the file", entry->key),
                             "%s belongs to the study, not to a cell", entry->key);
    }
    const bl_value *seeds = bl_value_at(keys, "train.seeds");
    if (seeds)
        return bl_refuse(seeds->spot, "write them below `train:` at the top of the file",
                         "train.seeds belongs to the study, not to a cell");
    return BL_OK;
}

static int add(bl_arena *arena, const bl_value *file, bl_drafts *drafts, const char *name, bl_spot spot, bool of_product) {
    if (drafts->count == MAX_CELLS) return bl_refuse(spot, "write fewer values", "more than %d cells", MAX_CELLS);
    if (!is_plain(name)) return bl_refuse(spot, plain_name, "\"%s\" cannot name a cell: it names a folder", name);
    drafts->items[drafts->count++] = (bl_draft){name, spot, bl_value_copy(arena, file), of_product};
    return BL_OK;
}

static int named_cells(bl_arena *arena, const bl_value *file, bl_value *cells, bl_drafts *drafts) {
    if (cells->kind != BL_VALUE_MAP || !cells->count)
        return bl_refuse(cells->spot, "write `cells: {name: {key: value}}`, or leave it out", "cells: none is named");
    for (int i = 0; i < cells->count; i++) {
        bl_entry *entry = &cells->entries[i];
        if (entry->value->kind != BL_VALUE_MAP)
            return bl_refuse(entry->value->spot,
                             bl_arena_format(arena, "write `%s: {key: value}`, or `%s: {}` for the file as it is", entry->key, entry->key),
                             "cells.%s: expected a map of keys", entry->key);
        bl_value_raise(entry->value, BL_LAYER_CELL);
        if (belongs_to_cells(arena, entry->value) || add(arena, file, drafts, entry->key, entry->key_spot, false)) return BL_FAILED;
        bl_value_merge(arena, drafts->items[drafts->count - 1].tree, entry->value);
    }
    return BL_OK;
}

// "predictor.kind=none": the key without its first part, and the value; a value with parts is called by its number, from 1.
static const char *label(bl_arena *arena, const char *key, const bl_value *values, int index) {
    const char *dot = strchr(key, '.');
    const bl_value *value = values->entries[index].value;
    if (value->kind == BL_VALUE_SCALAR) return bl_arena_format(arena, "%s=%s", dot ? dot + 1 : key, value->text);
    return bl_arena_format(arena, "%s=%d", dot ? dot + 1 : key, index + 1);
}

static bool is_same(const bl_value *a, const bl_value *b) {
    return a->kind == BL_VALUE_SCALAR && b->kind == BL_VALUE_SCALAR && !strcmp(a->text, b->text);
}

// Every key of every rule is swept and its value is one of the key's: a rule that matches nothing excludes nothing.
static int check_exclude(bl_arena *arena, const bl_value *exclude, const bl_value *product) {
    if (exclude && exclude->kind != BL_VALUE_LIST)
        return bl_refuse(exclude->spot, "write [{key: value}]", "sweep.exclude: expected a list");
    for (int i = 0; exclude && i < exclude->count; i++) {
        const bl_value *rule = exclude->entries[i].value;
        if (rule->kind != BL_VALUE_MAP || !rule->count)
            return bl_refuse(rule->spot, "write {key: value}", "sweep.exclude: expected a map of keys");
        for (int k = 0; k < rule->count; k++) {
            const bl_entry *wanted = &rule->entries[k];
            const bl_value *values = NULL;
            for (int p = 0; p < product->count; p++)
                if (!strcmp(product->entries[p].key, wanted->key)) values = product->entries[p].value;
            if (!values)
                return bl_refuse(wanted->key_spot, "write a key of sweep.product", "sweep.exclude: %s is not swept", wanted->key);
            bool is_known = false;
            const char *names = "";
            for (int v = 0; v < values->count; v++) {
                const bl_value *value = values->entries[v].value;
                is_known |= is_same(value, wanted->value);
                if (value->kind == BL_VALUE_SCALAR) names = bl_arena_format(arena, "%s%s%s", names, *names ? ", " : "", value->text);
            }
            if (!is_known)
                return bl_refuse(wanted->value->spot, *names ? bl_arena_format(arena, "write one of %s", names) : "leave the rule out",
                                 "sweep.exclude: %s is not swept over this value", wanted->key);
        }
    }
    return BL_OK;
}

// The rule that does; NULL: none.
static const bl_value *excluding(const bl_value *exclude, const bl_value *product, const int *chosen) {
    for (int i = 0; exclude && i < exclude->count; i++) {
        const bl_value *rule = exclude->entries[i].value;
        bool matches = true;
        for (int p = 0; p < product->count; p++) {
            const bl_value *wanted = bl_value_get(rule, product->entries[p].key);
            matches &= !wanted || is_same(product->entries[p].value->entries[chosen[p]].value, wanted);
        }
        if (matches) return rule;
    }
    return NULL;
}

static int one_combination(bl_arena *arena, const bl_value *file, const bl_value *product, const bl_value *exclude, const int *chosen,
                           bl_drafts *drafts) {
    const char *name = "";
    for (int p = 0; p < product->count; p++) {
        const bl_entry *axis = &product->entries[p];
        name = bl_arena_format(arena, "%s%s%s", name, p ? "_" : "", label(arena, axis->key, axis->value, chosen[p]));
    }
    const bl_value *rule = excluding(exclude, product, chosen);
    if (rule) {
        drafts->excluded[drafts->excluded_count++] = bl_arena_format(arena, "%s: sweep.exclude, %s", name, bl_spot_name(arena, rule->spot));
        return BL_OK;
    }
    if (add(arena, file, drafts, name, product->spot, true)) return BL_FAILED;
    for (int p = 0; p < product->count; p++) {
        const bl_entry *axis = &product->entries[p];
        if (bl_value_assign(arena, drafts->items[drafts->count - 1].tree, axis->key, axis->key_spot, axis->value->entries[chosen[p]].value))
            return BL_FAILED;
    }
    return BL_OK;
}

static int product_cells(bl_arena *arena, const bl_value *file, bl_value *sweep, bl_drafts *drafts) {
    bl_value *product = bl_value_get(sweep, "product"), *exclude = bl_value_get(sweep, "exclude");
    if (!product || product->kind != BL_VALUE_MAP || !product->count)
        return bl_refuse(sweep->spot, "write `sweep: {product: {key: [values]}}`", "sweep: nothing to vary");
    for (int i = 0; i < sweep->count; i++)
        if (strcmp(sweep->entries[i].key, "product") && strcmp(sweep->entries[i].key, "exclude"))
            return bl_refuse(sweep->entries[i].key_spot, "write product or exclude", "sweep.%s: no such key", sweep->entries[i].key);
    int *chosen = bl_arena_take(arena, (size_t)product->count * sizeof *chosen); // of each key's values, from the first
    int combinations = 1;
    bl_value_raise(product, BL_LAYER_CELL);
    for (int p = 0; p < product->count; p++) {
        const bl_entry *axis = &product->entries[p];
        if (axis->value->kind != BL_VALUE_LIST || !axis->value->count)
            return bl_refuse(axis->value->spot, "write [value, value]", "sweep.product: %s needs a list of values", axis->key);
        bl_value *probe = bl_value_new(arena, BL_VALUE_MAP, axis->key_spot, BL_LAYER_CELL);
        if (bl_value_assign(arena, probe, axis->key, axis->key_spot, axis->value->entries[0].value) || belongs_to_cells(arena, probe))
            return BL_FAILED;
        if (axis->value->count > MAX_COMBINATIONS / combinations)
            return bl_refuse(axis->key_spot, "write fewer values", "sweep.product: more than %d combinations", MAX_COMBINATIONS);
        combinations *= axis->value->count;
    }
    if (check_exclude(arena, exclude, product)) return BL_FAILED;
    drafts->excluded = bl_arena_take(arena, (size_t)combinations * sizeof *drafts->excluded);
    for (bool is_done = false; !is_done;) {
        if (one_combination(arena, file, product, exclude, chosen, drafts)) return BL_FAILED;
        int p = product->count - 1; // count up, the last key fastest
        while (p >= 0 && ++chosen[p] == product->entries[p].value->count) chosen[p--] = 0;
        is_done = p < 0;
    }
    if (!drafts->count) return bl_refuse(sweep->spot, "write fewer exclusions", "sweep: every combination is excluded");
    return BL_OK;
}

// Without what --set took back: cells.name=null.
static bl_value *take(bl_value *file, const char *key) {
    bl_value *value = bl_value_detach(file, key);
    if (value) bl_value_drop_taken_back(value);
    return value && !value->takes_back ? value : NULL;
}

int bl_drafts_make(bl_arena *arena, bl_value *file, bl_drafts *drafts) {
    bl_value *cells = take(file, "cells"), *sweep = take(file, "sweep");
    *drafts = (bl_drafts){.items = bl_arena_take(arena, MAX_CELLS * sizeof *drafts->items)};
    if (cells && sweep) return bl_refuse(sweep->spot, "write one of the two", "sweep beside cells");
    if (cells) return named_cells(arena, file, cells, drafts);
    if (sweep) return product_cells(arena, file, sweep, drafts);
    return add(arena, file, drafts, "main", file->spot, false);
}
