// server/cli/progress.h
//
// How far long work is: a bar on the standard error, if that is a terminal and nothing else is
// written to it meanwhile. Whoever works says where he is as often as he likes.
#pragma once

#include "core/base/time.h"

#include <cstdint>
#include <optional>
#include <string>

namespace pyralog::cli {

// "[#####.....] 50 % · numbers · 12s left", no wider than `columns`. `total` 0: nobody knows.
std::string progress_bar(const std::string& what, std::uint64_t done, std::uint64_t total,
                         Duration taken, std::size_t columns);

class Progress {
public:
    static constexpr Duration pause = 100ms; // Between two looks of the bar.

    // `shown`: is there anybody to look at it?
    Progress(std::string what, std::uint64_t total, bool shown)
        : what_(std::move(what)), total_(total), shown_(shown) {}
    ~Progress(); // The bar goes; what is printed next stands in its place.
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void at(std::uint64_t done, Time now);

    // The standard error is a terminal; and the standard output, if `alone`, is none.
    static bool wanted(bool alone);

private:
    const std::string what_;
    const std::uint64_t total_;
    const bool shown_;
    std::optional<Time> begun_;
    std::optional<Time> drawn_;
};

} // namespace pyralog::cli
