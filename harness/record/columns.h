// columns.h - rows of numbers and texts as data sets of a run file, one a column.

#ifndef BL_RECORD_COLUMNS_H
#define BL_RECORD_COLUMNS_H

#include "record/container.h" // bl_container_writer, bl_container_reader

typedef struct bl_column { // a double of each row
    const char *path;
    size_t offset;
} bl_column;

BL_CHECK int bl_columns_put(bl_container_writer *writer, const bl_column *columns, int column_count, const void *rows, size_t row_bytes,
                            int64_t count);
// Fills one column of `count` rows that are there.
BL_CHECK int bl_column_get(const bl_container_reader *reader, const bl_column *into, void *rows, size_t row_bytes, int64_t count);

// Texts of rows are one text, a line each: copies the line at *cursor into dst and moves behind it. Fails where there is none or it is too
// long; `what` is the rows' group.
BL_CHECK int bl_line_take(const char **cursor, char *dst, size_t room, const char *what);
BL_CHECK int bl_lines_end(const char *cursor, const char *what); // fails where one is left

#endif
