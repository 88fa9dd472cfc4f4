// Loops compiled for AVX-512, AVX2 and the baseline, picked by the loader.
#pragma once
#if defined(__x86_64__) && defined(__ELF__)
#define APUS_VECTOR_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define APUS_VECTOR_CLONES
#endif
