// host.h - who computes here: the processor, and the commit that this program was built from.

#ifndef BL_BASE_HOST_H
#define BL_BASE_HOST_H

#include <stddef.h>

// "AMD EPYC 9654 96-Core Processor", cut to what there is room for; "unknown" where the system does not say.
void bl_host_cpu(char *out, size_t room);

// "2e14f59ab01c"; "2e14f59ab01c+changes" where sources differed from it, "unknown" outside git. As of the last build, not of CMake's
// configuration (commit.cmake).
const char *bl_program_commit(void);

#endif
