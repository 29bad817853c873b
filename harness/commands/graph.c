#include "train/model.h"

#include <stdio.h>

#include "commands/command.h"

static int run(int argc, char **argv) {
    bl_arguments arguments;
    bl_experiment *experiment = NULL;
    const bl_cell *cell;
    bl_layout *layout = NULL;
    bl_step_graph step = {0};
    int status = BL_FAILED;
    if (bl_arguments_parse(&arguments, argc, argv, bl_command_graph.options) || bl_arguments_read_elsewhere(&arguments, &experiment)) return BL_FAILED;
    if (bl_arguments_cell(&arguments, experiment, &cell) || bl_layout_create(&layout) ||
        bl_model_build_step(&step, layout, cell))
        goto done;
    bl_text text = {0};
    bl_graph_print(step.graph, &text);
    printf("%sdigest %s\n", text.chars, step.graph->digest);
    bl_text_free(&text);
    status = BL_OK;
done:
    bl_graph_free(step.graph);
    bl_layout_free(layout);
    bl_experiment_free(experiment);
    return status;
}

const bl_command bl_command_graph = {
        "graph", "print the graph of one training step, with its digest",
        "byolab graph FILE [options]\n\n"
        "The canonical text: networks with their parameters, inputs, and every node of a step before differentiation and fusion, in\n"
        "an order in which they can run. The last line is its SHA-256: the same digest trains on every backend.\n\n",
        BL_COMMON_OPTIONS, run};
