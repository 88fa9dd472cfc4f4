#ifndef APUS_COPENCL_SHIM_H
#define APUS_COPENCL_SHIM_H
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#endif
