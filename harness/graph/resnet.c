// torchvision's ResNets (He et al. 2016, with the stride on the 3x3 convolution).

#include "graph/encoders.h"

#define EXPANSION 4 // of a bottleneck: channels out, times those of its 3x3 convolution

typedef struct block { // of a residual stage
    const char *name;
    int channels, stride, dilation;
    bl_init_kind convolution, last_gamma;
} block;

typedef int block_builder(bl_builder *b, const block *of, bl_tensor *x, bl_tensor **y);

// Three nodes: "<name>.conv1", "<name>.bn1" and, but for the last, "<name>.relu1".
static int convolve(bl_builder *b, const block *of, int index, bool is_last, bl_window w, bl_tensor **x) {
    const bl_init_kind gamma = is_last ? of->last_gamma : BL_INIT_ONE;
    if (bl_add_convolution(b, bl_name(b, "%s.conv%d", of->name, index), of->convolution, *x, w, x) ||
        bl_add_batch_norm(b, bl_name(b, "%s.bn%d", of->name, index), gamma, *x, x))
        return BL_FAILED;
    return is_last ? BL_OK : bl_add_relu(b, bl_name(b, "%s.relu%d", of->name, index), *x, x);
}

// The join with the shortcut, on which a 1x1 convolution stands where stride or width change.
static int join(bl_builder *b, const block *of, bl_tensor *x, bl_tensor *made, int relu, bl_tensor **y) {
    const int channels = (int)made->shape.dims[3];
    bl_tensor *shortcut = x;
    if ((of->stride != 1 || x->shape.dims[3] != channels) &&
        (bl_add_convolution(b, bl_name(b, "%s.downsample.0", of->name), of->convolution, x, (bl_window){channels, 1, of->stride, 0, 1},
                            &shortcut) ||
         bl_add_batch_norm(b, bl_name(b, "%s.downsample.1", of->name), BL_INIT_ONE, shortcut, &shortcut)))
        return BL_FAILED;
    if (bl_add_node(b, BL_OP_ADD, bl_name(b, "%s.add", of->name), NULL, (bl_tensor *[]){made, shortcut}, 2, y)) return BL_FAILED;
    return bl_add_relu(b, bl_name(b, "%s.relu%d", of->name, relu), *y, y);
}

// Two 3x3 convolutions.
static int basic_block(bl_builder *b, const block *of, bl_tensor *x, bl_tensor **y) {
    bl_tensor *t = x;
    if (convolve(b, of, 1, false, (bl_window){of->channels, 3, of->stride, 1, 1}, &t) ||
        convolve(b, of, 2, true, (bl_window){of->channels, 3, 1, 1, 1}, &t))
        return BL_FAILED;
    return join(b, of, x, t, 2, y);
}

// 1x1, 3x3 and 1x1 convolutions.
static int bottleneck(bl_builder *b, const block *of, bl_tensor *x, bl_tensor **y) {
    bl_tensor *t = x;
    if (convolve(b, of, 1, false, (bl_window){of->channels, 1, 1, 0, 1}, &t) ||
        convolve(b, of, 2, false, (bl_window){of->channels, 3, of->stride, of->dilation, of->dilation}, &t) ||
        convolve(b, of, 3, true, (bl_window){EXPANSION * of->channels, 1, 1, 0, 1}, &t))
        return BL_FAILED;
    return join(b, of, x, t, 3, y);
}

static int stem(bl_builder *b, const bl_encoder_options *options, bl_tensor *images, bl_tensor **y) {
    const bool is_cifar = options->stem == BL_STEM_CIFAR;
    const bl_window w = is_cifar ? (bl_window){options->width, 3, 1, options->stem_padding, 1} : (bl_window){options->width, 7, 2, 3, 1};
    const bl_attributes pool = {.kernel = 3, .stride = 2, .padding = 1};
    bl_tensor *x;
    if (bl_add_convolution(b, "conv1", options->init.convolution, images, w, &x) || bl_add_batch_norm(b, "bn1", BL_INIT_ONE, x, &x) ||
        bl_add_relu(b, "relu", x, y))
        return BL_FAILED;
    return is_cifar ? BL_OK : bl_add_node(b, BL_OP_MAX_POOL, "maxpool", &pool, y, 1, y);
}

static int check_options(const bl_encoder *of, const bl_encoder_options *options) {
    const bl_init_kind rule = options->init.convolution;
    const int with_stride = bl_encoder_stages(of) - 1;
    if (options->dilated_stages < 0 || options->dilated_stages > with_stride)
        return bl_fail("%d dilated stages: the last %d have a stride that dilation can stand for", options->dilated_stages, with_stride);
    if (options->width < 1) return bl_fail("an encoder of width %d has no channels; torchvision's has 64", options->width);
    if (options->stem_padding < 1) return bl_fail("stem_padding %d must be at least 1 (torchvision's 3x3 stem: 1)", options->stem_padding);
    if (options->stem != BL_STEM_CIFAR && options->stem_padding != 1)
        return bl_fail("stem_padding %d is of the CIFAR stem; leave it at 1 with ImageNet's, whose padding is 3", options->stem_padding);
    if (rule != BL_INIT_KAIMING_FAN_OUT && rule != BL_INIT_UNIFORM_FAN_IN && rule != BL_INIT_TRUNCATED_FAN_IN)
        return bl_fail("the encoder's convolutions have no initialisation; torchvision's is BL_INIT_KAIMING_FAN_OUT");
    return BL_OK;
}

// `expansion`: channels of a stage's output, times those of its 3x3 convolutions.
static int build(bl_builder *b, const bl_encoder *of, const bl_encoder_options *options, block_builder *add, int expansion,
                 bl_tensor *images, bl_taps *out) {
    const int stages = bl_encoder_stages(of);
    bl_tensor *x;
    int dilation = 1;
    if (check_options(of, options) || stem(b, options, images, &x)) return BL_FAILED;
    for (int stage = 0; stage < stages; stage++) {
        const bl_stage *now = &of->stages[stage];
        const bool is_dilated = stage >= stages - options->dilated_stages;
        const int stride = stage ? now->downsampling / now[-1].downsampling : 1, before = dilation;
        if (is_dilated) dilation *= stride; // in torchvision the first block keeps the dilation of the stage before
        for (int i = 0; i < now->blocks; i++) {
            const block next = {.name = bl_name(b, "layer%d.%d", stage + 1, i),
                                .channels = options->width * now->channels / expansion,
                                .stride = i || is_dilated ? 1 : stride,
                                .dilation = i ? dilation : before,
                                .convolution = options->init.convolution,
                                .last_gamma = options->zero_init_residual ? BL_INIT_ZERO : BL_INIT_ONE};
            if (add(b, &next, x, &x)) return BL_FAILED;
        }
        out->stages[stage] = x;
    }
    return bl_add_node(b, BL_OP_GLOBAL_AVERAGE_POOL, "avgpool", NULL, &x, 1, &out->pooled);
}

int bl_resnet_of_basic_blocks(bl_builder *b, const bl_encoder *of, const bl_encoder_options *options, bl_tensor *images, bl_taps *out) {
    if (options->dilated_stages)
        return bl_fail("the blocks of %s have no dilation (nor have torchvision's); write resnet50, or dilated_stages 0", of->name);
    return build(b, of, options, basic_block, 1, images, out);
}

int bl_resnet_of_bottlenecks(bl_builder *b, const bl_encoder *of, const bl_encoder_options *options, bl_tensor *images, bl_taps *out) {
    return build(b, of, options, bottleneck, EXPANSION, images, out);
}
