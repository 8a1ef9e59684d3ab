// fuzz/frames.h
//
// Frames of a log out of a fuzzer's bytes, whole files of them, and what is done to such files.
#pragma once

#include "core/wire/frame.h"
#include "fuzz/input.h"

#include <vector>

namespace pyralog::fuzz {

using Image = std::vector<std::byte>;
inline constexpr std::size_t image_max = 256 * 1024;

// One that could be written where `at` is: an entry, or with `any_kind` also what only journals
// hold. Its term is at least `term`.
wire::Frame some_frame(Input& input, GroupId group, Position at, Term term, bool any_kind);

// As it stands in a file, with its padding.
void append_frame(Image& image, const wire::Frame& frame);

bool same(const wire::Frame& a, const wire::Frame& b);

inline Bytes bytes_of(const Image& image) {
    return Bytes::copy_of(std::span<const std::byte>(image));
}

} // namespace pyralog::fuzz
