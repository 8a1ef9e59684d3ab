// core/base/result.h
//
// A value, or the reason why there is none.
#pragma once

#include "core/base/check.h"

#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace pyralog {

// One closed set of errors. One is added only when some caller will act on it as on no other. What
// else there is to say is logged where it happened, by the code that knows.
enum class Error : std::uint8_t {
    cancelled,     // The Scope that this fiber runs in was cancelled.
    timed_out,     // The Deadline around it passed.
    disconnected,  // The stream ended, or the peer reset it.
    not_found,
    already_exists,
    out_of_space,
    device_failed, // Nobody knows what the disk holds. The node must end: see core/log/journal.h.
    corrupt,       // The bytes are there, and they are not the ones we wrote.
    malformed,     // Somebody sent bytes that no encoder of ours would produce.
    not_leader,
    unavailable,   // It may or may not happen, or may work later, or elsewhere.
};

constexpr std::string_view to_string(Error error) {
    switch (error) {
    case Error::cancelled: return "cancelled";
    case Error::timed_out: return "timed out";
    case Error::disconnected: return "disconnected";
    case Error::not_found: return "not found";
    case Error::already_exists: return "already exists";
    case Error::out_of_space: return "out of space";
    case Error::device_failed: return "device failed";
    case Error::corrupt: return "corrupt";
    case Error::malformed: return "malformed";
    case Error::not_leader: return "not the leader";
    case Error::unavailable: return "unavailable";
    }
    check_failed("a known Error", __FILE__, __LINE__);
}

// To drop an error takes `(void)` and a comment that says why it does not matter.
template <class T = std::monostate>
class [[nodiscard]] Result {
public:
    Result()
        requires std::is_same_v<T, std::monostate>
    = default;
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, error) {}

    bool ok() const { return state_.index() == 0; }
    Error error() const {
        CHECK(!ok());
        return *std::get_if<1>(&state_);
    }
    const T& value() const& {
        CHECK(ok());
        return *std::get_if<0>(&state_);
    }
    T& value() & {
        CHECK(ok());
        return *std::get_if<0>(&state_);
    }
    T value() && {
        CHECK(ok());
        return std::move(*std::get_if<0>(&state_));
    }

private:
    std::variant<T, Error> state_;
};

// The value of `expression`, or an early return with its error.
#define TRY(expression)                                                                            \
    ({                                                                                             \
        auto result_ = (expression);                                                               \
        if (!result_.ok()) [[unlikely]]                                                            \
            return result_.error();                                                                \
        std::move(result_).value();                                                                \
    })

} // namespace pyralog
