// core/env/channel.h
//
// A bounded queue between fibers. A full one makes who pushes wait: that is how being slow travels
// back to where the work comes from.
#pragma once

#include "core/env/fiber.h"

#include <deque>

namespace pyralog {

template <class T>
class Channel {
public:
    Channel(Scheduler& fibers, std::size_t capacity) : changed_(fibers), capacity_(capacity) {
        CHECK(capacity > 0);
    }

    // Error::disconnected once it is closed.
    Result<> push(T item) {
        TRY(changed_.wait([this] { return closed_ || items_.size() < capacity_; }));
        if (closed_) return Error::disconnected;
        items_.push_back(std::move(item));
        changed_.notify_all();
        return {};
    }

    // Error::disconnected once it is closed and empty.
    Result<T> pop() {
        TRY(changed_.wait([this] { return closed_ || !items_.empty(); }));
        if (items_.empty()) return Error::disconnected;
        T item = std::move(items_.front());
        items_.pop_front();
        changed_.notify_all();
        return item;
    }

    // Nothing more goes in; what is in can still be taken out.
    void close() {
        closed_ = true;
        changed_.notify_all();
    }

    std::size_t size() const { return items_.size(); }

private:
    Condition changed_;
    std::deque<T> items_;
    std::size_t capacity_;
    bool closed_ = false;
};

} // namespace pyralog
