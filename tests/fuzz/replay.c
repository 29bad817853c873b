// replay.c - a target without libFuzzer: every file of a folder, and of each so many changes, which are the same each time.
//
// usage: fuzz_<name> FOLDER CHANGES

#include <dirent.h>
#include <unistd.h>

#include "base/random.h"
#include "rig.h"

static struct { // what a crash leaves on the screen
    const char *path;
    int change; // -1: none
} in_hand;
static int screen;

static void show(void) { dprintf(screen, "the input in hand: %s, change %d\n", in_hand.path, in_hand.change); }

// A few bytes changed, taken out, doubled or put in, or the end cut off.
static size_t change(bl_random *random, uint8_t *data, size_t size, size_t room) {
    for (uint32_t changes = 1 + bl_random_below(random, 4); changes--;) {
        const size_t at = size ? bl_random_below(random, (uint32_t)size) : 0;
        const uint32_t most = 1 + bl_random_below(random, 12), left = (uint32_t)(size - at), length = most < left ? most : left;
        switch (bl_random_below(random, 6)) {
        case 0: if (size) data[at] ^= (uint8_t)(1u << bl_random_below(random, 8)); break;
        case 1: if (size) data[at] = (uint8_t)bl_random_below(random, 256); break;
        case 2: if (size) data[at] = (uint8_t[]){0, 0xff, 0x7f, 0x80, '\n', '"', '{', '-'}[bl_random_below(random, 8)]; break;
        case 3: // out
            memmove(data + at, data + at + length, left - length);
            size -= length;
            break;
        case 4: // twice
            if (size + length > room) break;
            memmove(data + at + length, data + at, left);
            size += length;
            break;
        default:
            if (!bl_random_below(random, 4)) size = at;
        }
    }
    return size;
}

static void replay(const char *path, int changes, uint32_t number) {
    void *bytes;
    size_t size;
    in_hand.path = path;
    in_hand.change = -1;
    if (bl_read_file(path, &bytes, &size)) abort();
    LLVMFuzzerTestOneInput(bytes, size);
    const size_t room = 2 * size + 64;
    uint8_t *changed = malloc(room);
    for (int c = 0; c < changes; c++) {
        bl_random random = bl_random_stream(1, "fuzz", number, (uint32_t)c, 0);
        memcpy(changed, bytes, size);
        const size_t now = change(&random, changed, size, room);
        uint8_t *exact = malloc(now ? now : 1); // so that a byte behind it is nobody's
        memcpy(exact, changed, now);
        in_hand.change = c;
        LLVMFuzzerTestOneInput(exact, now);
        free(exact);
    }
    free(changed);
    bl_free(bytes);
}

static int is_input(const struct dirent *entry) { return *entry->d_name != '.'; }

void __asan_set_death_callback(void (*callback)(void)) __attribute__((weak));

int main(int argc, char **argv) {
    struct dirent **entries;
    if (argc != 3) return 2;
    const int count = scandir(argv[1], &entries, is_input, alphasort);
    if (count < 1) {
        fprintf(stderr, "%s: no inputs\n", argv[1]);
        return 2;
    }
    screen = dup(2);
    if (__asan_set_death_callback) __asan_set_death_callback(show);
    bl_fuzz_here();
    if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)) return 2;
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], entries[i]->d_name);
        replay(path, atoi(argv[2]), (uint32_t)i);
        free(entries[i]);
    }
    free(entries);
    dprintf(screen, "%d inputs, %d changes of each\n", count, atoi(argv[2]));
    return 0;
}
