#include "weights/prefix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NETWORKS = 8, MOST_PREFIX = 200 };

bool bl_prefix_ends_with(const char *text, const char *ending) {
    const size_t length = strlen(text), tail = strlen(ending);
    return length >= tail && !strcmp(text + length - tail, ending);
}

bool bl_prefix_is_encoders(const char *segment) { return strncmp(segment, "projector.", 10) != 0; }

// What follows the prefix; NULL where the name begins otherwise.
static const char *inner_name(const bl_prefix *prefix, const char *name) {
    return strncmp(name, prefix->text, (size_t)prefix->length) ? NULL : name + prefix->length;
}

// What torchvision's state_dict has besides the encoder, or self-supervised methods have in the classifier's place ("fc.0.weight").
static bool is_passed_over(const char *inner) { return bl_prefix_ends_with(inner, ".num_batches_tracked") || !strncmp(inner, "fc.", 3); }

static int by_name(const void *name, const void *weight) { return strcmp(name, ((const bl_weight *)weight)->name); }

const bl_weight *bl_prefix_find(const bl_prefix *prefix, const bl_weights *weights, const char *segment) {
    char name[2 * MOST_PREFIX + 128];
    const int length = snprintf(name, sizeof name, "%.*s%s", prefix->length, prefix->text, segment);
    if (length >= (int)sizeof name || !weights->count) return NULL;
    return bsearch(name, weights->items, (size_t)weights->count, sizeof *weights->items, by_name);
}

// ---- the networks of a file ----

// How many of the encoder's tensors are below the prefix; *all: of how many.
static int tensors_below(const bl_prefix *prefix, const bl_weights *weights, const bl_network *into, int *all) {
    int found = 0;
    *all = 0;
    for (int k = 0; k < 2; k++) {
        const bl_segments *segments = bl_network_segments(into, k ? BL_BUFFERS : BL_PARAMETERS);
        for (int s = 0; s < segments->count; s++) {
            if (!bl_prefix_is_encoders(segments->items[s].name)) continue;
            ++*all;
            found += bl_prefix_find(prefix, weights, segments->items[s].name) != NULL;
        }
    }
    return found;
}

typedef struct networks {
    bl_prefix whole[MOST_NETWORKS];
    int count;       // of those that are whole; more than MOST_NETWORKS are not told apart
    bl_prefix fullest; // where none is whole
} networks;

static bool is_segment_below(const char *name, const char *segment) { // "module.conv1.weight", "conv1.weight" of "conv1.weight"
    const size_t head = strlen(name) - strlen(segment);
    return bl_prefix_ends_with(name, segment) && (!head || name[head - 1] == '.');
}

// "layer1.0.conv1.weight" ends as "conv1.weight" does, and begins no network.
static bool is_inner(const char *name, const bl_network *into) {
    for (int s = 1; s < into->parameters.count; s++)
        if (is_segment_below(name, into->parameters.items[s].name)) return true;
    return false;
}

static networks find_networks(const bl_weights *weights, const bl_network *into) {
    const char *first = into->parameters.items[0].name; // "conv1.weight"
    networks found = {.fullest = {"", 0}};
    int most = 0;
    for (int i = 0; i < weights->count && found.count < MOST_NETWORKS; i++) {
        const char *name = weights->items[i].name;
        const bl_prefix prefix = {name, (int)(strlen(name) - strlen(first))};
        if (!is_segment_below(name, first) || is_inner(name, into)) continue;
        int all;
        const int below = tensors_below(&prefix, weights, into, &all);
        if (below == all) found.whole[found.count++] = prefix;
        if (below > most) most = below, found.fullest = prefix;
    }
    return found;
}

// Of a momentum encoder, whose weights follow another's.
static bool is_copy(const bl_prefix *prefix) {
    static const char *const words[] = {"momentum", "encoder_k", "teacher", "target", "ema"};
    for (size_t w = 0; w < sizeof words / sizeof *words; w++) {
        const char *at = strstr(prefix->text, words[w]);
        if (at && at < prefix->text + prefix->length) return true;
    }
    return false;
}

static void print_prefix(bl_text *text, const bl_prefix *prefix) { // without its dot, but where there is nothing else
    if (prefix->length) bl_text_add(text, "%.*s", prefix->length - 1, prefix->text);
    else bl_text_add(text, ".");
}

