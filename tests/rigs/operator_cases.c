#include "operator_cases.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h" // bl_alloc
#include "base/random.h" // bl_random_stream
#include "graph/op.h"    // bl_op_rules
#include "support.h"

#define CONVOLUTION(title, n, c, h, w, o, k, s, p, d) \
    {.name = title, .op = BL_OP_CONVOLUTION, .N = n, .H = h, .W = w, .C = c, .O = o, \
     .attributes = {.kernel = k, .stride = s, .padding = p, .dilation = d}}
#define BATCH_NORM(title, n, h, w, c, v, away, ...) \
    {.name = title, .op = BL_OP_BATCH_NORM, .N = n, .H = h, .W = w, .C = c, .attributes = {.groups = v, .epsilon = 1e-5}, \
     .offset = away, __VA_ARGS__}
#define RUNNING_NORM(title, n, h, w, c) \
    {.name = title, .op = BL_OP_BATCH_NORM_RUNNING, .N = n, .H = h, .W = w, .C = c, .attributes = {.epsilon = 1e-5}}
#define IMAGES(title, operator, n, h, w, c) {.name = title, .op = operator, .N = n, .H = h, .W = w, .C = c}
#define MAX_POOL(title, n, h, w, c, k, s, p) \
    {.name = title, .op = BL_OP_MAX_POOL, .N = n, .H = h, .W = w, .C = c, .attributes = {.kernel = k, .stride = s, .padding = p}}
#define RESIZE(title, n, h, w, c, to_h, to_w) \
    {.name = title, .op = BL_OP_RESIZE, .N = n, .H = h, .W = w, .C = c, .attributes = {.shape = {4, {n, to_h, to_w, c}}}}
#define PIXELS_LINEAR(title, n, h, w, i, o, bias) \
    {.name = title, .op = BL_OP_LINEAR, .N = n, .H = h, .W = w, .C = i, .O = o, .has_bias = bias}
#define LINEAR(title, n, i, o, bias, ...) {.name = title, .op = BL_OP_LINEAR, .N = n, .C = i, .O = o, .has_bias = bias, __VA_ARGS__}
#define LOSS(title, n, d, how, aligned) \
    {.name = title, .op = BL_OP_BYOL_LOSS, .N = n, .C = d, .attributes = {.groups = 2, .pairing = how}, .is_near_aligned = aligned}
#define LOSS_OF(title, n, d, ...) {.name = title, .op = BL_OP_BYOL_LOSS, .N = n, .C = d, .attributes = {.groups = 2, __VA_ARGS__}}
#define CROSS_ENTROPY(title, n, k, away) {.name = title, .op = BL_OP_CROSS_ENTROPY, .N = n, .C = k, .offset = away}
#define PIXELS_CROSS_ENTROPY(title, n, h, w, k) {.name = title, .op = BL_OP_CROSS_ENTROPY, .N = n, .H = h, .W = w, .C = k}
#define STD(title, n, d) {.name = title, .op = BL_OP_PROJECTION_STD, .N = n, .C = d, .attributes = {.groups = 2}}
#define AVERAGE(title, v, c, n) {.name = title, .op = BL_OP_RUNNING_AVERAGE, .N = v, .C = c, .attributes = {.momentum = 0.1, .rows = n}}
#define WRITER(title, operator, ...) {.name = title, .op = operator, .attributes = {__VA_ARGS__}}

