// compare.h - the same BYOL step on two backends: does each operator agree, and how far do free runs drift apart?

#ifndef BL_INSPECT_COMPARE_H
#define BL_INSPECT_COMPARE_H

#include <stdbool.h>
#include <stdint.h>

#include "backends/backend.h"   // bl_backend_options
#include "base/memory.h"        // bl_text
#include "experiment/options.h" // bl_cell

typedef enum bl_compare_mode {
    BL_COMPARE_ISOLATED, // each node of both gets the inputs that `right` computed: pass or fail
    BL_COMPARE_CHAINED,  // both run freely: information only, as one flipped ReLU makes all later values differ a little
} bl_compare_mode;

typedef struct bl_comparison {
    const bl_cell *cell;       // whose training step is compared; its batch counts: small is enough
    uint64_t seed;             // of weights and images
    const char *right, *judged; // names of backends; `reference` is the natural `right`
    bl_backend_options machine;
    bl_compare_mode mode;
} bl_comparison;

// Appends the table; its errors are squared and relative (bl_nmse). Isolated: a row an operator with its worst node, then each failure; *pass is true when no node exceeded the
// limit of its dtype and none was refused. Chained: a row a tensor; *pass is true when all values were finite.
BL_CHECK int bl_compare(const bl_comparison *comparison, bl_text *table, bool *pass);

#endif
