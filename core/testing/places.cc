#include "core/testing/places.h"

namespace pyralog::testing {

std::string source_dir() { return PYRALOG_SOURCE_DIR; }
std::string binary_dir() { return PYRALOG_BINARY_DIR; }

} // namespace pyralog::testing