const operator_case operator_cases[] = {
        //          name                                       N   C   H   W   O  k  s  p  d
        CONVOLUTION("convolution: stem, cifar",                2,  3, 32, 32, 64, 3, 1, 1, 1),
        CONVOLUTION("convolution: layer1",                     1, 64, 32, 32, 64, 3, 1, 1, 1),
        CONVOLUTION("convolution: layer2 first, stride two",   1, 64, 32, 32, 128, 3, 2, 1, 1),
        CONVOLUTION("convolution: layer2 shortcut",            2, 64, 32, 32, 128, 1, 2, 0, 1),
        CONVOLUTION("convolution: layer2",                     1, 128, 16, 16, 128, 3, 1, 1, 1),
        CONVOLUTION("convolution: layer3 first, stride two",   1, 128, 16, 16, 256, 3, 2, 1, 1),
        CONVOLUTION("convolution: layer3 shortcut",            2, 128, 16, 16, 256, 1, 2, 0, 1),
        CONVOLUTION("convolution: layer3",                     1, 256, 8, 8, 256, 3, 1, 1, 1),
        CONVOLUTION("convolution: layer4 first, stride two",   2, 256, 8, 8, 512, 3, 2, 1, 1),
        CONVOLUTION("convolution: layer4 shortcut",            4, 256, 8, 8, 512, 1, 2, 0, 1),
        CONVOLUTION("convolution: layer4",                     1, 512, 4, 4, 512, 3, 1, 1, 1),
        CONVOLUTION("convolution: narrow layer3, several images", 9, 64, 8, 8, 96, 3, 1, 1, 1),
        CONVOLUTION("convolution: narrow layer4, many images", 36, 64, 4, 4, 64, 3, 1, 1, 1),
        CONVOLUTION("convolution: narrow stem",                4,  3, 32, 32, 16, 3, 1, 1, 1),
        CONVOLUTION("convolution: narrow layer1",              4, 16, 32, 32, 16, 3, 1, 1, 1),
        CONVOLUTION("convolution: width eight, stride two",    4,  8, 32, 32, 16, 3, 2, 1, 1),
        CONVOLUTION("convolution: stride two, odd sizes",      2, 16, 15, 17, 32, 3, 2, 1, 1),
        CONVOLUTION("convolution: odd sizes, more channels out", 2, 16, 15, 17, 48, 3, 1, 1, 1),
        CONVOLUTION("convolution: odd width, fewer channels out", 9, 48, 6, 9, 16, 3, 1, 1, 1),
        CONVOLUTION("convolution: one pixel, many images",     140, 16, 1, 1, 32, 3, 1, 1, 1),
        CONVOLUTION("convolution: shortcut, odd sizes",        2, 16, 9, 7, 24, 1, 2, 0, 1),
        CONVOLUTION("convolution: shortcut of few channels",   2,  4, 24, 24,  8, 1, 2, 0, 1),
        CONVOLUTION("convolution: shortcut of seven channels", 1,  7, 24, 24, 14, 1, 2, 0, 1),
        CONVOLUTION("convolution: stem, padding two",          2,  3, 32, 32, 16, 3, 1, 2, 1),
        CONVOLUTION("convolution: padding two, many channels", 4, 16, 16, 16, 16, 3, 1, 2, 1),
        CONVOLUTION("convolution: layer1 after padding two",   1, 64, 34, 34, 64, 3, 1, 1, 1),
        CONVOLUTION("convolution: layer2 first, odd side out", 1, 64, 34, 34, 64, 3, 2, 1, 1),
        CONVOLUTION("convolution: layer2, odd side",           2, 64, 17, 17, 64, 3, 1, 1, 1),
        CONVOLUTION("convolution: layer3 first, odd sides",    2, 64, 17, 17, 128, 3, 2, 1, 1),
        CONVOLUTION("convolution: layer3 shortcut, odd sides", 2, 64, 17, 17, 128, 1, 2, 0, 1),
        CONVOLUTION("convolution: layer3, odd side",           6, 64,  9,  9, 64, 3, 1, 1, 1),
        CONVOLUTION("convolution: layer4 first, odd sides",    4, 64,  9,  9, 128, 3, 2, 1, 1),
        CONVOLUTION("convolution: layer4 shortcut, odd sides", 4, 64,  9,  9, 128, 1, 2, 0, 1),
        CONVOLUTION("convolution: layer4, odd side",           16, 64, 5,  5, 64, 3, 1, 1, 1),
        CONVOLUTION("convolution: channels no multiple of 16", 3, 5, 11, 6, 7, 3, 1, 1, 1),
        CONVOLUTION("convolution: one channel each",           2, 1, 5, 5, 1, 3, 1, 1, 1),
        CONVOLUTION("convolution: one pixel, only padding around", 4, 16, 1, 1, 16, 3, 1, 1, 1),
        CONVOLUTION("convolution: image smaller than kernel",  2, 16, 2, 2, 16, 3, 2, 1, 1),
        CONVOLUTION("convolution: dilation two",               2, 16, 12, 12, 16, 3, 1, 2, 2),
        CONVOLUTION("convolution: dilation two, odd, no padding", 1, 12, 11, 9, 20, 3, 1, 0, 2),
        CONVOLUTION("convolution: seven by seven stem",        1, 3, 33, 33, 16, 7, 2, 3, 1),
        CONVOLUTION("convolution: wide kernel, even",          1, 6, 10, 10, 6, 4, 2, 1, 1),

        //         name                                           N   H   W   C  V  offset
        BATCH_NORM("batch norm: layer1, a group a view",          4, 32, 32, 64, 2, 0),
        BATCH_NORM("batch norm: layer4, a group a view",          8, 4, 4, 512, 2, 0),
        BATCH_NORM("batch norm: one group",                       4, 8, 8, 32, 1, 0),
        BATCH_NORM("batch norm: channels no multiple of 16",      4, 7, 5, 11, 2, 0),
        BATCH_NORM("batch norm: one image a group",               4, 6, 6, 16, 4, 0),
        BATCH_NORM("batch norm: mean three deviations from zero", 4, 16, 16, 32, 2, 3),
        BATCH_NORM("batch norm: head, a group a view",            16, 0, 0, 512, 2, 0),
        BATCH_NORM("batch norm: head, odd width",                 12, 0, 0, 37, 2, 1),
        BATCH_NORM("batch norm: head, two rows a group",          4, 0, 0, 64, 2, 0),
        BATCH_NORM("batch norm: sixteen groups",                  32, 5, 5, 16, 16, 1),
        BATCH_NORM("batch norm: head, sixteen groups",            64, 0, 0, 96, 16, 0),
        BATCH_NORM("batch norm: weights that are not trained",    8, 0, 0, 48, 2, 0, .is_fixed = true),
        RUNNING_NORM("running batch norm: images",                2, 8, 8, 48),
        RUNNING_NORM("running batch norm: channels no multiple of 16", 3, 5, 5, 13),
        RUNNING_NORM("running batch norm: head",                  8, 0, 0, 40),

        //     name                      op                          N  H  W  C
        IMAGES("relu: images",           BL_OP_RELU,                 2, 16, 16, 64),
        IMAGES("relu: odd sizes",        BL_OP_RELU,                 3, 5, 7, 13),
        IMAGES("relu: head",             BL_OP_RELU,                 8, 0, 0, 100),
        IMAGES("add: images",            BL_OP_ADD,                  2, 16, 16, 64),
        IMAGES("add: odd sizes",         BL_OP_ADD,                  3, 5, 7, 13),
        IMAGES("stop gradient: head",    BL_OP_STOP_GRADIENT,        8, 0, 0, 33),
        IMAGES("average pool: layer4",   BL_OP_GLOBAL_AVERAGE_POOL,  4, 4, 4, 512),
        IMAGES("average pool: odd",      BL_OP_GLOBAL_AVERAGE_POOL,  3, 5, 7, 13),
        IMAGES("average pool: five by five", BL_OP_GLOBAL_AVERAGE_POOL, 2, 5, 5, 64),
        IMAGES("average pool: one pixel", BL_OP_GLOBAL_AVERAGE_POOL, 2, 1, 1, 32),

        //       name                                N   H   W   C  k  s  p
        MAX_POOL("max pool: ImageNet's stem",        1, 16, 16, 32, 3, 2, 1),
        MAX_POOL("max pool: odd sizes",              3,  9,  7, 13, 3, 2, 1),
        MAX_POOL("max pool: windows side by side",   2,  8,  6, 16, 2, 2, 0),
        MAX_POOL("max pool: every pixel in nine windows", 2, 6, 7, 20, 3, 1, 1),
        MAX_POOL("max pool: pixels in no window",    2, 11, 10, 8, 2, 3, 0),
        MAX_POOL("max pool: wide window, even",      1, 10,  9, 6, 4, 3, 2),
        MAX_POOL("max pool: one pixel, only padding around", 4, 1, 1, 16, 3, 2, 1),

        //     name                                  N  H   W   C  H'  W'
        RESIZE("resize: scores, twice as large",     2, 4,  5, 19,  8, 10),
        RESIZE("resize: scores to the image",        1, 4,  6, 19, 32, 48),
        RESIZE("resize: odd sizes, up",              3, 3,  7, 13, 10, 11),
        RESIZE("resize: odd sizes, down",            2, 11, 9, 16,  4,  5),
        RESIZE("resize: down past pixels",           1, 17, 16, 8,  3,  2),
        RESIZE("resize: up and down",                2, 5, 12,  7,  9,  4),
        RESIZE("resize: one pixel",                  2, 1,  1,  5,  6,  3),
        RESIZE("resize: to one pixel",               2, 6,  5,  3,  1,  1),
        RESIZE("resize: the same size",              2, 6,  5,  3,  6,  5),

        //     name                                  N    I     O   bias
        LINEAR("linear: projector, first layer",     16, 512, 1024, true),
        LINEAR("linear: projector, last layer",      16, 1024, 256, true),
        LINEAR("linear: without bias",               16, 64, 48, false),
        LINEAR("linear: odd sizes",                  7, 13, 29, true),
        LINEAR("linear: odd sizes, without bias",    5, 33, 17, false),
        LINEAR("linear: one row",                    1, 64, 32, true),
        LINEAR("linear: one feature out",            6, 32, 1, true),
        LINEAR("linear: ten classes",                24, 512, 10, true),
        LINEAR("linear: weights that are not trained", 8, 64, 48, true, .is_fixed = true),
        PIXELS_LINEAR("linear: scores of pixels",    2, 6, 8, 64, 19, true),
        PIXELS_LINEAR("linear: pixels, odd sizes, without bias", 3, 5, 7, 13, 5, false),

        //   name                        N   D    pairing        near aligned
        LOSS("loss: crossed",            16, 256, BL_CROSSED,    false),
        LOSS("loss: same view",          16, 256, BL_SAME_VIEW,  false),
        LOSS("loss: crossed, odd width", 6,  37,  BL_CROSSED,    false),
        LOSS("loss: one image",          2,  16,  BL_CROSSED,    false),
        LOSS("loss: near alignment",     16, 256, BL_CROSSED,    true),
        LOSS("loss: same view, near alignment", 16, 64, BL_SAME_VIEW, true),
        LOSS_OF("loss: mean of the directions",         16, 256, .reduction = BL_REDUCE_MEAN),
        LOSS_OF("loss: half of the directions",         16, 256, .reduction = BL_REDUCE_HALF),
        LOSS_OF("loss: one direction",                  16, 64, .one_direction = true),
        LOSS_OF("loss: one direction, same view, mean", 6, 37, .pairing = BL_SAME_VIEW, .one_direction = true, .reduction = BL_REDUCE_MEAN),
        LOSS_OF("loss: one direction, half",            16, 64, .one_direction = true, .reduction = BL_REDUCE_HALF),
        LOSS_OF("loss: not normalised",                 16, 256, .normalization = BL_NORMALIZE_NONE),
        LOSS_OF("loss: not normalised, half of one direction", 6, 37, .normalization = BL_NORMALIZE_NONE, .one_direction = true,
                .reduction = BL_REDUCE_HALF),
        LOSS_OF("loss: layer norm",                     16, 256, .normalization = BL_NORMALIZE_LAYER_NORM),
        LOSS_OF("loss: layer norm, same view, mean",    6, 37, .normalization = BL_NORMALIZE_LAYER_NORM, .pairing = BL_SAME_VIEW,
                .reduction = BL_REDUCE_MEAN),

        //            name                                        N   K   offset
        CROSS_ENTROPY("cross-entropy: ten classes",               16, 10, 0),
        CROSS_ENTROPY("cross-entropy: odd sizes",                 7,  37, 0),
        CROSS_ENTROPY("cross-entropy: two classes, one row",      1,  2,  0),
        CROSS_ENTROPY("cross-entropy: logits beyond exp's range", 8,  10, 800),
        CROSS_ENTROPY("cross-entropy: a thousand classes",        5,  1000, 0),
        PIXELS_CROSS_ENTROPY("cross-entropy: pixels",             2, 24, 31, 19),
        PIXELS_CROSS_ENTROPY("cross-entropy: one row of pixels",  1, 1, 300, 70),
        //     name                                        N  H   W   C
        IMAGES("argmax: classes of pixels", BL_OP_ARGMAX,  2, 24, 31, 19),
        IMAGES("argmax: a few pixels",      BL_OP_ARGMAX,  1, 3,  4,  11),
        IMAGES("argmax: one class",         BL_OP_ARGMAX,  2, 5,  5,  1),
        IMAGES("argmax: a thousand classes", BL_OP_ARGMAX, 37, 0, 0,  1000),
        STD("std: projection",           32, 256),
        STD("std: odd sizes",            6,  37),

        AVERAGE("running average: a group a view", 2, 64, 4096),
        AVERAGE("running average: one group of two values", 1, 13, 2),
        WRITER("accumulate", BL_OP_ACCUMULATE, 0),
        WRITER("check finite", BL_OP_CHECK_FINITE, 0),
        WRITER("sgd: plain", BL_OP_SGD, 0),
        WRITER("sgd: momentum and decay", BL_OP_SGD, .momentum = 0.9, .weight_decay = 0.1),
        WRITER("sgd: nesterov and decay", BL_OP_SGD, .momentum = 0.9, .nesterov = true, .weight_decay = 0.1),
        WRITER("adam", BL_OP_ADAM, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8),
        WRITER("adam: decay", BL_OP_ADAM, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.1),
        WRITER("lars", BL_OP_LARS, .momentum = 0.9, .weight_decay = 0.1, .eta = 0.02),
        WRITER("lars: nesterov and trust epsilon", BL_OP_LARS, .momentum = 0.9, .nesterov = true, .weight_decay = 0.1, .eta = 0.02,
               .epsilon = 0.5),
        WRITER("lars: clipped", BL_OP_LARS, .momentum = 0.9, .weight_decay = 0.1, .eta = 0.03, .clip = true),
        WRITER("lars: decay apart", BL_OP_LARS, .momentum = 0.9, .weight_decay = 0.1, .eta = 0.02, .decay_apart = true, .epsilon = 1e-8),
        WRITER("ema", BL_OP_EMA, 0),
        {.name = "ema: buffers", .op = BL_OP_EMA, .block = BL_BUFFERS},
};
const int operator_case_count = sizeof operator_cases / sizeof *operator_cases;

