// host.h - who computes here: the processor, and the commit that this program was built from.

#ifndef BL_BASE_HOST_H
#define BL_BASE_HOST_H

#include <stddef.h>

// "Intel(R) Xeon(R) Processor, family 6, model 207", for a virtual machine's name says little; cut to what there is room for. "unknown"
// where the system does not say.
void bl_host_cpu(char *out, size_t room);

// Of an x86 processor: what its vector and matrix units can do, "avx avx2 avx512f ... amx_tile", which is what kernels are chosen by; a
// virtual machine may hide some of what its model has. Cut to what there is room for; "" where the system does not say.
void bl_host_flags(char *out, size_t room);

// "2e14f59ab01c"; "2e14f59ab01c+changes" where sources differed from it, "unknown" outside git. As of the last build, not of CMake's
// configuration (commit.cmake).
const char *bl_program_commit(void);

#endif
