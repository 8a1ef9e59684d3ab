#include "io/sim/image.h"

#include <algorithm>
#include <cstring>

namespace pyralog::sim {

namespace {

constexpr std::uint64_t pages_for(std::uint64_t size) {
    return (size + Image::page_size - 1) / Image::page_size;
}

// Calls `piece(page, offset in the page, offset in the range, count)` for each page of a range.
template <class Piece>
void by_page(std::uint64_t position, std::size_t size, Piece piece) {
    std::size_t at = 0;
    while (at < size) {
        const std::uint64_t page = (position + at) / Image::page_size;
        const auto offset = static_cast<std::size_t>((position + at) % Image::page_size);
        const std::size_t count = std::min(size - at, Image::page_size - offset);
        piece(static_cast<std::size_t>(page), offset, at, count);
        at += count;
    }
}

} // namespace

Image::Image(const Image& other) : size_(other.size_) {
    pages_.reserve(other.pages_.size());
    for (const auto& page : other.pages_)
        pages_.push_back(page ? std::make_unique<Page>(*page) : nullptr);
}

void Image::resize(std::uint64_t size) {
    pages_.resize(static_cast<std::size_t>(pages_for(size)));
    const auto kept = static_cast<std::size_t>(size % page_size);
    if (size < size_ && kept > 0 && pages_.back())
        std::fill(pages_.back()->begin() + kept, pages_.back()->end(), std::byte{0});
    size_ = size;
}

std::size_t Image::read(std::uint64_t position, std::span<std::byte> into) const {
    if (position >= size_) return 0;
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), size_ - position));
    by_page(position, count,
            [&](std::size_t page, std::size_t offset, std::size_t at, std::size_t n) {
                if (pages_[page])
                    std::memcpy(into.data() + at, pages_[page]->data() + offset, n);
                else
                    std::memset(into.data() + at, 0, n);
            });
    return count;
}

void Image::write(std::uint64_t position, std::span<const std::byte> data) {
    if (data.empty()) return;
    if (position + data.size() > size_) resize(position + data.size());
    by_page(position, data.size(),
            [&](std::size_t page, std::size_t offset, std::size_t at, std::size_t n) {
                if (!pages_[page]) pages_[page] = std::make_unique<Page>();
                std::memcpy(pages_[page]->data() + offset, data.data() + at, n);
            });
}

bool Image::holds(std::uint64_t position, std::span<const std::byte> data) const {
    if (position + data.size() > size_) return false;
    bool same = true;
    by_page(position, data.size(),
            [&](std::size_t page, std::size_t offset, std::size_t at, std::size_t n) {
                static constexpr Page zeros{};
                const std::byte* here =
                    (pages_[page] ? pages_[page]->data() : zeros.data()) + offset;
                same = same && std::memcmp(here, data.data() + at, n) == 0;
            });
    return same;
}

Bytes Image::all() const {
    Buffer buffer(static_cast<std::size_t>(size_));
    read(0, buffer.view());
    return std::move(buffer).freeze();
}

} // namespace pyralog::sim
