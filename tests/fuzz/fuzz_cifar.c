// CIFAR's files, of one record each here: the first byte says where the bytes of the one end and those of the other begin.

#include "datasets/images/cifar.h"
#include "rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const train_files[] = {"a.bin", "b.bin", NULL}, *const test_files[] = {"c.bin", NULL};
    static const bl_cifar format = {.name = "small", .archive = "small.tar.gz", .files = "a.bin, b.bin and c.bin",
                                    .labels = {{"coarse label", 2}, {"label", 10}}, .label_count = 2, .train_files = train_files,
                                    .test_files = test_files, .train_records = 1, .test_records = 1};
    bl_images train = {0}, test = {0};
    if (!size) return 0;
    const size_t bytes = size - 1, first = bytes / 3 + *data % 4 < bytes ? bytes / 3 + *data % 4 : bytes, second = (bytes - first) / 2;
    bl_fuzz_file("a.bin", data + 1, first);
    bl_fuzz_file("b.bin", data + 1 + first, second);
    bl_fuzz_file("c.bin", data + 1 + first + second, bytes - first - second);
    if (FUZZ(bl_cifar_load(&format, &(bl_images_options){.root = bl_fuzz_here()}, &train, &test))) {
        const bl_images *const sets[2] = {&train, &test};
        for (int s = 0; s < 2; s++)
            for (int64_t i = 0; i < sets[s]->count; i++)
                if (sets[s]->labels[i] >= sets[s]->classes) abort();
    }
    bl_images *const held[2] = {&train, &test};
    for (int s = 0; s < 2; s++) {
        bl_free(held[s]->pixels);
        bl_free(held[s]->labels);
        bl_text_free(&held[s]->files);
        bl_text_free(&held[s]->remarks);
    }
    return 0;
}
