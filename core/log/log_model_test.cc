// Any sequence of appends, cuts, votes, commits and syncs, in lives that end at any step of the
// world, by a power cut or by the end of a process, against plain vectors. What a node finds when
// it comes back is what some prefix of the operations had made, and at least those before the last
// sync that returned.
#include "core/log/test_history.h"

#include <rapidcheck/catch.h>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::log_test;

namespace {

Operation some_operation(Random& random) {
    static constexpr Operation::Kind kinds[] = {
        Operation::Kind::append, Operation::Kind::append, Operation::Kind::append,
        Operation::Kind::append, Operation::Kind::append, Operation::Kind::append,
        Operation::Kind::append, Operation::Kind::cut,    Operation::Kind::vote,
        Operation::Kind::commit, Operation::Kind::commit, Operation::Kind::sync,
        Operation::Kind::sync,   Operation::Kind::flush,  Operation::Kind::wait,
        Operation::Kind::trim};
    Operation operation;
    operation.kind = kinds[random.below(std::size(kinds))];
    operation.group = static_cast<int>(random.below(group_count));
    operation.amount = random.between(0, 2000);
    // Rare, since nothing is left then.
    if (operation.kind == Operation::Kind::trim && random.chance(1, 8))
        operation.kind = Operation::Kind::reset;
    return operation;
}

LifePlan some_life(Random& random) {
    LifePlan plan;
    const std::uint64_t count = random.below(random.chance(1, 3) ? 1500 : 100);
    for (std::uint64_t i = 0; i < count; ++i) plan.operations.push_back(some_operation(random));
    plan.steps = random.below(random.chance(1, 3) ? 20000 : 1500);
    plan.power_cut = random.chance(3, 4);
    return plan;
}

// Half of all hits are where the structure is.
Harm some_harm(Random& random) {
    Harm harm;
    harm.file = random.below(256);
    harm.position = random.below(random.chance(1, 2) ? 8192 : 1u << 20);
    if (!random.chance(1, 8)) harm.mask = static_cast<std::byte>(1u << random.below(8));
    return harm;
}

} // namespace

TEST_CASE("a node that comes back has what was synced, and nothing that was not appended",
          "[log][model]") {
    rc::prop("any lives", [] {
        const auto seed = *rc::gen::resize(1000, rc::gen::inRange<std::uint64_t>(1, 1u << 30));
        const int lives = *rc::gen::inRange(1, 6);
        Random random(seed);
        History history(seed);
        for (int i = 0; i < lives; ++i) {
            const std::string trouble = history.live(some_life(random));
            if (!trouble.empty())
                RC_FAIL("seed " + std::to_string(seed) + ", life " + std::to_string(i) + ": " +
                        trouble);
        }
    });
}

TEST_CASE("a node whose disk was harmed finds what was written, or refuses", "[log][model]") {
    int refusals = 0;
    rc::prop("any lives, any harm", [&] {
        const auto seed = *rc::gen::resize(1000, rc::gen::inRange<std::uint64_t>(1, 1u << 30));
        Random random(seed);
        History history(seed);
        for (int i = 0; i < 5 && !history.refused(); ++i) {
            LifePlan plan = some_life(random);
            if (random.chance(1, 2)) plan.harms.push_back(some_harm(random));
            const std::string trouble = history.live(plan);
            if (!trouble.empty())
                RC_FAIL("seed " + std::to_string(seed) + ", life " + std::to_string(i) + ": " +
                        trouble);
        }
        refusals += history.refused() ? 1 : 0;
    });
    CHECK(refusals > 0);
}
