// io/sim/image.h
//
// The bytes of a file, as far as one side of it knows them: what a reader sees, or what the medium
// holds. Sparse: a page that was never written takes no memory and reads as zeros.
#pragma once

#include "core/base/bytes.h"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace pyralog::sim {

class Image {
public:
    static constexpr std::size_t page_size = 4096;

    Image() = default;
    Image(const Image& other);
    Image(Image&& other) noexcept = default;
    Image& operator=(Image other) noexcept {
        pages_.swap(other.pages_);
        std::swap(size_, other.size_);
        return *this;
    }

    std::uint64_t size() const { return size_; }
    void resize(std::uint64_t size); // Grows with zeros.

    // How many bytes there were to read.
    std::size_t read(std::uint64_t position, std::span<std::byte> into) const;
    void write(std::uint64_t position, std::span<const std::byte> data); // Grows as needed.
    bool holds(std::uint64_t position, std::span<const std::byte> data) const;
    Bytes all() const;

private:
    using Page = std::array<std::byte, page_size>;

    // Bytes of the last page behind the end are zero, and pages behind it are not there.
    std::vector<std::unique_ptr<Page>> pages_;
    std::uint64_t size_ = 0;
};

} // namespace pyralog::sim