bool operator_case_writes(const operator_case *c) {
    return bl_op_rules[c->op]->writes[0] != 0;
}

// ---- building ----

static bl_shape input_shape(const operator_case *c) {
    return c->H ? (bl_shape){4, {c->N, c->H, c->W, c->C}} : (bl_shape){2, {c->N, c->C}};
}

static bl_tensor *input(built_case *built, const char *name, bl_dtype dtype, bl_shape shape) {
    bl_tensor *tensor;
    assert_ok(bl_graph_input(built->graph, name, dtype, shape, &tensor));
    return tensor;
}

static bl_tensor *stored(built_case *built, bl_place place) {
    bl_tensor *tensor;
    assert_ok(bl_graph_stored(built->graph, place, &tensor));
    return tensor;
}

static bl_tensor *scalar(built_case *built, bl_scalar which) {
    return stored(built, (bl_place){.network = BL_SCALAR_NETWORK, .segment = which});
}

static int network(built_case *built, const char *name, bool trainable) {
    int index;
    assert_ok(bl_layout_network(built->layout, name, trainable, &index));
    return index;
}

static bl_tensor *parameter(const operator_case *c, built_case *built, const char *name, bl_shape shape) {
    const bl_segment segment = {.name = name, .shape = shape, .lr_scale = 1};
    const int made = c->is_fixed ? network(built, "fixed", false) : network(built, "online", true);
    int index;
    assert_ok(bl_layout_parameter(built->layout, made, &segment, &index));
    return stored(built, (bl_place){made, BL_PARAMETERS, index});
}

