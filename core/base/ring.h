// core/base/ring.h
//
// A queue with both ends, in one run of memory that grows and shrinks with it. Empty it has none:
// a std::deque takes half a KiB to begin with, and a node may have very many queues with nothing in
// them. Adding and removing moves elements, so no reference to one outlives that.
#pragma once

#include "core/base/check.h"

#include <bit>
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

namespace pyralog {

template <class T>
class Ring {
public:
    bool empty() const { return size_ == 0; }
    std::size_t size() const { return size_; }

    T& operator[](std::size_t place) { return slots_[slot(place)]; }
    const T& operator[](std::size_t place) const { return slots_[slot(place)]; }
    T& front() { return (*this)[0]; }
    const T& front() const { return (*this)[0]; }
    T& back() { return (*this)[size_ - 1]; }
    const T& back() const { return (*this)[size_ - 1]; }

    void push_back(T value) {
        if (size_ == slots_.size()) resize(size_ + 1);
        slots_[(first_ + size_) & (slots_.size() - 1)] = std::move(value);
        ++size_;
    }
    void pop_front() {
        slots_[slot(0)] = T();
        first_ = (first_ + 1) & (slots_.size() - 1);
        removed();
    }
    void pop_back() {
        slots_[slot(size_ - 1)] = T();
        removed();
    }

    class Iterator {
    public:
        using iterator_category = std::random_access_iterator_tag;
        using value_type = T;
        using difference_type = std::ptrdiff_t;
        using pointer = const T*;
        using reference = const T&;

        Iterator() = default;
        Iterator(const Ring& ring, std::ptrdiff_t place) : ring_(&ring), place_(place) {}
        const T& operator*() const { return (*ring_)[static_cast<std::size_t>(place_)]; }
        const T* operator->() const { return &**this; }
        const T& operator[](std::ptrdiff_t by) const { return *(*this + by); }
        Iterator& operator+=(std::ptrdiff_t by) {
            place_ += by;
            return *this;
        }
        Iterator& operator-=(std::ptrdiff_t by) { return *this += -by; }
        Iterator& operator++() { return *this += 1; }
        Iterator& operator--() { return *this += -1; }
        Iterator operator++(int) { return std::exchange(*this, *this + 1); }
        Iterator operator--(int) { return std::exchange(*this, *this - 1); }
        friend Iterator operator+(Iterator at, std::ptrdiff_t by) { return at += by; }
        friend Iterator operator+(std::ptrdiff_t by, Iterator at) { return at += by; }
        friend Iterator operator-(Iterator at, std::ptrdiff_t by) { return at -= by; }
        friend std::ptrdiff_t operator-(const Iterator& a, const Iterator& b) {
            return a.place_ - b.place_;
        }
        bool operator==(const Iterator& other) const { return place_ == other.place_; }
        auto operator<=>(const Iterator& other) const { return place_ <=> other.place_; }

    private:
        const Ring* ring_ = nullptr;
        std::ptrdiff_t place_ = 0;
    };
    Iterator begin() const { return {*this, 0}; }
    Iterator end() const { return {*this, static_cast<std::ptrdiff_t>(size_)}; }

private:
    std::size_t slot(std::size_t place) const {
        CHECK(place < size_);
        return (first_ + place) & (slots_.size() - 1);
    }
    void removed() {
        --size_;
        if (size_ == 0 || size_ <= slots_.size() / 8) resize(size_);
    }
    // To the power of two that holds so many.
    void resize(std::size_t count) {
        std::vector<T> larger(count == 0 ? 0 : std::bit_ceil(count));
        for (std::size_t i = 0; i < size_; ++i) larger[i] = std::move((*this)[i]);
        slots_ = std::move(larger);
        first_ = 0;
    }

    std::vector<T> slots_; // A power of two, or none.
    std::size_t first_ = 0;
    std::size_t size_ = 0;
};

} // namespace pyralog
