#include "experiment/rows.h"

#include <math.h>
#include <string.h>

#include "base/digest.h"
#include "experiment/key_values.h" // bl_arm_print, bl_key_default
#include "experiment/keys.h"
#include "experiment/protocol_facts.h"

static const char *prefix_of(bl_arena *arena, const bl_evaluation *row) {
    return bl_arena_format(arena, "evaluate[].%s.", bl_protocol_facts_of(row->kind)->name);
}

// ---- entries ----

static void add_key(bl_arena *arena, bl_value *map, const char *key, const char *text, const bl_value *because) {
    bl_value *value = bl_value_new(arena, BL_VALUE_SCALAR, because->spot, because->layer);
    value->text = text;
    bl_value_append(arena, map, key, because->spot, value);
}

// A view is as large as the study's.
static void add_view(bl_arena *arena, bl_value *map, const bl_key *key, int side) {
    bl_value *view = bl_value_copy(arena, bl_key_default(arena, key));
    bl_value_at(view, "random_resized_crop.size")->text = bl_arena_format(arena, "%d", side);
    bl_value_append(arena, map, "view", map->spot, view);
}

// What other keys say about a default: augmented features are fitted by SGD, and a budget in epochs is none in steps.
static const bl_value *completed(bl_arena *arena, const char *prefix, const bl_value *map, int side) {
    const bl_key *view = bl_schema_find(bl_arena_format(arena, "%sview", prefix));
    bl_value *copy = bl_value_copy(arena, map);
    const bl_value *features = bl_value_get(copy, "features"), *epochs = bl_value_get(copy, "epochs");
    if (features && features->kind == BL_VALUE_SCALAR && !strcmp(features->text, "augmented") && !bl_value_get(copy, "solver"))
        add_key(arena, copy, "solver", "sgd", features);
    if (epochs && !bl_value_get(copy, "steps")) add_key(arena, copy, "steps", "0", epochs);
    if (view && !bl_value_get(copy, "view") && bl_key_has_meaning(arena, view, prefix, copy)) add_view(arena, copy, view, side);
    return copy;
}

static int read_entry(bl_arena *arena, const bl_value *item, const bl_cell *cell, bl_evaluation_entry *entry) {
    bl_evaluation *row = &entry->row;
    if (!item->count) return bl_refuse(item->spot, "write `- knn: {k: 200, ...}`", "evaluate: an entry without a protocol");
    if (item->count > 1)
        return bl_refuse(item->entries[1].key_spot, "write a `-` before each", "evaluate: %s stands in the entry of %s",
                         item->entries[1].key, item->entries[0].key);
    const bl_protocol_facts *facts = bl_protocol_facts_find(item->entries[0].key); // the schema knows no other
    row->kind = bl_protocol_kind_of(facts);
    const char *prefix = prefix_of(arena, row);
    entry->map = row->written = completed(arena, prefix, item->entries[0].value, cell->model.image_size);
    int status = bl_keys_fill(arena, BL_OF_EVALUATION, prefix, entry->map, entry);
    if (status) return status;
    if (row->knn.raw_pixels) row->at = (bl_epochs){.list_count = 1}; // they never change: epoch 0
    if (row->knn.protocol == BL_KNN_CROSS_VALIDATION) row->knn.temperature = 0;
    row->fit.optimizer.kind = BL_OPTIMIZER_SGD;
    if (facts->of_scenes) row->scenes = BL_SCENE_VAL; // the one that the data sets score
    if (!facts->has_arms) { // one row a share, of this run's encoder
        entry->arms[0] = (bl_arm){.name = "pretrained", .source = BL_ARM_PRETRAINED};
        entry->arm_count = 1;
    }
    if (!facts->has_shares) {
        entry->shares[0] = 100;
        entry->share_count = 1;
    }
    return BL_OK;
}

static int read_entries(bl_arena *arena, const bl_value *tree, bl_cell *cell) {
    const bl_value *list = bl_value_get(tree, "evaluate");
    const int count = list ? list->count : 0;
    bl_evaluation_entry *entries = bl_arena_take(arena, (size_t)count * sizeof *entries);
    for (int i = 0; i < count; i++) {
        int status = read_entry(arena, list->entries[i].value, cell, &entries[i]);
        if (status) return status;
    }
    cell->entries = entries;
    cell->entry_count = count;
    return BL_OK;
}