static bl_tensor *buffer(built_case *built, const char *name, int64_t length) {
    const int online = network(built, "online", true);
    int index;
    assert_ok(bl_layout_buffer(built->layout, online, name, (bl_shape){1, {length}}, (bl_init){.kind = BL_INIT_ZERO}, &index));
    return stored(built, (bl_place){online, BL_BUFFERS, index});
}

// Weights that are all 0, as a last batch norm's may start: LARS then adapts nothing.
#define ZERO_SEGMENT "zero"

// Segments whose lengths leave padding, and every rule a segment can have.
static int block(built_case *built, const char *name, bool trainable) {
    const bl_segment segments[] = {
            {.name = "weight", .shape = {4, {7, 3, 3, 5}}, .lr_scale = 1, .decay = true, .lars_adapt = true},
            {.name = "bias", .shape = {1, {13}}, .lr_scale = 1},
            {.name = "scaled", .shape = {2, {4, 6}}, .lr_scale = 10, .decay = true, .lars_adapt = true},
            {.name = "frozen", .shape = {2, {3, 9}}, .lr_scale = 1, .decay = true, .lars_adapt = true, .frozen = true},
            {.name = "large", .shape = {2, {129, 65}}, .lr_scale = 1, .decay = true, .lars_adapt = true},
            {.name = "adapted, not decayed", .shape = {2, {5, 3}}, .lr_scale = 1, .lars_adapt = true},
            {.name = ZERO_SEGMENT, .shape = {2, {2, 8}}, .lr_scale = 1, .lars_adapt = true},
    };
    const int made = network(built, name, trainable);
    int index;
    for (size_t i = 0; i < sizeof segments / sizeof *segments; i++)
        assert_ok(bl_layout_parameter(built->layout, made, &segments[i], &index));
    for (int i = 0; i < 2; i++)
        assert_ok(bl_layout_buffer(built->layout, made, i ? "running_var" : "running_mean", (bl_shape){1, {37}}, (bl_init){0}, &index));
    return made;
}

