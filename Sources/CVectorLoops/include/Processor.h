#pragma once

/// Name of the instruction set that the loader picked for the vector loops.
const char *apus_vector_capability(void);

/// Cores that this process may run on.
int apus_available_cores(void);
