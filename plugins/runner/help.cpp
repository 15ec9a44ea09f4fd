#include "options.h"

namespace vmexport::runner {

std::string help_text() {
  return R"(Usage: vmexport-run MODEL [CLIP.npy] [OPTIONS]

Builds an engine from MODEL (.onnx) or loads one (.engine, .plan, .trt), runs it on CLIP.npy (clips (B, 3, T, H, W),
float32 or float16, normalised), and compares, times and writes the logits. Without CLIP.npy an ONNX file is only built
(-e), and a benchmark takes seeded noise.

Results
  -o, --output FILE          write the logits (B, classes) as float32 NPY
      --expect FILE          compare with these logits; a difference beyond the tolerance ends with status 6
      --tolerance LIMIT      fp32, fp16, bf16, or the largest relative difference such as 1e-3
                             (default: by the precision of the model)
      --bench [RUNS]         time RUNS runs (default 200), after the logits were found right
      --warmup RUNS          untimed runs before them (default 20)
      --cuda-graph on|off    run through a CUDA graph (default: on with --bench)
      --json                 one JSON object on standard output in place of the table

Building, of an .onnx file
  -e, --save-engine FILE     keep the engine
      --batch MIN:OPT:MAX    batches to serve, or one number (default: as in the file, 1 where it is dynamic)
      --fp16                 TensorRT 8: let it choose half precision. From TensorRT 10 on the precision is that of the
                             file: vmexport onnx --fp16
      --own-kernels          use neither cuBLAS nor cuDNN, which TensorRT 8 would load, several hundred megabytes
      --workspace SIZE       memory for building, such as 512M or 2G (default: a quarter of what is free, at most 2G)

Libraries and device
      --plugin FILE          the plugin library, libvmexport_trt.so or libvmexport_trt_autoreg.so. Without it the
                             operators' function bodies in standard operators are used, where the file has them
      --lib-dir FOLDER       where libnvinfer lies, if the system does not know it
      --rtx                  TensorRT-RTX in place of TensorRT; it builds without a GPU, with the plugin or without
      --allow-engine-code    let a version-compatible engine run the program code inside it
      --device N             number of the GPU (default 0)
  -v, --verbose              everything that TensorRT says
      --version              version, and the TensorRT that this program was built for
  -h, --help                 this text

Engines and plugins are code: only use those that you would also run as programs.

Exit status: 0 ok, 1 bug, 2 usage, 3 environment (no GPU, no driver, no library), 4 bad input, 5 build failed,
6 parity failed, 7 out of memory, 130 interrupted.
)";
}

}  // namespace vmexport::runner
