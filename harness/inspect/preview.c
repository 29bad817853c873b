#include "inspect/preview.h"

#include <string.h>

#include "datasets/scenes/png.h"

enum {
    ROWS = 8, COLUMNS = 2, // triples: original, view 1, view 2
    TILE = 96,             // pixels a side, or as many as a view has; smaller images are enlarged by a whole factor
    GAP = 4, WIDE_GAP = 24,
    PAPER = 255,
};

typedef struct preview_sheet {
    uint8_t *rgb;
    int width, height, tile;
} preview_sheet;

static uint8_t to_byte(double value) { return (uint8_t)(value <= 0 ? 0 : value >= 1 ? 255 : value * 255 + .5); }

// Pixels repeated or, of a scene that is larger than a tile, left out: what is shown is what is there.
static void put_image(const preview_sheet *sheet, int left, int top, const uint8_t *image, bl_extent size) {
    const int longest = size.width > size.height ? size.width : size.height, scale = sheet->tile / longest;
    const int width = scale ? size.width * scale : (size.width * sheet->tile + longest - 1) / longest;
    const int height = scale ? size.height * scale : (size.height * sheet->tile + longest - 1) / longest;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            memcpy(sheet->rgb + 3 * ((int64_t)(top + y) * sheet->width + left + x),
                   image + 3 * ((int64_t)(y * size.height / height) * size.width + x * size.width / width), 3);
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
    const int triple = 3 * sheet->tile + 2 * GAP + WIDE_GAP;
    const int64_t count = bl_dataset_count(dataset, BL_TRAIN);
    bl_view_scratch scratch = {0};
    bl_picture original = {0};
    int status = BL_OK;
    for (int i = 0; i < ROWS * COLUMNS && i < count && !status; i++) {
        const int left = WIDE_GAP + i / ROWS * triple, top = WIDE_GAP + i % ROWS * (sheet->tile + GAP);
        status = bl_dataset_picture(dataset, BL_TRAIN, (uint32_t)i, seed, 0, &original);
        if (status) break;
        const bl_extent size = {original.width, original.height};
        put_image(sheet, left, top, original.pixels, size);
        for (int v = 0; v < BL_VIEWS && !status; v++) {
            status = bl_view_make(&cell->views[v], seed, (uint32_t)i, 0, (uint32_t)v, original.pixels, size, view, &scratch);
            if (status) break;
            const int out = bl_recipe_size(&cell->views[v], bl_dataset_size(dataset));
            undo_normalize(&cell->views[v], view, out, image);
            put_image(sheet, left + (v + 1) * (sheet->tile + GAP), top, image, bl_square(out));
        }
    }
    bl_picture_free(&original);
    bl_view_scratch_free(&scratch);
    return status;
}

int bl_preview_write(const bl_cell *cell, uint64_t seed, const char *png_path, bl_text *remarks) {
    int status = BL_FAILED;
    bl_dataset *dataset = NULL;
    float *view = NULL;
    uint8_t *image = NULL;
    preview_sheet sheet = {0};
    bl_dataset_options data = cell->data;
    data.labelled = false; // views need no labels
    if (bl_dataset_open(&dataset, &data)) return BL_FAILED;
    int largest = bl_dataset_is_decoded(dataset) ? 0 : bl_dataset_size(dataset);
    for (int v = 0; v < BL_VIEWS; v++) {
        const int out = bl_recipe_size(&cell->views[v], bl_dataset_size(dataset));
        if (!out) {
            bl_fail("views: view %d is made from whole scenes and nothing makes them square", v);
            goto done;
        }
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
    bl_text_add(remarks, "%s", bl_dataset_remarks(dataset));
    status = bl_png_save(png_path, sheet.rgb, sheet.width, sheet.height, 3);
done:
    bl_free(sheet.rgb);
    bl_free(view);
    bl_free(image);
    bl_dataset_close(dataset);
    return status;
}
