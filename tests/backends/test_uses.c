// The order in which a plan runs the nodes of a step.

#include <string.h>

#include "backends/uses.h"
#include "graph_rig.h"
#include "models.h"

static bl_model_options model_of(bl_target_source source) {
    bl_model_options model = {
        .encoder = RESNET18(8),
        .projector = MLP(16, 8, BL_NORM_HIDDEN),
        .method = {.predictor_head = MLP(16, 8, BL_NORM_HIDDEN), .predictor_lr_scale = 1, .stop_gradient = true, .target = source},
        .optimizer = {.kind = BL_OPTIMIZER_SGD, .momentum = .9},
        .image_size = 8,
    };
    return model;
}

static void find(built *b, bl_uses *uses, bl_target_source source) {
    const bl_model_options model = model_of(source);
    assert_ok(bl_layout_create(&b->layout));
    assert_ok(bl_byol_build(&b->step, b->layout, &model, 4));
    assert_ok(bl_uses_find(uses, b->step.graph, &(bl_compile_options){.accumulate = 1}));
}

static void every_node_runs_once_and_after_what_it_reads(void **state) {
    (void)state;
    for (bl_target_source source = BL_TARGET_EMA; source <= BL_TARGET_ONLINE; source++) {
        built b = {0};
        bl_uses uses = {0};
        find(&b, &uses, source);
        const bl_graph *graph = b.step.graph;
        bool has_run[4096] = {false};
        assert_true(graph->node_count <= 4096);
        for (int i = 0; i < graph->node_count; i++) {
            const bl_node *node = graph->nodes[uses.order[i]];
            assert_false(has_run[node->id]);
            has_run[node->id] = true;
            for (int k = 0; k < node->input_count; k++)
                if (node->inputs[k] && node->inputs[k]->producer) assert_true(has_run[node->inputs[k]->producer->id]);
        }
        bl_uses_free(&uses);
        release(&b);
    }
}

static bool is_of_target(const bl_node *node) {
    return !strncmp(node->name, "target/", 7);
}

// Its values are then gone before the first that the backward needs.
static void target_runs_before_the_online_network(void **state) {
    (void)state;
    built b = {0};
    bl_uses uses = {0};
    find(&b, &uses, BL_TARGET_EMA);
    bool seen_online = false;
    int of_target = 0;
    for (int i = 0; i < b.step.graph->node_count; i++) {
        const bl_node *node = b.step.graph->nodes[uses.order[i]];
        if (node->phase != BL_PHASE_MICRO) continue;
        of_target += is_of_target(node);
        assert_false(seen_online && is_of_target(node) && node->op == BL_OP_CONVOLUTION);
        seen_online |= !strncmp(node->name, "online/", 7);
    }
    assert_true(of_target > 20);
    bl_uses_free(&uses);
    release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_node_runs_once_and_after_what_it_reads),
        cmocka_unit_test(target_runs_before_the_online_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
