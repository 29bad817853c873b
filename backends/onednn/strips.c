// Which tensors lie in strips, and where their pixels are.
//
// Tensors that some operator needs to lie alike form a class: what a convolution reads and writes, what an addition or a ReLU by itself
// works on. A class lies in strips when every one of its tensors is wanted there and every operator that touches one knows strips.

#include "backends/onednn/strips.h"

#include <string.h>

#include "base/memory.h" // bl_alloc

#define PLACES 16 // images beside each other, at most, as in what was measured (strips.h)

typedef struct member { // of a class, per tensor
    int class;
    int level; // its width is that of level 0 doubled so often; relative within the class
} member;

typedef struct class { // per class, by the index of its first tensor
    bool is_spoiled, has_convolution;
    int groups; // of statistics; 0: no batch norm has said
    int lowest; // level
    size_t base; // the pitch at the lowest level
} class;

typedef struct finder {
    const bl_graph *graph;
    bool (*is_wanted)(const bl_tensor *tensor);
    member *members;
    class *classes;
} finder;

static class *class_of(const finder *f, const bl_tensor *tensor) {
    return &f->classes[f->members[tensor->id].class];
}

static void spoil(const finder *f, const bl_tensor *tensor) {
    if (tensor) class_of(f, tensor)->is_spoiled = true;
}

static void set_groups(const finder *f, const bl_tensor *tensor, int groups) {
    if (!tensor) return;
    class *of = class_of(f, tensor);
    if (of->groups && groups && of->groups != groups) of->is_spoiled = true;
    if (groups) of->groups = groups;
}

// The two lie alike, `a` with its width doubled `levels` times.
static void tie(const finder *f, const bl_tensor *a, const bl_tensor *b, int levels) {
    if (!a || !b) return;
    const member to = f->members[a->id], from = f->members[b->id];
    const int shift = to.level - levels - from.level; // what b's class is raised by
    class *kept = &f->classes[to.class], *joined = &f->classes[from.class];
    if (a->shape.dims[0] != b->shape.dims[0]) kept->is_spoiled = joined->is_spoiled = true;
    if (to.class == from.class) {
        kept->is_spoiled |= shift != 0;
        return;
    }
    for (int t = 0; t < f->graph->tensor_count; t++)
        if (f->members[t].class == from.class) f->members[t] = (member){to.class, f->members[t].level + shift};
    kept->is_spoiled |= joined->is_spoiled;
    kept->has_convolution |= joined->has_convolution;
    set_groups(f, a, joined->groups);
}

// Whether what lies between the images is zero, whoever made the tensor.
static bool has_clean_gaps(const bl_tensor *tensor) {
    const bl_node *producer = tensor->producer;
    if (tensor->role != BL_ROLE_VALUE) return false;
    switch (producer->op) {
    case BL_OP_BATCH_NORM:
    case BL_OP_BATCH_NORM_RUNNING:
    case BL_OP_BATCH_NORM_BACKWARD:
    case BL_OP_GLOBAL_AVERAGE_POOL_BACKWARD: return true;
    case BL_OP_RELU:
    case BL_OP_RELU_BACKWARD: // where y is zero, nothing passes
    case BL_OP_STOP_GRADIENT: return has_clean_gaps(producer->inputs[0]);
    case BL_OP_ADD: return has_clean_gaps(producer->inputs[0]) && has_clean_gaps(producer->inputs[1]);
    default: return false;
    }
}

static void convolve(const finder *f, const bl_node *node, const bl_tensor *x, const bl_tensor *y) {
    const bl_attributes *a = &node->attributes;
    if (!x || !y) return;
    tie(f, x, y, a->stride - 1);
    class *of = class_of(f, x);
    of->has_convolution = true;
    const bool is_of_place = (a->kernel == 3 && a->padding == 1) || (a->kernel == 1 && a->padding == 0);
    if (!is_of_place || a->stride > 2 || a->dilation != 1) of->is_spoiled = true;
    const bool reads_x = node->op != BL_OP_CONVOLUTION_BACKWARD_DATA, reads_y = node->op != BL_OP_CONVOLUTION;
    if ((reads_x && !has_clean_gaps(x)) || (reads_y && !has_clean_gaps(y))) of->is_spoiled = true;
}

static void visit(const finder *f, const bl_node *node) {
    bl_tensor *const *in = node->inputs, *const *out = node->outputs;
    switch (node->op) {
    case BL_OP_CONVOLUTION: convolve(f, node, in[0], out[0]); break;
    case BL_OP_CONVOLUTION_BACKWARD_DATA: convolve(f, node, out[0], in[0]); break;
    case BL_OP_CONVOLUTION_BACKWARD_WEIGHTS: convolve(f, node, in[0], in[1]); break;
    case BL_OP_BATCH_NORM:
        set_groups(f, in[0], node->attributes.groups);
        set_groups(f, out[0], node->attributes.groups);
        break;
    case BL_OP_BATCH_NORM_BACKWARD:
        set_groups(f, in[0], node->attributes.groups);
        set_groups(f, in[1], node->attributes.groups);
        set_groups(f, out[0], node->attributes.groups);
        break;
    case BL_OP_ADD:
        tie(f, in[0], in[1], 0);
        tie(f, in[0], out[0], 0);
        break;
    case BL_OP_RELU:
    case BL_OP_STOP_GRADIENT: tie(f, in[0], out[0], 0); break;
    case BL_OP_RELU_BACKWARD:
        tie(f, in[0], in[1], 0);
        tie(f, in[0], out[0], 0);
        break;
    case BL_OP_BATCH_NORM_RUNNING:
    case BL_OP_GLOBAL_AVERAGE_POOL:
    case BL_OP_GLOBAL_AVERAGE_POOL_BACKWARD: break;
    default: // knows plain tensors only
        for (int k = 0; k < node->input_count; k++) spoil(f, in[k]);
        for (int k = 0; k < node->output_count; k++) spoil(f, out[k]);
    }
}

