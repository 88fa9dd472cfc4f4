#ifndef APUS_COPENBLAS_SHIM_H
#define APUS_COPENBLAS_SHIM_H
#include <cblas.h>
#include <lapacke.h>
#include <stdlib.h>

// Of OpenBLAS built for many processors; absent from builds for one.
extern void gotoblas_dynamic_init(void) __attribute__((weak));
extern void gotoblas_dynamic_quit(void) __attribute__((weak));

// Makes OpenBLAS choose its kernels again, as if OPENBLAS_CORETYPE named a processor. For the time before its first use.
static inline void apus_openblas_choose(const char *core) {
    if (!gotoblas_dynamic_init || !gotoblas_dynamic_quit) return;
    setenv("OPENBLAS_CORETYPE", core, 1);
    gotoblas_dynamic_quit();
    gotoblas_dynamic_init();
    unsetenv("OPENBLAS_CORETYPE");
}
#endif