static int refuse(const bl_weights *weights, const networks *found, const char *beside) {
    bl_text text = {0};
    int meant = 0;
    while (meant + 1 < found->count && is_copy(&found->whole[meant])) meant++;
    if (found->count == 1) bl_text_add(&text, "an encoder below ");
    else bl_text_add(&text, "%d networks: ", found->count);
    for (int i = 0; i < found->count; i++) {
        if (i) bl_text_add(&text, ", ");
        print_prefix(&text, &found->whole[i]);
        if (found->count > 1 && is_copy(&found->whole[i])) bl_text_add(&text, " (by its name an averaged copy)");
    }
    if (beside) bl_text_add(&text, ", and %s beside it", beside);
    bl_text_add(&text, ": write `prefix: ");
    print_prefix(&text, &found->whole[meant]);
    bl_text_add(&text, "` beside its path (import: --prefix ");
    print_prefix(&text, &found->whole[meant]);
    bl_text_add(&text, found->count > 1 ? "), or another of them" : ")");
    const int status = bl_fail("%s: holds %s", weights->path, text.chars);
    bl_text_free(&text);
    return status;
}

// torch.nn.Sequential(*resnet.children()) numbers what torchvision names.
static int refuse_numbered(const bl_weights *weights, const bl_prefix *prefix) {
    return bl_fail("%s: its tensors are numbered below \"%.*s\" (%.*s4.0.conv1.weight), as torch.nn.Sequential(*list(resnet.children())[:-1]) numbers "
                   "them: load them into that in Python, and write the resnet's own state_dict by safetensors.torch.save_file",
                   weights->path, prefix->length - (prefix->length > 0), prefix->text, prefix->length, prefix->text);
}

static bool is_numbered(const bl_weights *weights, bl_prefix *prefix) {
    static const char first[] = "4.0.conv1.weight";
    for (int i = 0; i < weights->count; i++) {
        const char *name = weights->items[i].name;
        *prefix = (bl_prefix){name, (int)(strlen(name) - strlen(first))};
        if (is_segment_below(name, first) && bl_prefix_find(prefix, weights, "0.weight")) return true;
    }
    return false;
}

// The first tensor that is neither below the prefix nor passed over.
static const char *first_outside(const bl_prefix *prefix, const bl_weights *weights) {
    for (int i = 0; i < weights->count; i++)
        if (!inner_name(prefix, weights->items[i].name) && !is_passed_over(weights->items[i].name)) return weights->items[i].name;
    return NULL;
}

static int take_own(bl_prefix *prefix, const bl_weights *weights, const networks *found) {
    const char *own = weights->prefix;
    const size_t length = strlen(own);
    prefix->text = strcmp(own, ".") ? bl_arena_format(weights->arena, "%s%s", own, length && own[length - 1] == '.' ? "" : ".") : "";
    prefix->length = (int)strlen(prefix->text);
    for (int i = 0; i < weights->count; i++)
        if (inner_name(prefix, weights->items[i].name)) return BL_OK;
    return found->count ? refuse(weights, found, NULL)
                        : bl_fail("%s: no name in it begins with %s, the prefix: its first is %s", weights->path, prefix->text,
                                  weights->count ? weights->items[0].name : "none");
}

int bl_prefix_choose(bl_prefix *prefix, const bl_weights *weights, const bl_network *into) {
    const networks found = find_networks(weights, into);
    if (weights->prefix) return take_own(prefix, weights, &found);
    if (found.count > 1) return refuse(weights, &found, NULL);
    *prefix = found.count ? found.whole[0] : found.fullest;
    if (!found.count) return is_numbered(weights, prefix) ? refuse_numbered(weights, prefix) : (*prefix = found.fullest, BL_OK);
    const char *beside = first_outside(prefix, weights);
    return beside ? refuse(weights, &found, beside) : BL_OK;
}

int bl_prefix_check_rest(const bl_prefix *prefix, const bl_weights *weights, const bl_network *into) {
    const networks found = find_networks(weights, into);
    for (int i = 0; i < weights->count; i++) {
        const char *name = weights->items[i].name, *inner = inner_name(prefix, name);
        bool is_anothers = false; // of a network inside this one: "target.conv1.weight" beside "conv1.weight"
        for (int k = 0; weights->prefix && k < found.count; k++)
            is_anothers = is_anothers || (found.whole[k].length > prefix->length && inner_name(&found.whole[k], name));
        if (!inner || is_passed_over(inner) || is_anothers) continue;
        if (!bl_prefix_is_encoders(inner) || (bl_segments_find(&into->parameters, inner) < 0 && bl_segments_find(&into->buffers, inner) < 0))
            return bl_fail("%s: %s is left over: the experiment's encoder has no such tensor", weights->path, name);
    }
    return BL_OK;
}