// ---- rows ----

static const char *name_of(bl_arena *arena, const bl_evaluation *row) {
    bl_text name = {0};
    bl_evaluation_name(row, &name);
    const char *copy = bl_arena_copy(arena, name.chars);
    bl_text_free(&name);
    return copy;
}

// A digest of what differs from the defaults, and of the row's own arm and share: another share beside it changes nothing.
static const char *id_of(bl_arena *arena, const bl_evaluation_entry *entry, int arm, const bl_evaluation *row) {
    const bl_protocol_facts *facts = bl_protocol_facts_of(row->kind);
    bl_text text = {0};
    char digest[65];
    bl_text_add(&text, "%s", facts->in_id);
    bl_keys_print_flow(BL_OF_EVALUATION, prefix_of(arena, row), entry->map, entry, 1u << BL_KEY_EVALUATE | BL_ONLY_CHANGED, &text);
    if (facts->has_shares) bl_text_add(&text, " share %.17g", row->fit.share);
    if (facts->has_arms) {
        const bl_value *arms = bl_value_get(entry->map, "arms");
        bl_text_add(&text, " arm %s ", row->fit.arm.name);
        bl_arm_print(arms ? arms->entries[arm].value : NULL, &row->fit.arm, &text);
    }
    bl_digest_hex(text.chars, text.size, digest);
    bl_text_free(&text);
    return bl_arena_format(arena, "%.16s", digest);
}

bl_evaluation bl_row_of_share(const bl_evaluation_entry *entry, int share) {
    bl_evaluation row = entry->row;
    row.fit.share = entry->shares[share];
    if (row.fit.steps && row.fit.growth > 0) {
        const int64_t steps = llround(row.fit.steps * pow(row.fit.share / 100, row.fit.growth));
        row.fit.steps = steps > 1 ? (int)steps : 1;
    }
    return row;
}

// A row for each arm and share.
static int expand(bl_arena *arena, const bl_evaluation_entry *entry, bl_cell *cell) {
    for (int a = 0; a < entry->arm_count; a++)
        for (int s = 0; s < entry->share_count; s++) {
            bl_evaluation *row = &cell->evaluations[cell->evaluation_count++];
            *row = bl_row_of_share(entry, s);
            row->fit.arm = entry->arms[a];
            row->row = name_of(arena, row);
            row->id = id_of(arena, entry, a, row);
            for (const bl_evaluation *other = cell->evaluations; other < row; other++)
                if (!strcmp(other->row, row->row))
                    return bl_refuse(entry->map->spot, "write one of them, or give them another k, share or split",
                                     "evaluate: two rows are called %s", row->row);
        }
    return BL_OK;
}

int bl_evaluations_fill(bl_arena *arena, const bl_value *tree, bl_cell *cell) {
    int rows = 0;
    int status = read_entries(arena, tree, cell);
    if (status) return status;
    for (int i = 0; i < cell->entry_count; i++) rows += cell->entries[i].arm_count * cell->entries[i].share_count;
    cell->evaluations = bl_arena_take(arena, (size_t)rows * sizeof *cell->evaluations);
    for (int i = 0; i < cell->entry_count; i++)
        if (expand(arena, &cell->entries[i], cell)) return BL_FAILED;
    return BL_OK;
}

void bl_evaluations_print(bl_arena *arena, const bl_cell *cell, bl_text *text) {
    if (cell->entry_count) bl_text_add(text, "evaluate:\n");
    for (int i = 0; i < cell->entry_count; i++) {
        const bl_evaluation_entry *entry = &cell->entries[i];
        bl_text_add(text, "  - %s: ", bl_protocol_facts_of(entry->row.kind)->name);
        bl_keys_print_flow(BL_OF_EVALUATION, prefix_of(arena, &entry->row), entry->map, entry, BL_EVERY_CLASS, text);
        bl_text_add(text, "\n");
    }
}
