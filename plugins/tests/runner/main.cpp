// The parts of vmexport-run that need no TensorRT.
#include "checks.h"

int main() {
  checks::test_npy();
  checks::test_options();
  checks::test_onnx();
  checks::test_json();
  checks::test_comparison();
  checks::test_files();
  checks::test_sidecar();
  checks::test_text();
  return checks::finish();
}
