#pragma once

#include <stddef.h>

/// The text of kernels/NAME.cl, embedded when this library was compiled, without a closing zero; its length in bytes in
/// `*length`. NULL when there is no such file.
const char *_Nullable apus_kernel_source(const char *_Nonnull name, size_t *_Nonnull length);

/// Whether this processor has 32 registers of 512 bits for floats.
int apus_has_512_bit_registers(void);

/// Name of embedded file number `index`, without folder and suffix; NULL from the number of files up.
const char *_Nullable apus_kernel_name(size_t index);
