#include "report/picture_sheet.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "datasets/scenes/png.h"
#include "datasets/scenes/scene.h" // bl_scene_classes
#include "report/lettering.h"

enum {
    MOST_COLUMNS = 16, MOST_SCENES = 16,
    WIDE = 256,         // pixels: narrower pictures are enlarged by a whole factor
    MARGIN = 20, GAP = 8,
    CAPTION = 26, NAME = 22, // pixels, heights of a caption above a column and of a line of the legend
    SWATCH = 16,        // pixels a side
    BETWEEN_NAMES = 18,
    IMAGE = 0, TRUTH, PREDICTIONS, // columns
    PAPER = 255,
};
static const double caption_unit = 2.2, name_unit = 1.7;

typedef struct picture_column { // of predictions
    const bl_study_run *run;
    const bl_evaluation *row;
    const char *name;
} picture_column;

typedef struct picture_sheet {
    const bl_study *study;
    picture_column columns[MOST_COLUMNS];
    int column_count;
    const bl_scene_picture *scenes[MOST_SCENES]; // the first picture of each
    int scene_count;
    int scale, cell_width;
    bool is_shown[BL_SCENE_CLASSES], is_any_ignored;
    bl_canvas canvas;
} picture_sheet;

// ---- what there is ----

// Cells may draw other scenes by the same names: from another seed, or of another size.
static bool is_same_scene(const bl_scene_picture *a, const bl_scene_picture *b) {
    return !strcmp(a->scene, b->scene) && a->width == b->width && a->height == b->height &&
           !memcmp(a->truth, b->truth, (size_t)a->width * (size_t)a->height);
}

// Of the scene of `like`; NULL: any.
static const bl_scene_picture *picture_of(const picture_column *column, const bl_scene_picture *like) {
    const bl_history *history = &column->run->history;
    for (int64_t i = 0; i < history->picture_count; i++) {
        const bl_scene_picture *picture = &history->pictures[i];
        if (!strcmp(picture->row, column->row->row) && !strcmp(picture->id, column->row->id) && (!like || is_same_scene(picture, like)))
            return picture;
    }
    return NULL;
}

static void find_columns(picture_sheet *sheet, uint64_t seed) {
    for (int r = 0; r < sheet->study->run_count; r++) {
        const bl_study_run *run = &sheet->study->runs[r];
        const bl_cell *cell = &sheet->study->experiment->cells[run->cell];
        for (int e = 0; run->seed == seed && !run->left_out && e < cell->evaluation_count; e++) {
            const picture_column column = {.run = run, .row = &cell->evaluations[e]};
            if (picture_of(&column, NULL) && sheet->column_count < MOST_COLUMNS) sheet->columns[sheet->column_count++] = column;
        }
    }
}

// The arm, with its cell where another one has such an arm, and its share of the labels where that is not all.
static void name_columns(picture_sheet *sheet) {
    for (int k = 0; k < sheet->column_count; k++) {
        picture_column *column = &sheet->columns[k];
        bool is_shared = false;
        for (int j = 0; j < sheet->column_count; j++)
            is_shared |= sheet->columns[j].run != column->run && !strcmp(bl_evaluation_arm(sheet->columns[j].row), bl_evaluation_arm(column->row));
        bl_text name = {0};
        bl_text_add(&name, "%s", bl_evaluation_arm(column->row));
        if (is_shared) bl_text_add(&name, ", %s", sheet->study->experiment->cells[column->run->cell].name);
        if (column->row->fit.share < 100) bl_text_add(&name, ", %g %%", column->row->fit.share);
        column->name = bl_arena_copy(sheet->study->arena, name.chars);
        bl_text_free(&name);
    }
}

static void find_scenes(picture_sheet *sheet) {
    int widest = 1;
    for (int k = 0; k < sheet->column_count; k++) {
        const bl_history *history = &sheet->columns[k].run->history;
        for (int64_t i = 0; i < history->picture_count; i++) {
            const bl_scene_picture *picture = &history->pictures[i];
            if (picture_of(&sheet->columns[k], picture) != picture) continue; // of another row
            int known = 0;
            while (known < sheet->scene_count && !is_same_scene(sheet->scenes[known], picture)) known++;
            if (known == sheet->scene_count && known < MOST_SCENES) sheet->scenes[sheet->scene_count++] = picture;
            if (picture->width > widest) widest = picture->width;
        }
    }
    sheet->scale = (WIDE + widest - 1) / widest;
    sheet->cell_width = widest * sheet->scale;
}

static int row_height(const picture_sheet *sheet, int scene) {
    int highest = 0;
    for (int k = 0; k < sheet->column_count; k++) {
        const bl_scene_picture *picture = picture_of(&sheet->columns[k], sheet->scenes[scene]);
        if (picture && picture->height > highest) highest = picture->height;
    }
    return highest * sheet->scale;
}

// ---- drawing ----

static int left_of(const picture_sheet *sheet, int column) { return MARGIN + column * (sheet->cell_width + GAP); }

static void fill(const bl_canvas *canvas, int left, int top, int width, int height, const uint8_t colour[3]) {
    for (int y = top; y < top + height; y++)
        for (int x = left; x < left + width; x++) memcpy(canvas->rgb + 3 * ((int64_t)y * canvas->width + x), colour, 3);
}

static const uint8_t black[3];

