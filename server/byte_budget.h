// server/byte_budget.h
//
// How much memory all clients together may make a node hold: of requests that have come and are not
// answered yet, or of answers that are not sent yet. Who finds no room waits, in the order in which
// it asked, and its client feels that through TCP.
//
// Shares grow while they are held: memory follows what has come, never what is claimed to come. So
// shares that are held may all wait for more. That is no deadlock, because one share at a time is
// favoured: the first that finds no room, until it is given back. It takes beyond the limit what it
// needs; so the limit may be exceeded by as much as one share can come to.
#pragma once

#include "core/env/fiber.h"

#include <cstddef>
#include <cstdint>
#include <deque>

namespace pyralog::server {

class ByteBudget {
public:
    ByteBudget(Scheduler& fibers, std::size_t bytes_max) : changed_(fibers), max_(bytes_max) {}
    ~ByteBudget();

    // Given back by its destructor. One fiber at a time grows it.
    class Share {
    public:
        explicit Share(ByteBudget& budget) : budget_(&budget), id_(++budget.last_id_) {}
        Share(Share&& other) noexcept;
        Share& operator=(Share&&) = delete;
        ~Share() { shrink(0); }

        // Waits for room. An error leaves it as it was.
        Result<> grow(std::size_t bytes);
        void shrink(std::size_t to);
        std::size_t bytes() const { return bytes_; }

    private:
        ByteBudget* budget_;
        std::uint64_t id_;
        std::size_t bytes_ = 0;
    };

    std::size_t taken() const { return taken_; }
    std::size_t room() const { return taken_ < max_ ? max_ - taken_ : 0; }

private:
    bool may_take(std::uint64_t share, std::size_t bytes) const;

    Condition changed_;
    const std::size_t max_;
    std::size_t taken_ = 0;
    std::deque<std::uint64_t> waiting_; // Shares; as many as there are clients, at most.
    std::uint64_t favoured_ = 0;
    std::uint64_t last_id_ = 0;
};

} // namespace pyralog::server