static size_t divided(size_t a, size_t b) { // rounded up
    return (a + b - 1) / b;
}

static void choose(const finder *f, bl_strips *strips) {
    const bl_graph *graph = f->graph;
    for (int t = 0; t < graph->tensor_count; t++) {
        const bl_tensor *tensor = graph->tensors[t];
        class *of = class_of(f, tensor);
        if (tensor->role != BL_ROLE_VALUE || tensor->shape.rank != 4 || !f->is_wanted(tensor)) of->is_spoiled = true;
        if (f->members[t].level < of->lowest) of->lowest = f->members[t].level;
    }
    for (int t = 0; t < graph->tensor_count; t++) { // at least a column of zeros after an image of any level
        class *of = class_of(f, graph->tensors[t]);
        if (of->is_spoiled || !of->has_convolution) continue;
        const size_t base = divided((size_t)graph->tensors[t]->shape.dims[2] + 1, (size_t)1 << (f->members[t].level - of->lowest));
        if (base > of->base) of->base = base;
    }
    for (int t = 0; t < graph->tensor_count; t++) {
        const class *of = class_of(f, graph->tensors[t]);
        if (of->is_spoiled || !of->has_convolution) continue;
        const size_t groups = of->groups ? (size_t)of->groups : 1, images = (size_t)graph->tensors[t]->shape.dims[0] / groups;
        const size_t each = divided(images, PLACES);
        strips[t] = (bl_strips){.places = divided(images, each),
                                .pitch = of->base << (f->members[t].level - of->lowest),
                                .images = images,
                                .each = each,
                                .count = groups * each};
    }
}

int bl_strips_find(const bl_graph *graph, bool (*is_wanted)(const bl_tensor *tensor), bl_strips *strips) {
    const size_t count = (size_t)graph->tensor_count;
    finder f = {graph, is_wanted, bl_alloc(count * sizeof *f.members), bl_alloc(count * sizeof *f.classes)};
    const int status = f.members && f.classes ? BL_OK : BL_FAILED;
    if (!status) {
        for (int t = 0; t < graph->tensor_count; t++) f.members[t] = (member){t, 0};
        for (int n = 0; n < graph->node_count; n++) visit(&f, graph->nodes[n]);
        choose(&f, strips);
    }
    bl_free(f.members);
    bl_free(f.classes);
    return status;
}

// ---- lines ----

bl_lines bl_lines_of(const bl_strips *strips, const bl_tensor *tensor) {
    const bl_shape *shape = &tensor->shape;
    if (shape->rank != 4) return (bl_lines){*strips, 1, 1, (size_t)shape->dims[shape->rank - 1]};
    return (bl_lines){*strips, (size_t)shape->dims[1], (size_t)shape->dims[2], (size_t)shape->dims[3]};
}

size_t bl_lines_values(const bl_lines *lines) {
    const bl_strips *s = &lines->strips;
    return s->count * lines->height * s->places * s->pitch * lines->channels;
}

size_t bl_lines_at(const bl_lines *lines, size_t pixel) {
    const bl_strips *s = &lines->strips;
    if (!s->places) return pixel * lines->channels;
    const size_t column = pixel % lines->width, line = pixel / lines->width;
    const size_t image = line / lines->height, of_group = image % s->images;
    const size_t strip = image / s->images * s->each + of_group / s->places;
    return ((strip * lines->height + line % lines->height) * s->places * s->pitch + of_group % s->places * s->pitch + column) *
           lines->channels;
}

size_t bl_lines_zeros(const bl_lines *lines, size_t pixel) {
    const bl_strips *s = &lines->strips;
    if (!s->places) return 0;
    const size_t of_group = pixel / lines->width / lines->height % s->images;
    const size_t unused = of_group + 1 < s->images ? 0 : s->places - 1 - of_group % s->places;
    return ((1 + unused) * s->pitch - lines->width) * lines->channels;
}

void bl_lines_clear(const bl_lines *lines, void *data, size_t value_bytes, size_t pixel, size_t count) {
    for (size_t first = pixel; lines->strips.places && first < pixel + count; first += lines->width) {
        const size_t after = bl_lines_at(lines, first) + lines->width * lines->channels;
        memset((unsigned char *)data + after * value_bytes, 0, bl_lines_zeros(lines, first) * value_bytes);
    }
}
