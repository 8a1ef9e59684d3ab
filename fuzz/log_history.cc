// The bytes are a schedule: appends, cuts, votes, commits, trims and syncs in the lives of a node,
// the step at which each life ends, and what is done to its disk before the next.
#include "core/log/test_history.h"
#include "fuzz/input.h"
#include "fuzz/target.h"

#include <cstdio>

namespace pyralog::fuzz {

namespace {

using log_test::Harm;
using log_test::LifePlan;
using log_test::Operation;

constexpr int lives_max = 6;
constexpr std::size_t operations_max = 2000;

// 255 ends the list.
bool some_operation(Input& input, LifePlan& plan) {
    using Kind = Operation::Kind;
    constexpr Kind kinds[] = {Kind::append, Kind::append, Kind::append, Kind::append, Kind::append,
                              Kind::cut,    Kind::vote,   Kind::commit, Kind::sync,   Kind::sync,
                              Kind::flush,  Kind::wait,   Kind::trim,   Kind::reset};
    const std::uint8_t what = input.byte();
    if (what == 255 || plan.operations.size() == operations_max) return false;
    Operation operation;
    operation.kind = kinds[what % std::size(kinds)];
    operation.group = what / std::size(kinds) % log_test::group_count;
    operation.amount = static_cast<std::int64_t>(input.below(2001));
    plan.operations.push_back(operation);
    return true;
}

LifePlan some_life(Input& input) {
    LifePlan plan;
    plan.steps = input.below(4000) * 5;
    const std::uint8_t end = input.byte();
    plan.power_cut = end % 4 != 0;
    // One end in four is with a disk that is harmed, at one to three places.
    for (int i = end / 64 == 3 ? end % 3 : -1; i >= 0; --i) {
        Harm harm;
        harm.file = input.byte();
        // Half of all hits are in the first blocks, where the structure is.
        const std::uint8_t where = input.byte();
        harm.position = where < 128 ? where * 64 + input.byte() % 64 : input.number(3);
        harm.mask = static_cast<std::byte>(input.byte());
        plan.harms.push_back(harm);
    }
    while (!input.done() && some_operation(input, plan)) {
    }
    return plan;
}

} // namespace

bool run_log_history(std::span<const std::byte> bytes) {
    Input input(bytes);
    log_test::History history(input.number(2));
    for (int i = 0; i < lives_max && !input.done() && !history.refused(); ++i) {
        const std::string trouble = history.live(some_life(input));
        if (trouble.empty()) continue;
        std::fprintf(stderr, "life %d: %s\n", i, trouble.c_str());
        CHECK(trouble.empty());
    }
    return !history.refused();
}

} // namespace pyralog::fuzz
