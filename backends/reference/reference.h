// reference.h - the oracle as a backend: f64, one thread, always there.

#ifndef BL_BACKENDS_REFERENCE_REFERENCE_H
#define BL_BACKENDS_REFERENCE_REFERENCE_H

#include "backends/backend.h"

extern const bl_backend_table bl_reference_table;

#endif
