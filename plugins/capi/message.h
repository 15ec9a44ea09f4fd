// Where a message goes.
#ifndef VMEXPORT_CAPI_MESSAGE_H
#define VMEXPORT_CAPI_MESSAGE_H

#include "../scan/params.h"

namespace vmexport {

// Somewhere to write where the caller does not care.
struct Message {
  char own[VMEXPORT_MESSAGE_SIZE];
  char* text;
  explicit Message(char* given) : text(given != nullptr ? given : own) { text[0] = '\0'; }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
};

}  // namespace vmexport

#endif  // VMEXPORT_CAPI_MESSAGE_H
