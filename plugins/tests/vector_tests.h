// The vector functions of one instruction tier, against double precision and against the scalar conversions: ranges,
// not samples, where the type is small enough.
#ifndef VMEXPORT_TESTS_VECTOR_TESTS_H
#define VMEXPORT_TESTS_VECTOR_TESTS_H

// Prints what was measured and what failed, and returns the number of failures. Only for a processor with the
// instructions of the tier.
int vector_failures();

#endif  // VMEXPORT_TESTS_VECTOR_TESTS_H