static const uint8_t *colour_of(picture_sheet *sheet, uint8_t label) {
    if (label < BL_SCENE_CLASSES) {
        sheet->is_shown[label] = true;
        return bl_scene_classes[label].colour;
    }
    sheet->is_any_ignored = true;
    return black;
}

// Its image, or one of its maps.
static void put(picture_sheet *sheet, int column, int top, const bl_scene_picture *picture, const uint8_t *labels) {
    const int scale = sheet->scale, left = left_of(sheet, column);
    for (int y = 0; y < picture->height; y++)
        for (int x = 0; x < picture->width; x++) {
            const int64_t at = (int64_t)y * picture->width + x;
            fill(&sheet->canvas, left + x * scale, top + y * scale, scale, scale, labels ? colour_of(sheet, labels[at]) : picture->image + 3 * at);
        }
}

static void put_caption(const picture_sheet *sheet, int column, const char *text) {
    const double width = bl_lettering_width(text, caption_unit);
    const double unit = width > sheet->cell_width ? caption_unit * sheet->cell_width / width : caption_unit;
    bl_lettering_draw(&sheet->canvas, left_of(sheet, column), MARGIN, unit, text);
}

static void put_scenes(picture_sheet *sheet) {
    static const uint8_t absent[3] = {0xee, 0xee, 0xee};
    put_caption(sheet, IMAGE, "image");
    put_caption(sheet, TRUTH, "ground truth");
    for (int k = 0; k < sheet->column_count; k++) put_caption(sheet, PREDICTIONS + k, sheet->columns[k].name);
    for (int s = 0, top = MARGIN + CAPTION; s < sheet->scene_count; top += row_height(sheet, s++) + GAP) {
        put(sheet, IMAGE, top, sheet->scenes[s], NULL);
        put(sheet, TRUTH, top, sheet->scenes[s], sheet->scenes[s]->truth);
        for (int k = 0; k < sheet->column_count; k++) {
            const bl_scene_picture *picture = picture_of(&sheet->columns[k], sheet->scenes[s]);
            if (picture) put(sheet, PREDICTIONS + k, top, picture, picture->prediction);
            else fill(&sheet->canvas, left_of(sheet, PREDICTIONS + k), top, sheet->cell_width, row_height(sheet, s), absent);
        }
    }
}

// The classes that are shown, from left to right, in as many lines as they need, from `top`; returns where they end.
static int put_legend(const picture_sheet *sheet, int top) {
    int left = MARGIN;
    for (int k = 0; k <= BL_SCENE_CLASSES; k++) {
        if (!(k < BL_SCENE_CLASSES ? sheet->is_shown[k] : sheet->is_any_ignored)) continue;
        const char *name = k < BL_SCENE_CLASSES ? bl_scene_classes[k].name : "ignored";
        const int width = SWATCH + GAP + (int)ceil(bl_lettering_width(name, name_unit));
        if (left > MARGIN && left + width > sheet->canvas.width - MARGIN) {
            left = MARGIN;
            top += NAME;
        }
        fill(&sheet->canvas, left, top, SWATCH, SWATCH, k < BL_SCENE_CLASSES ? bl_scene_classes[k].colour : black);
        bl_lettering_draw(&sheet->canvas, left + SWATCH + GAP, top + (SWATCH - 6 * name_unit) / 2, name_unit, name);
        left += width + BETWEEN_NAMES;
    }
    return top + NAME;
}

// Classes are known once the maps are drawn: the legend's height is that of all of them, and what it does not need is left off.
static int draw(picture_sheet *sheet, const char *path) {
    int legend_top = MARGIN + CAPTION + GAP;
    for (int s = 0; s < sheet->scene_count; s++) legend_top += row_height(sheet, s) + GAP;
    sheet->canvas.width = left_of(sheet, PREDICTIONS + sheet->column_count) - GAP + MARGIN;
    sheet->canvas.height = legend_top + (BL_SCENE_CLASSES + 1) * NAME + MARGIN;
    const size_t bytes = (size_t)sheet->canvas.width * (size_t)sheet->canvas.height * 3;
    sheet->canvas.rgb = bl_alloc(bytes);
    if (!sheet->canvas.rgb) return BL_FAILED;
    memset(sheet->canvas.rgb, PAPER, bytes);
    put_scenes(sheet);
    sheet->canvas.height = put_legend(sheet, legend_top) + MARGIN;
    const int status = bl_png_save(path, sheet->canvas.rgb, sheet->canvas.width, sheet->canvas.height, 3);
    bl_free(sheet->canvas.rgb);
    return status;
}

int bl_picture_sheet_write(const bl_study *study, const char *path, bl_text *caption, bool *written) {
    picture_sheet sheet = {.study = study};
    int s = 0;
    *written = false;
    while (!sheet.column_count && s < study->experiment->seed_count) find_columns(&sheet, study->experiment->seeds[s++]);
    if (!sheet.column_count) return BL_OK;
    name_columns(&sheet);
    find_scenes(&sheet);
    if (draw(&sheet, path)) return BL_FAILED;
    bl_text_add(caption, "Whole scenes of val as seed %" PRIu64 " predicts them after its last update, from above:", study->experiment->seeds[s - 1]);
    for (int i = 0; i < sheet.scene_count; i++) bl_text_add(caption, "%s `%s`", i ? "," : "", sheet.scenes[i]->scene);
    bl_text_add(caption, ".\n");
    *written = true;
    return BL_OK;
}
