#include "base/host.h"

#include <stdio.h>
#include <string.h>

void bl_host_cpu(char *out, size_t room) {
    static const char key[] = "model name";
    char line[512];
    FILE *file = fopen("/proc/cpuinfo", "r");
    snprintf(out, room, "unknown");
    if (!file) return;
    while (fgets(line, sizeof line, file)) {
        const char *value = strchr(line, ':');
        if (strncmp(line, key, sizeof key - 1) != 0 || !value) continue;
        value += 1 + strspn(value + 1, " \t");
        if (*value != '\n') snprintf(out, room, "%.*s", (int)strcspn(value, "\n"), value);
        break;
    }
    fclose(file);
}
