// Bilinear resizing of images to any size, as torch.nn.functional.interpolate(mode="bilinear", align_corners=False): pixels are areas, so
// pixel d of the `out` along an axis lies at s = (d + 1/2) in / out - 1/2, not below 0, between the pixels floor(s) and floor(s) + 1 of
// the `in` (the last one where that is past the edge). Nothing is smoothed on the way down.

#include "graph/ops/rules.h"

// Whether two shapes are images of the same number and channels.
static bool is_resized(const bl_shape *a, const bl_shape *b) {
    return a->rank == 4 && b->rank == 4 && a->dims[0] == b->dims[0] && a->dims[3] == b->dims[3] && a->dims[1] > 0 && a->dims[2] > 0 &&
           b->dims[1] > 0 && b->dims[2] > 0;
}

static int infer(const bl_node *node, bl_shape *shapes, bl_dtype *dtypes) {
    const bl_tensor *from = node->inputs[0];
    if (bl_expect_rank(node, 0, 4)) return BL_FAILED;
    if (!is_resized(&from->shape, &node->attributes.shape)) return bl_op_fail(node, "resizing changes height and width alone");
    shapes[0] = node->attributes.shape;
    dtypes[0] = from->dtype;
    return BL_OK;
}

static int gradient(bl_graph *graph, const bl_node *node, bl_tensor *const *dy, const bool *wanted, bl_tensor **dx) {
    const bl_attributes attributes = {.shape = node->inputs[0]->shape};
    bl_node *made;
    if (!wanted[0]) return BL_OK;
    if (bl_derive(graph, node, BL_OP_RESIZE_BACKWARD, "backward", &attributes, dy, 1, &made)) return BL_FAILED;
    dx[0] = made->outputs[0];
    return BL_OK;
}

const bl_op_rule bl_rule_resize = {"resize", {"x"}, {"y"}, infer, gradient, {0}};
const bl_op_rule bl_rule_resize_backward = {"resize_backward", {"dy"}, {"dx"}, infer, NULL, {0}};
