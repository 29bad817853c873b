// file_list.h - the files of a data set, as a run keeps them: a line a file, "name bytes digest", in an order of theirs. Names may hold
// spaces.

#ifndef BL_DATASETS_FILE_LIST_H
#define BL_DATASETS_FILE_LIST_H

#include "base/error.h"  // BL_CHECK
#include "base/memory.h" // bl_text

// Fails naming the first file of `now` that is not as `was` has it, or that came or went.
BL_CHECK int bl_file_list_compare(const char *was, const char *now);
// The same of a list that lacks files and may have headings ("# ..."): each of `was` is in `now`, in its order, and alike.
BL_CHECK int bl_file_list_compare_part(const char *was, const char *now);
// Both behind the lines that they have in common at their beginning.
void bl_file_list_skip(const char **was, const char **now);
// Characters of the name at the beginning of a line.
int bl_file_list_name(const char *line);

// The files below `root` that a list of images names: a line each with name, bytes and SHA-256 (base/contents.h), but for those that are
// gone. No more of them is read than is not known.
BL_CHECK int bl_file_list_now(const char *was, const char *root, bl_text *now);
void bl_file_list_add(bl_text *list, const char *name, long long bytes, const char *digest);

#endif
