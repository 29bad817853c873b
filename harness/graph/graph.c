#include "graph/graph.h"

#include <math.h>
#include <string.h>

const char *bl_dtype_name(bl_dtype dtype) {
    return dtype == BL_F32 ? "f32" : "bf16";
}

double bl_round_to(bl_dtype dtype, double value) {
    const float single = (float)value;
    if (dtype == BL_F32 || isnan(single)) return single;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    bits += 0x7fff + (bits >> 16 & 1); // nearest, ties to even; overflow becomes infinity, as it should
    bits &= 0xffff0000u;
    float rounded;
    memcpy(&rounded, &bits, sizeof rounded);
    return rounded;
}

int bl_graph_create(bl_graph **graph, bl_layout *layout) {
    bl_graph *made = bl_alloc(sizeof *made);
    if (!made) return BL_FAILED;
    made->arena = bl_arena_create();
    made->layout = layout;
    *graph = made;
    return BL_OK;
}

void bl_graph_free(bl_graph *graph) {
    if (!graph) return;
    bl_free(graph->tensors);
    bl_free(graph->nodes);
    bl_arena_free(graph->arena);
    bl_free(graph);
}

bl_tensor *bl_graph_find(const bl_graph *graph, const char *tensor_name) {
    for (int i = 0; i < graph->tensor_count; i++)
        if (!strcmp(graph->tensors[i]->name, tensor_name)) return graph->tensors[i];
    return NULL;
}

// The same segment in a fresh layout: whole blocks bring their whole network, so that per-segment rules stay what they were.
static int isolate_stored(bl_layout *lone, const bl_layout *layout, bl_place *place) {
    if (place->network == BL_SCALAR_NETWORK) return BL_OK;
    const bl_network *network = &layout->networks[place->network];
    const bl_segments *segments = bl_network_segments(network, place->block);
    int index, segment = BL_WHOLE_BLOCK;
    if (bl_layout_network(lone, network->name, network->trainable, &index)) return BL_FAILED;
    for (int i = 0; i < segments->count; i++) {
        if (place->segment != BL_WHOLE_BLOCK && place->segment != i) continue;
        const bl_segment *s = &segments->items[i];
        const int status = place->block == BL_BUFFERS ? bl_layout_buffer(lone, index, s->name, s->shape, s->init, &segment)
                                                      : bl_layout_parameter(lone, index, s, &segment);
        if (status) return BL_FAILED;
    }
    if (place->segment == BL_WHOLE_BLOCK) segment = BL_WHOLE_BLOCK;
    *place = (bl_place){.network = index, .block = place->block, .segment = segment};
    return BL_OK;
}

int bl_graph_isolate(const bl_node *node, const bl_layout *layout, bl_layout **lone_layout, bl_graph **lone) {
    *lone = NULL;
    if (bl_layout_create(lone_layout)) return BL_FAILED;
    if (bl_graph_create(lone, *lone_layout)) goto failed;
    bl_tensor *inputs[BL_MAX_INPUTS] = {0};
    // Places first: a whole block's shape is known only when its layout is complete.
    bl_place places[BL_MAX_INPUTS];
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] && node->inputs[i]->role == BL_ROLE_STORED) {
            places[i] = node->inputs[i]->place;
            if (isolate_stored(*lone_layout, layout, &places[i])) goto failed;
        }
    for (int i = 0; i < node->input_count; i++) {
        const bl_tensor *input = node->inputs[i];
        if (!input) continue;
        if (input->role == BL_ROLE_STORED) {
            if (bl_graph_stored(*lone, places[i], &inputs[i])) goto failed;
        } else if (!(inputs[i] = bl_graph_find(*lone, input->name)) &&
                   bl_graph_input(*lone, input->name, input->dtype, input->shape, &inputs[i])) {
            goto failed;
        }
    }
    bl_node *copy;
    if (bl_graph_node(*lone, node->op, node->name, &node->attributes, inputs, node->input_count, &copy)) goto failed;
    for (int i = 0; i < node->output_count; i++)
        if (!node->outputs[i]) copy->outputs[i] = NULL;
    bl_graph_seal(*lone);
    return BL_OK;
failed:
    bl_graph_free(*lone);
    bl_layout_free(*lone_layout);
    *lone = NULL;
    *lone_layout = NULL;
    return BL_FAILED;
}
