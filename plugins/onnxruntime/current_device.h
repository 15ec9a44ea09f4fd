// A CUDA device is the thread's current one while this lives. No CUDA header is needed.
#ifndef VMEXPORT_ONNXRUNTIME_CURRENT_DEVICE_H
#define VMEXPORT_ONNXRUNTIME_CURRENT_DEVICE_H

namespace vmexport::ort {

class CurrentDevice {
 public:
  explicit CurrentDevice(int device) noexcept;
  ~CurrentDevice();
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;

  const char* problem() const noexcept { return problem_; }  // null where the device is current

 private:
  int before_ = -1;  // to be restored; -1: nothing was changed
  const char* problem_ = nullptr;
};

}  // namespace vmexport::ort

#endif  // VMEXPORT_ONNXRUNTIME_CURRENT_DEVICE_H
