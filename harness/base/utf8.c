#include "base/utf8.h"

int bl_utf8_next(const char *text, size_t bytes, uint32_t *character) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; // that needs so many bytes
    const unsigned char *at = (const unsigned char *)text;
    if (!bytes) return 0;
    const int length = at[0] < 0x80 ? 1 : at[0] < 0xc0 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf8 ? 4 : 0;
    if (!length || (size_t)length > bytes) return 0;
    uint32_t code = length == 1 ? at[0] : at[0] & (0xffu >> (length + 1));
    for (int i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
        code = code << 6 | (at[i] & 0x3fu);
    }
    if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return 0;
    *character = code;
    return length;
}
