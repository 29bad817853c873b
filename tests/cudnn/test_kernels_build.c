// The module holds machine code for A100 (sm_80), H100/H200 (sm_90) and B200 (sm_100), and PTX for what comes after, of every kernel of
// the sources. Read from the module itself: device code is ELF files within it, its PTX is text. Exits with 77 where it was not built.

#include <ctype.h>
#include <elf.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

#define MAX_KERNELS 256

typedef struct file {
    char *bytes; // ends with a zero
    size_t size;
} file;

static file module; // libbyolab_cudnn.so
static char *kernels[MAX_KERNELS];
static int kernel_count;

static file file_of(const char *path) {
    file all = {0};
    FILE *stream = fopen(path, "rb");
    if (!stream) return all;
    fseek(stream, 0, SEEK_END);
    all.size = (size_t)ftell(stream);
    rewind(stream);
    all.bytes = calloc(all.size + 1, 1);
    assert_non_null(all.bytes);
    assert_int_equal(fread(all.bytes, 1, all.size, stream), all.size);
    fclose(stream);
    return all;
}

// The names behind "__global__ ... void".
static void add_kernels(const char *source) {
    for (const char *at = source; (at = strstr(at, "__global__")); at++) {
        const char *start = strstr(at, "void ");
        assert_non_null(start);
        start += strlen("void ");
        size_t length = 0;
        while (isalnum((unsigned char)start[length]) || start[length] == '_') length++;
        assert_int_equal(start[length], '(');
        assert_true(kernel_count < MAX_KERNELS);
        kernels[kernel_count++] = strndup(start, length);
    }
}

static int read_everything(void **state) {
    (void)state;
    char path[4096];
    snprintf(path, sizeof path, "%s/lib/libbyolab_cudnn.so", bl_test_build());
    module = file_of(path);
    assert_non_null(module.bytes);
    glob_t sources;
    snprintf(path, sizeof path, "%s/backends/cudnn/kernels/*.cu", bl_test_source());
    assert_int_equal(glob(path, 0, NULL, &sources), 0);
    for (size_t i = 0; i < sources.gl_pathc; i++) {
        file source = file_of(sources.gl_pathv[i]);
        add_kernels(source.bytes);
        free(source.bytes);
    }
    globfree(&sources);
    return 0;
}

static int free_everything(void **state) {
    (void)state;
    for (int k = 0; k < kernel_count; k++) free(kernels[k]);
    free(module.bytes);
    return 0;
}

// A C++ symbol has each of its names behind that name's length.
static bool names(const char *symbol, const char *kernel) {
    char mangled[256];
    snprintf(mangled, sizeof mangled, "%zu%s", strlen(kernel), kernel);
    const char *at = strstr(symbol, mangled);
    return at && at > symbol && !isdigit((unsigned char)at[-1]);
}

// Whether the ELF at `start` of the module has a function of this name.
static bool elf_holds(const char *start, const char *kernel) {
    Elf64_Ehdr header;
    memcpy(&header, start, sizeof header);
    for (int s = 0; s < header.e_shnum; s++) {
        Elf64_Shdr symbols, strings;
        memcpy(&symbols, start + header.e_shoff + (size_t)s * sizeof symbols, sizeof symbols);
        if (symbols.sh_type != SHT_SYMTAB) continue;
        memcpy(&strings, start + header.e_shoff + symbols.sh_link * sizeof strings, sizeof strings);
        for (size_t at = 0; at < symbols.sh_size; at += sizeof(Elf64_Sym)) {
            Elf64_Sym symbol;
            memcpy(&symbol, start + symbols.sh_offset + at, sizeof symbol);
            if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_size && names(start + strings.sh_offset + symbol.st_name, kernel))
                return true;
        }
    }
    return false;
}

#ifndef EM_CUDA
#define EM_CUDA 190
#endif

static bool has_machine_code(const char *kernel, int capability) {
    const char *end = module.bytes + module.size;
    for (const char *at = module.bytes; (at = memmem(at, (size_t)(end - at), ELFMAG, SELFMAG)); at++) {
        Elf64_Ehdr header;
        if ((size_t)(end - at) < sizeof header) return false;
        memcpy(&header, at, sizeof header);
        const int built_for = header.e_flags >> 8 & 0xff; // as CUDA 13 writes it
        if (header.e_machine == EM_CUDA && built_for == capability && elf_holds(at, kernel)) return true;
    }
    return false;
}

static bool has_ptx(const char *kernel) {
    static const char target[] = ".target sm_100", entry[] = ".entry ";
    const char *end = module.bytes + module.size;
    for (const char *text = module.bytes; (text = memmem(text, (size_t)(end - text), target, sizeof target - 1)); text++)
        for (const char *at = text; (at = strstr(at, entry)); at++) { // the text ends with a zero
            char symbol[512];
            if (sscanf(at + sizeof entry - 1, "%511[A-Za-z0-9_$]", symbol) == 1 && names(symbol, kernel)) return true;
        }
    return false;
}

static void every_kernel_is_built_for_every_architecture(void **state) {
    (void)state;
    static const int capabilities[] = {80, 90, 100};
    assert_true(kernel_count > 0);
    for (int k = 0; k < kernel_count; k++) {
        for (size_t c = 0; c < sizeof capabilities / sizeof *capabilities; c++)
            if (!has_machine_code(kernels[k], capabilities[c])) fail_msg("kernel %s has no code for sm_%d", kernels[k], capabilities[c]);
        if (!has_ptx(kernels[k])) fail_msg("kernel %s has no PTX", kernels[k]);
    }
}

static void what_is_in_no_source_is_not_found(void **state) {
    (void)state;
    assert_false(has_machine_code("no_such_kernel", 90));
    assert_false(has_machine_code(kernels[0], 75));
    assert_false(has_ptx("no_such_kernel"));
}

int main(void) {
    if (!*BYOLAB_CUDA_ARCHITECTURES) {
        puts("skipped: the cuDNN backend was not built");
        return 77;
    }
    if (strcmp(BYOLAB_CUDA_ARCHITECTURES, "80-real 90-real 100-real 100-virtual")) {
        puts("skipped: built for other architectures, " BYOLAB_CUDA_ARCHITECTURES);
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kernel_is_built_for_every_architecture),
        cmocka_unit_test(what_is_in_no_source_is_not_found),
    };
    return cmocka_run_group_tests(tests, read_everything, free_everything);
}
