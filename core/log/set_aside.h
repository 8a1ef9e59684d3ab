// core/log/set_aside.h
//
// Where a node puts what it cannot trust any more: `set-aside/1`, `set-aside/2` and so on, each
// with directories that were moved there as they were, for people to look into. The oldest are
// removed when there are more than a few.
#pragma once

#include "core/env/environment.h"

#include <string>
#include <string_view>

namespace pyralog {

class SetAside {
public:
    static constexpr std::string_view directory = "set-aside";
    static constexpr std::size_t kept_max = 3;

    explicit SetAside(Environment& env) : env_(env) {}

    // Moves this directory, durably; its name there has '-' for '/'. Nothing if it does not exist.
    // Waits. To be repeated if it fails.
    Result<> take(const std::string& path);

    // Where the first of them has gone; empty if nothing was.
    const std::string& where() const { return where_; }

private:
    Result<> make();
    Result<> remove_oldest();
    Result<> remove_all(const std::string& path, int depth);

    Environment& env_;
    std::string where_;
};

} // namespace pyralog
