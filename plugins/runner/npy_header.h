// The header of an NPY file: a Python dictionary with the keys descr, fortran_order and shape.
#ifndef VMEXPORT_RUNNER_NPY_HEADER_H
#define VMEXPORT_RUNNER_NPY_HEADER_H

#include <stdint.h>

#include <string>
#include <string_view>
#include <vector>

namespace vmexport::runner {

struct NpyHeader {
  std::string descr;  // as written, such as "<f4"
  bool fortran_order = false;
  std::vector<int64_t> shape;
};

// Throws kBadInput, naming what was expected and where; `name` is the file's.
NpyHeader parse_npy_header(std::string_view text, const std::string& name);

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_NPY_HEADER_H
