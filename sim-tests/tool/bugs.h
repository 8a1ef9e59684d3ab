// sim-tests/tool/bugs.h
//
// The planted bugs that a sweep must find, and by which oracle: a test of the tests. A bug counts
// as caught only if its place in the code was reached, an oracle that was expected fired, and the
// same seed passes without it.
#pragma once

#include <array>
#include <string_view>
#include <vector>

namespace pyralog::simtest {

struct PlantedBug {
    std::string_view name;
    std::string_view what;
    std::vector<std::string_view> oracles; // Any of them.
};

const std::vector<PlantedBug>& planted_bugs();

} // namespace pyralog::simtest
