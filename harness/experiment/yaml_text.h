// yaml_text.h - a text before and after a parser: whether it can be one document at all, and where a syntax error began.

#ifndef BL_EXPERIMENT_YAML_TEXT_H
#define BL_EXPERIMENT_YAML_TEXT_H

#include <stdint.h>

#include "experiment/value.h"

// Refuses, at its line, what is not UTF-8, what YAML does not let stand in a text (control characters, byte order marks, line ends other
// than LF and CR LF), spaces that are none, and whatever makes more than one document of it: `---` below keys, `...`, `%`.
BL_CHECK int bl_yaml_check_text(const bl_source *source, const char *text, size_t bytes);
// The same of JSON, which has no documents and knows fewer characters that may not stand there.
BL_CHECK int bl_json_check_text(const bl_source *source, const char *text, size_t bytes);

bool bl_yaml_may_hold(uint32_t character); // whether it may stand in a text as it is; where not, as an escape between double quotes

// Of a text that a parser gave up at `spot`, saying `reason`: the place where it went wrong, as far as that is known (a tab, a bracket or
// quote that nothing closes, a colon without a space), and what to write. Always BL_FAILED.
int bl_yaml_refuse_syntax(const bl_source *source, const char *text, size_t bytes, bl_spot spot, const char *reason);

#endif
