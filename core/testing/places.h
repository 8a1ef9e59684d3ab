// core/testing/places.h
//
// Where a test finds what it reads, and where it may write. Known in one file, so that all others
// are compiled alike wherever the tree lies, and ccache has them for each.
#pragma once

#include <string>

namespace pyralog::testing {

std::string source_dir();
std::string binary_dir();

} // namespace pyralog::testing
