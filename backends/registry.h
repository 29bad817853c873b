// registry.h - the backends by name: `reference`, which is part of this library, and modules.

#ifndef BL_BACKENDS_REGISTRY_H
#define BL_BACKENDS_REGISTRY_H

#include "backends/backend.h"

// Opens by name; bl_backend_close closes. A module (anything but `reference`) is a shared library beside the program, opened at the first
// use with the thread settings it needs in place; when it is missing or its library is, the message says so. The backend owns nothing of
// options.
BL_CHECK int bl_backend_open(bl_backend **backend, const char *name, const bl_backend_options *options);

// Names of the backends this program could open ("reference", and modules found), NULL-terminated, static.
const char *const *bl_backend_names(void);
const char *const *bl_backend_known(void); // likewise, those that were not built too
bool bl_backend_present(const char *name);

// A module exports this symbol.
#define BL_BACKEND_MODULE "bl_backend_module"
typedef const bl_backend_table *(*bl_backend_module_function)(void);

#endif
