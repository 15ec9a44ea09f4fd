// Arrays in NumPy's file format, versions 1.0 to 3.0 (NumPy enhancement proposal 1; numpy.lib.format).
#ifndef VMEXPORT_RUNNER_NPY_H
#define VMEXPORT_RUNNER_NPY_H

#include <stdint.h>

#include <string>
#include <vector>

namespace vmexport::runner {

struct Array {
  std::vector<int64_t> shape;
  std::vector<float> data;  // C order; float16 files are widened
};

// "(1, 3, 16, 224, 224)", as Python prints a tuple.
std::string shape_text(const std::vector<int64_t>& shape);

// Reads the bytes of a file; `name` is for errors. Takes '<f4' and '<f2' in C order. Throws kBadInput for anything
// else: other types (objects are pickles, which are programs, and are never read), Fortran order, big endian, a header
// that is damaged or over 64 KiB, shapes that overflow or are empty, and data that are too short or too long for the
// shape.
Array parse_npy(const std::string& bytes, const std::string& name);

// Version 1.0, '<f4', C order.
std::string format_npy(const Array& array);

// Clips (B, 3, T, H, W), normalised. Throws kBadInput also for another shape, and for NaN or infinity.
Array read_clips(const std::string& path);

// Logits (B, classes) to compare with. Throws kBadInput also for another shape.
Array read_logits(const std::string& path);

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_NPY_H
