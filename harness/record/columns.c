#include "record/columns.h"

#include <string.h>

#include "base/memory.h"

int bl_columns_put(bl_container_writer *writer, const bl_column *columns, int column_count, const void *rows, size_t row_bytes, int64_t count) {
    int status = BL_FAILED;
    double *values = bl_alloc((size_t)count * sizeof *values);
    if (!values) return BL_FAILED;
    for (int c = 0; c < column_count; c++) {
        for (int64_t i = 0; i < count; i++)
            memcpy(&values[i], (const char *)rows + (size_t)i * row_bytes + columns[c].offset, sizeof *values);
        if (bl_container_put_f64(writer, columns[c].path, values, &count, 1)) goto done;
    }
    status = BL_OK;
done:
    bl_free(values);
    return status;
}

int bl_column_get(const bl_container_reader *reader, const bl_column *into, void *rows, size_t row_bytes, int64_t count) {
    double *values = bl_alloc((size_t)count * sizeof *values);
    const int status = values ? bl_container_read_f64(reader, into->path, values, count) : BL_FAILED;
    for (int64_t i = 0; !status && i < count; i++) memcpy((char *)rows + (size_t)i * row_bytes + into->offset, &values[i], sizeof *values);
    bl_free(values);
    return status;
}

int bl_line_take(const char **cursor, char *dst, size_t room, const char *what) {
    const char *end = strchr(*cursor, '\n');
    if (!end || (size_t)(end - *cursor) >= room) return bl_fail("%s: the names of its rows do not match its values", what);
    memcpy(dst, *cursor, (size_t)(end - *cursor));
    dst[end - *cursor] = 0;
    *cursor = end + 1;
    return BL_OK;
}

int bl_lines_end(const char *cursor, const char *what) {
    return *cursor ? bl_fail("%s: the names of its rows do not match its values", what) : BL_OK;
}
