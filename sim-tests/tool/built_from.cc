#include "sim-tests/tool/report.h"

#include <commit.h>

namespace pyralog::simtest {

std::string built_from() { return PYRALOG_COMMIT; }

} // namespace pyralog::simtest
