#include "io/real/clock.h"

#include "core/base/check.h"

#include <ctime>

namespace pyralog::real {

namespace {

Duration read(clockid_t clock) {
    timespec time{};
    CHECK(clock_gettime(clock, &time) == 0);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

} // namespace

Clock::Clock() : boot_(read(CLOCK_MONOTONIC)) {}

Time Clock::now() const { return Time(read(CLOCK_MONOTONIC) - boot_); }

WallTime Clock::wall() const {
    return {std::chrono::duration_cast<std::chrono::milliseconds>(read(CLOCK_REALTIME)).count()};
}

Duration Clock::since_machine_boot(Time time) const { return boot_ + time.time_since_epoch(); }

} // namespace pyralog::real
