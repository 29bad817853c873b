#include "backends/resize.h"

void bl_resize_taps(int64_t in, int64_t out, bl_resize_tap *taps) {
    for (int64_t d = 0; d < out; d++) {
        const int64_t above = (2 * d + 1) * in - out, place = above > 0 ? above : 0, low = place / (2 * out);
        const int64_t high = low + 1 < in ? low + 1 : low;
        taps[d] = (bl_resize_tap){(int32_t)low, (int32_t)high, (float)((double)(place % (2 * out)) / (double)(2 * out))};
    }
}

// Taps ascend, so those that touch a pixel stand together; a pixel that none touches has none.
void bl_resize_reaches(int64_t in, int64_t out, const bl_resize_tap *taps, bl_resize_reach *reaches) {
    int64_t begin = 0, end = 0;
    for (int64_t place = 0; place < in; place++) {
        while (begin < out && taps[begin].high < place) begin++;
        if (end < begin) end = begin;
        while (end < out && taps[end].low <= place) end++;
        reaches[place] = (bl_resize_reach){(int32_t)begin, (int32_t)end};
    }
}