static bl_tensor *whole(built_case *built, int which, bl_block_kind kind) {
    return stored(built, (bl_place){which, kind, BL_WHOLE_BLOCK});
}

// Fills the operands of the case's node; returns their number.
static int operands(const operator_case *c, bl_dtype dtype, built_case *built, bl_tensor **inputs) {
    const bl_shape channels = {1, {c->C}}, statistics = {2, {c->N, c->C}}, one = {1, {1}};
    int online, other, count = 0;
    switch (c->op) {
    case BL_OP_CONVOLUTION:
        inputs[count++] = input(built, "x", dtype, input_shape(c));
        inputs[count++] = parameter(c, built, "weight", (bl_shape){4, {c->O, c->attributes.kernel, c->attributes.kernel, c->C}});
        break;
    case BL_OP_BATCH_NORM:
    case BL_OP_BATCH_NORM_RUNNING:
        inputs[count++] = input(built, "x", dtype, input_shape(c));
        inputs[count++] = parameter(c, built, "weight", channels);
        inputs[count++] = parameter(c, built, "bias", channels);
        if (c->op == BL_OP_BATCH_NORM) break;
        inputs[count++] = buffer(built, "running_mean", c->C);
        inputs[count++] = buffer(built, "running_var", c->C);
        break;
    case BL_OP_LINEAR:
        inputs[count++] = input(built, "x", dtype, input_shape(c));
        inputs[count++] = parameter(c, built, "weight", (bl_shape){2, {c->O, c->C}});
        inputs[count++] = c->has_bias ? parameter(c, built, "bias", (bl_shape){1, {c->O}}) : NULL;
        break;
    case BL_OP_ADD:
    case BL_OP_BYOL_LOSS:
        inputs[count++] = input(built, "first", dtype, input_shape(c));
        inputs[count++] = input(built, "second", dtype, input_shape(c));
        break;
    case BL_OP_CROSS_ENTROPY:
        inputs[count++] = input(built, "logits", dtype, input_shape(c));
        inputs[count++] = input(built, "labels", BL_F32, c->H ? (bl_shape){3, {c->N, c->H, c->W}} : (bl_shape){1, {c->N}});
        break;
    case BL_OP_RUNNING_AVERAGE:
        inputs[count++] = input(built, "mean", BL_F32, statistics);
        inputs[count++] = input(built, "variance", BL_F32, statistics);
        inputs[count++] = buffer(built, "running_mean", c->C);
        inputs[count++] = buffer(built, "running_var", c->C);
        break;
    case BL_OP_ACCUMULATE:
        online = block(built, "online", true);
        inputs[count++] = input(built, "g", BL_F32, (bl_shape){2, {129, 65}});
        inputs[count++] = stored(built, (bl_place){online, BL_GRADIENTS, 4});
        break;
    case BL_OP_CHECK_FINITE:
        online = block(built, "online", true);
        other = block(built, "predictor", true);
        inputs[count++] = input(built, "loss", BL_F32, one);
        inputs[count++] = scalar(built, BL_SCALAR_FINITE);
        inputs[count++] = whole(built, online, BL_GRADIENTS);
        inputs[count++] = whole(built, other, BL_GRADIENTS);
        inputs[count++] = input(built, "second loss", BL_F32, one);
        break;
    case BL_OP_SGD:
    case BL_OP_ADAM:
    case BL_OP_LARS:
        online = block(built, "online", true);
        inputs[count++] = whole(built, online, BL_PARAMETERS);
        inputs[count++] = whole(built, online, BL_GRADIENTS);
        inputs[count++] = whole(built, online, BL_MOMENT1);
        if (c->op == BL_OP_ADAM) inputs[count++] = whole(built, online, BL_MOMENT2);
        inputs[count++] = scalar(built, BL_SCALAR_LEARNING_RATE);
        if (c->op == BL_OP_ADAM) inputs[count++] = scalar(built, BL_SCALAR_STEP);
        inputs[count++] = scalar(built, BL_SCALAR_FINITE);
        break;
    case BL_OP_EMA:
        online = block(built, "online", true);
        other = block(built, "target", false);
        inputs[count++] = whole(built, other, c->block);
        inputs[count++] = whole(built, online, c->block);
        inputs[count++] = scalar(built, BL_SCALAR_TAU);
        inputs[count++] = scalar(built, BL_SCALAR_FINITE);
        break;
    default:
        inputs[count++] = input(built, "x", dtype, input_shape(c));
    }
    return count;
}

