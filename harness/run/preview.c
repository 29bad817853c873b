#include "run/preview.h"

#include <string.h>

#include "datasets/png.h"

enum {
    ROWS = 8, COLUMNS = 2, // triples: original, view 1, view 2
    TILE = 96,             // pixels a side; smaller images are enlarged by a whole factor
    GAP = 4, WIDE_GAP = 24,
    PAPER = 255,
};

typedef struct preview_sheet {
    uint8_t *rgb;
    int width, height, tile;
} preview_sheet;

static uint8_t to_byte(double value) { return (uint8_t)(value <= 0 ? 0 : value >= 1 ? 255 : value * 255 + .5); }

// Pixels repeated `tile / size` times: what is shown is what is there.
static void put_image(const preview_sheet *sheet, int left, int top, const uint8_t *image, int size) {
    const int scale = sheet->tile / size;
    for (int y = 0; y < size * scale; y++)
        for (int x = 0; x < size * scale; x++)
            memcpy(sheet->rgb + 3 * ((int64_t)(top + y) * sheet->width + left + x), image + 3 * (y / scale * size + x / scale), 3);
}

static void undo_normalize(const bl_recipe *recipe, const float *view, int size, uint8_t *image) {
    double mean[3] = {0, 0, 0}, std[3] = {1, 1, 1};
    for (int i = 0; i < recipe->count; i++)
        if (recipe->items[i].kind == BL_NORMALIZE) {
            memcpy(mean, recipe->items[i].mean, sizeof mean);
            memcpy(std, recipe->items[i].std, sizeof std);
        }
    for (int i = 0; i < size * size * 3; i++) image[i] = to_byte(view[i] * std[i % 3] + mean[i % 3]);
}

static int fill(const preview_sheet *sheet, const bl_cell *cell, uint64_t seed, const bl_dataset *dataset, float *view, uint8_t *image) {
    const int size = bl_dataset_size(dataset), triple = 3 * sheet->tile + 2 * GAP + WIDE_GAP;
    const int64_t count = bl_dataset_count(dataset, BL_TRAIN);
    bl_view_scratch scratch = {0};
    int status = BL_OK;
    for (int i = 0; i < ROWS * COLUMNS && i < count && !status; i++) {
        const int left = WIDE_GAP + i / ROWS * triple, top = WIDE_GAP + i % ROWS * (sheet->tile + GAP);
        const uint8_t *original = bl_dataset_image(dataset, BL_TRAIN, i);
        put_image(sheet, left, top, original, size);
        for (int v = 0; v < BL_VIEWS && !status; v++) {
            status = bl_view_make(&cell->views[v], seed, (uint32_t)i, 0, (uint32_t)v, original, size, view, &scratch);
            if (status) break;
            const int out = bl_recipe_size(&cell->views[v], size);
            undo_normalize(&cell->views[v], view, out, image);
            put_image(sheet, left + (v + 1) * (sheet->tile + GAP), top, image, out);
        }
    }
    bl_view_scratch_free(&scratch);
    return status;
}

int bl_preview_write(const bl_cell *cell, uint64_t seed, const char *png_path) {
    int status = BL_FAILED;
    bl_dataset *dataset = NULL;
    float *view = NULL;
    uint8_t *image = NULL;
    preview_sheet sheet = {0};
    if (bl_dataset_open(&dataset, &cell->data)) return BL_FAILED;
    int largest = bl_dataset_size(dataset);
    for (int v = 0; v < BL_VIEWS; v++) {
        const int out = bl_recipe_size(&cell->views[v], bl_dataset_size(dataset));
        largest = out > largest ? out : largest;
    }
    sheet.tile = largest < TILE ? TILE : largest;
    sheet.width = COLUMNS * (3 * sheet.tile + 2 * GAP + WIDE_GAP) + WIDE_GAP;
    sheet.height = ROWS * (sheet.tile + GAP) - GAP + 2 * WIDE_GAP;
    sheet.rgb = bl_alloc((size_t)sheet.width * (size_t)sheet.height * 3);
    view = bl_alloc((size_t)largest * (size_t)largest * 3 * sizeof *view);
    image = bl_alloc((size_t)largest * (size_t)largest * 3);
    if (!sheet.rgb || !view || !image) goto done;
    memset(sheet.rgb, PAPER, (size_t)sheet.width * (size_t)sheet.height * 3);
    if (fill(&sheet, cell, seed, dataset, view, image)) goto done;
    status = bl_png_save(png_path, sheet.rgb, sheet.width, sheet.height, 3);
done:
    bl_free(sheet.rgb);
    bl_free(view);
    bl_free(image);
    bl_dataset_close(dataset);
    return status;
}
