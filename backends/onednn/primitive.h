// primitive.h - oneDNN's primitives as steps of a plan.

#ifndef BL_BACKENDS_ONEDNN_PRIMITIVE_H
#define BL_BACKENDS_ONEDNN_PRIMITIVE_H

#include "backends/onednn/onednn.h"

typedef struct bl_cpu_operand {
    int argument; // DNNL_ARG_..
    const_dnnl_memory_desc_t desc;
    int buffer;
} bl_cpu_operand;

BL_CHECK int bl_cpu_dnnl(dnnl_status_t status, const bl_node *node, const char *what); // BL_OK, or oneDNN's reason; NULL: no node
dnnl_data_type_t bl_cpu_type(bl_dtype dtype);

// A step that executes `desc` with these operands and a scratchpad of the arena. Names the implementation.
BL_CHECK int bl_cpu_primitive_step(bl_lowering *plan, const bl_node *node, const_dnnl_primitive_desc_t desc, const bl_cpu_operand *operands,
                                   int count);
BL_CHECK int bl_cpu_reorder_step(bl_lowering *plan, const bl_node *node, bl_cpu_operand from, bl_cpu_operand to);

bool bl_cpu_is_primitive(const bl_step *step); // done by all threads, in regions of oneDNN's own

#endif