void operator_case_build(const operator_case *c, bl_dtype dtype, built_case *out) {
    *out = (built_case){0};
    assert_ok(bl_layout_create(&out->layout));
    assert_ok(bl_graph_create(&out->graph, out->layout));
    bl_tensor *inputs[BL_MAX_INPUTS];
    const int count = operands(c, dtype, out, inputs);
    assert_ok(bl_graph_node(out->graph, c->op, "node", &c->attributes, inputs, count, &out->node));
    if (!bl_op_rules[c->op]->gradient) return;

    const bl_tensor *y = out->node->outputs[0];
    bl_tensor *dy[BL_MAX_OUTPUTS] = {out->dy = input(out, "dy", y->dtype, y->shape)};
    for (int i = 0; i < count; i++) {
        const bool is_constant = c->is_fixed && inputs[i] && inputs[i]->role == BL_ROLE_STORED;
        out->wanted[i] = inputs[i] && !is_constant && !(c->op == BL_OP_CROSS_ENTROPY && i == 1);
    }
    assert_ok(bl_op_rules[c->op]->gradient(out->graph, out->node, dy, out->wanted, out->dx));
}

void built_case_free(built_case *built) {
    bl_graph_free(built->graph);
    bl_layout_free(built->layout);
}

// ---- values ----

