// io/sim/image.h
//
// The bytes of a file, as far as one side of it knows them: what a reader sees, or what the medium
// holds. A page of zeros takes no memory, and a page that two images have in common takes it once:
// most of what a reader sees is on the medium too, and journals are files of zeros at first.
#pragma once

#include "core/base/bytes.h"

#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace pyralog::sim {

class Image {
public:
    static constexpr std::size_t page_size = 4096;

    std::uint64_t size() const { return size_; }
    void resize(std::uint64_t size); // Grows with zeros.

    // How many bytes there were to read.
    std::size_t read(std::uint64_t position, std::span<std::byte> into) const;
    void write(std::uint64_t position, std::span<const std::byte> data); // Grows as needed.
    // The same, and pages that are then equal to those of `other` are shared with it.
    void write(std::uint64_t position, std::span<const std::byte> data, const Image& other);
    bool holds(std::uint64_t position, std::span<const std::byte> data) const;
    Bytes all() const;

    // Pages that take memory, shared or not; and how many of them are shared with that one.
    std::size_t page_count() const;
    std::size_t shares(const Image& other) const;

private:
    // Counted without atomics: an image never leaves its world's thread.
    struct Page {
        std::uint32_t references = 1;
        std::array<std::byte, page_size> bytes;
    };
    // One of those who have a page; nobody has a page of zeros.
    class PageRef {
    public:
        PageRef() = default;
        PageRef(const PageRef& other) : page_(other.page_) {
            if (page_) ++page_->references;
        }
        PageRef(PageRef&& other) noexcept : page_(std::exchange(other.page_, nullptr)) {}
        PageRef& operator=(PageRef other) noexcept {
            std::swap(page_, other.page_);
            return *this;
        }
        ~PageRef() {
            if (page_ && --page_->references == 0) delete page_;
        }

        explicit operator bool() const { return page_ != nullptr; }
        const std::byte* data() const; // Zeros if there is none.
        // Is this the other page, after `data` is written to it?
        bool is(const PageRef& page, std::size_t offset, std::span<const std::byte> data) const;
        bool is_same(const PageRef& other) const { return page_ && page_ == other.page_; }
        // Memory of this one alone, with the same content, or with any if all of it is replaced.
        std::byte* writable(bool is_replaced);

    private:
        Page* page_ = nullptr;
    };

    static void put(PageRef& page, std::size_t offset, std::span<const std::byte> data);

    // Bytes of the last page behind the end are zero, and pages behind it are not there.
    std::vector<PageRef> pages_;
    std::uint64_t size_ = 0;
};

} // namespace pyralog::sim
