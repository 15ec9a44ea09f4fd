// One sentence of bounded length, written without allocation.
#ifndef VMEXPORT_TENSORRT_MESSAGE_H
#define VMEXPORT_TENSORRT_MESSAGE_H

#include <cstdarg>
#include <cstdio>

#include "../scan/params.h"

namespace vmexport::trt {

struct Message {
  char text[VMEXPORT_MESSAGE_SIZE] = "";

  // Returns false, so that a check can end with `return message.say(...)`.
  __attribute__((format(printf, 2, 3))) bool say(const char* format, ...) noexcept {
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return false;
  }
};

}  // namespace vmexport::trt

#endif  // VMEXPORT_TENSORRT_MESSAGE_H