static bool says(const char *name, const char *word) {
    return strstr(name, word) != NULL;
}

// By what the operand is called in its operator's rule.
static void draw(const operator_case *c, const char *slot, const bl_shape *shape, const char *name, double *dst) {
    const int64_t count = bl_shape_count(shape);
    bl_random random = bl_random_stream(1, name, (uint32_t)(c - operator_cases), 0, 0);
    for (int64_t i = 0; i < count; i++) {
        const double normal = bl_random_normal(&random);
        if (says(slot, "var") || !strcmp(slot, "gamma") || !strcmp(slot, "moment2"))
            dst[i] = 0.5 + bl_random_uniform(&random);
        else if (!strcmp(slot, "w"))
            dst[i] = normal / sqrt((double)(count / shape->dims[0])); // unit gain
        else if (c->op == BL_OP_RELU && !strcmp(slot, "x"))
            dst[i] = normal + (normal < 0 ? -0.01 : 0.01); // finite differences must not cross the kink
        else if (c->op == BL_OP_MAX_POOL && !strcmp(slot, "x"))
            dst[i] = 1e-3 * (double)(i * 7919 % count - count / 2); // each value once: another winner, another gradient. In bf16 many are equal
        else if (c->op == BL_OP_ARGMAX)
            dst[i] = round(2 * normal); // many are equal
        else if (!strcmp(slot, "labels"))
            dst[i] = i % 4 == 1 ? i % 8 == 1 ? -1 : 1000 : (double)(i * 7 % c->C); // some rows have none
        else
            dst[i] = normal + (!strcmp(slot, "x") || !strcmp(slot, "logits") ? c->offset : 0);
        if (says(name, ZERO_SEGMENT) && !strcmp(slot, "parameters")) dst[i] = 0;
    }
}

