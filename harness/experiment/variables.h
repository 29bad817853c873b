// variables.h - ${NAME} in the values of a file.

#ifndef BL_EXPERIMENT_VARIABLES_H
#define BL_EXPERIMENT_VARIABLES_H

#include "experiment/value.h"

// For whom asks about a file that runs elsewhere: values below `tree` with a variable that is not set here stand for themselves. `warnings`
// gets a line for each such variable, and for each path that only looks as if it held one: "$NAME", which nothing replaces, or "~".
void bl_variables_excuse(const bl_value *tree, bl_text *warnings);

// "${NAME} is 'value'" for each of a text, separated by commas; nothing where it has none. What stands in place of a warning's "$NAME" too.
void bl_variables_tell(const char *written, bl_text *text);

#endif
