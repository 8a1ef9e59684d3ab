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

bool is_zero(std::span<const std::byte> data) {
    if (data.empty()) return true;
    return data.front() == std::byte{0} &&
           std::memcmp(data.data(), data.data() + 1, data.size() - 1) == 0;
}

} // namespace

const std::byte* Image::PageRef::data() const {
    static constexpr std::array<std::byte, page_size> zeros{};
    return page_ ? page_->bytes.data() : zeros.data();
}

std::byte* Image::PageRef::writable(bool is_replaced) {
    if (page_ && page_->references == 1) return page_->bytes.data();
    auto* own = new Page; // Not initialised.
    if (!is_replaced) std::memcpy(own->bytes.data(), data(), page_size);
    if (page_) --page_->references;
    page_ = own;
    return page_->bytes.data();
}

// Not of a page of zeros: there is nothing to share.
bool Image::PageRef::is(const PageRef& page, std::size_t offset,
                        std::span<const std::byte> data) const {
    if (!page_ || std::memcmp(page_->bytes.data() + offset, data.data(), data.size()) != 0)
        return false;
    if (page_ == page.page_) return true;
    const std::size_t end = offset + data.size();
    return std::memcmp(page_->bytes.data(), page.data(), offset) == 0 &&
           std::memcmp(page_->bytes.data() + end, page.data() + end, page_size - end) == 0;
}

void Image::resize(std::uint64_t size) {
    pages_.resize(static_cast<std::size_t>(pages_for(size)));
    const auto kept = static_cast<std::size_t>(size % page_size);
    if (size < size_ && kept > 0 && pages_.back())
        std::memset(pages_.back().writable(false) + kept, 0, page_size - kept);
    size_ = size;
}

std::size_t Image::read(std::uint64_t position, std::span<std::byte> into) const {
    if (position >= size_) return 0;
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), size_ - position));
    by_page(position, count,
            [&](std::size_t page, std::size_t offset, std::size_t at, std::size_t n) {
                std::memcpy(into.data() + at, pages_[page].data() + offset, n);
            });
    return count;
}

void Image::put(PageRef& page, std::size_t offset, std::span<const std::byte> data) {
    const bool is_replaced = data.size() == page_size;
    if ((!page || is_replaced) && is_zero(data))
        page = {};
    else
        std::memcpy(page.writable(is_replaced) + offset, data.data(), data.size());
}

void Image::write(std::uint64_t position, std::span<const std::byte> data) {
    if (data.empty()) return;
    if (position + data.size() > size_) resize(position + data.size());
    by_page(position, data.size(),
            [&](std::size_t page, std::size_t offset, std::size_t at, std::size_t n) {
                put(pages_[page], offset, data.subspan(at, n));
            });
}

void Image::write(std::uint64_t position, std::span<const std::byte> data, const Image& other) {
    if (data.empty()) return;
    if (position + data.size() > size_) resize(position + data.size());
    by_page(position, data.size(),
            [&](std::size_t page, std::size_t offset, std::size_t at, std::size_t n) {
                PageRef& here = pages_[page];
                const std::span<const std::byte> part = data.subspan(at, n);
                if (page < other.pages_.size() && other.pages_[page].is(here, offset, part))
                    here = other.pages_[page];
                else
                    put(here, offset, part);
            });
}

bool Image::holds(std::uint64_t position, std::span<const std::byte> data) const {
    if (position + data.size() > size_) return false;
    bool same = true;
    by_page(position, data.size(),
            [&](std::size_t page, std::size_t offset, std::size_t at, std::size_t n) {
                same = same && std::memcmp(pages_[page].data() + offset, data.data() + at, n) == 0;
            });
    return same;
}

std::size_t Image::page_count() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(pages_, [](const PageRef& page) { return bool(page); }));
}

std::size_t Image::shares(const Image& other) const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < std::min(pages_.size(), other.pages_.size()); ++i)
        count += pages_[i].is_same(other.pages_[i]) ? 1 : 0;
    return count;
}

Bytes Image::all() const {
    Buffer buffer(static_cast<std::size_t>(size_));
    read(0, buffer.view());
    return std::move(buffer).freeze();
}

} // namespace pyralog::sim
