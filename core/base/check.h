// core/base/check.h
//
// CHECK states what must be true of our own code. It stays on in every build, because a node that
// runs on after its invariants broke can only make the damage durable. What the world may do to us
// (a full disk, a torn frame, a dead peer) is never checked: it is a Result.
#pragma once

#include <cstdio>
#include <cstdlib>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) [[unlikely]]                                                             \
            ::pyralog::check_failed(#condition, __FILE__, __LINE__);                               \
    } while (false)

namespace pyralog {

[[noreturn]] inline void check_failed(const char* condition, const char* file, int line) {
    std::fprintf(stderr, "%s:%d: CHECK(%s) failed\n", file, line, condition);
    std::abort();
}

} // namespace pyralog