static double scalar_value(bl_scalar which) {
    static const double values[BL_SCALARS] = {
            [BL_SCALAR_STEP] = 3, [BL_SCALAR_LEARNING_RATE] = 0.05, [BL_SCALAR_TAU] = 0.99, [BL_SCALAR_FINITE] = 1};
    return values[which];
}

// Segment by segment: padding stays 0, as everywhere.
static void fill_stored(const operator_case *c, const char *slot, const bl_tensor *tensor, bl_store *store) {
    if (tensor->place.network == BL_SCALAR_NETWORK) {
        assert_ok(bl_store_scalar(store, (bl_scalar)tensor->place.segment, scalar_value((bl_scalar)tensor->place.segment)));
        return;
    }
    const bl_segments *segments = bl_network_segments(&store->layout->networks[tensor->place.network], tensor->place.block);
    for (int s = 0; s < segments->count; s++) {
        if (tensor->place.segment != BL_WHOLE_BLOCK && tensor->place.segment != s) continue;
        const bl_segment *segment = &segments->items[s];
        double *values = bl_alloc((size_t)bl_shape_count(&segment->shape) * sizeof *values);
        assert_non_null(values);
        char name[128];
        snprintf(name, sizeof name, "%s/%s", tensor->name, segment->name);
        draw(c, slot, &segment->shape, name, values);
        assert_ok(bl_store_write(store, (bl_place){tensor->place.network, tensor->place.block, s}, values));
        bl_free(values);
    }
}

static double *drawn(const operator_case *c, const char *slot, const bl_tensor *tensor) {
    double *values = bl_alloc((size_t)bl_shape_count(&tensor->shape) * sizeof *values);
    assert_non_null(values);
    draw(c, slot, &tensor->shape, tensor->name, values);
    return values;
}

static void align(const operator_case *c, const double *p, double *z) {
    for (int64_t i = 0; i < c->N; i++) {
        const int64_t j = c->attributes.pairing == BL_CROSSED ? (i + c->N / 2) % c->N : i;
        for (int64_t d = 0; d < c->C; d++) z[j * c->C + d] = p[i * c->C + d] + 0.03 * z[j * c->C + d];
    }
}

void operator_case_fill(const operator_case *c, const built_case *built, bl_store *store, double **values) {
    const bl_node *node = built->node;
    for (int i = 0; i < node->input_count; i++) {
        const bl_tensor *tensor = node->inputs[i];
        if (!tensor) continue;
        const char *slot = bl_op_rules[c->op]->inputs[i] ? bl_op_rules[c->op]->inputs[i] : "values*";
        if (tensor->role == BL_ROLE_STORED)
            fill_stored(c, slot, tensor, store);
        else
            values[tensor->id] = drawn(c, slot, tensor);
    }
    if (c->is_near_aligned) align(c, values[node->inputs[0]->id], values[node->inputs[1]->id]);
    if (!built->dy) return;
    values[built->dy->id] = drawn(c, "dy", built->dy);
    if (c->op == BL_OP_BYOL_LOSS || c->op == BL_OP_CROSS_ENTROPY) values[built->dy->id][0] = 1; // where autodiff starts
}
