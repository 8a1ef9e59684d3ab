#include "sim-tests/check_groups.h"

#include "core/base/random.h"

#include <map>
#include <vector>

#include <rapidcheck/catch.h>

#include <catch2/catch.hpp>

namespace pyralog::simtest {
namespace {

// A small language for histories of one group and one partition. Time goes on by one with each
// thing that happens.
class GroupStory {
public:
    GroupStory() { partition_ = history.partition({"t", 0}); }

    std::size_t send(std::int32_t generation = -1) {
        GroupCommit commit;
        commit.partition = partition_;
        commit.generation = generation;
        commit.number = history.groups().next_number();
        commit.invoked = tick();
        return history.groups().invoke(commit);
    }
    void end(std::size_t commit, Outcome outcome) {
        history.groups().completed(commit, tick(), outcome);
    }
    // The number of what was acknowledged.
    std::int64_t store(std::int32_t generation = -1) {
        const std::size_t commit = send(generation);
        end(commit, Outcome::stored);
        return number(commit);
    }
    std::int64_t number(std::size_t commit) { return history.groups().commits()[commit].number; }
    void read(std::int64_t number) {
        const Duration invoked = tick();
        history.groups().read({0, partition_, number, invoked, tick()});
    }
    void join(std::int32_t generation, const std::string& member = "a", bool assigns = false) {
        const Duration invoked = tick();
        history.groups().joined({0, generation, member, assigns, invoked, tick()});
    }
    void share(std::int32_t generation, const std::string& owner) {
        history.groups().shared({0, generation, owner, {partition_}});
    }
    Duration tick() { return ++now_; }

    std::string verdict() {
        const auto finding = check_groups(history);
        return finding ? std::string(finding->oracle) : "good";
    }

    History history;

private:
    std::int32_t partition_ = 0;
    Duration now_{0};
};

} // namespace

TEST_CASE("offsets that are read as they were committed are good", "[simtest][groups]") {
    GroupStory story;
    story.read(0);
    const auto one = story.store();
    story.read(one);
    const auto two = story.store();
    story.read(two);
    story.read(two);
    CHECK(story.verdict() == "good");
}

TEST_CASE("an acknowledged offset that is not told is lost", "[simtest][groups]") {
    GroupStory story;
    SECTION("where there is nothing") {
        story.store();
        story.read(0);
    }
    SECTION("where there is an older one") {
        const auto one = story.store();
        story.store();
        story.read(one);
    }
    SECTION("where a newer one was told before") {
        const auto one = story.store();
        const std::size_t two = story.send();
        story.read(story.number(two));
        story.read(one);
    }
    SECTION("where one came back that nobody knew of") {
        const std::size_t open = story.send();
        story.read(story.number(open));
        const auto two = story.store();
        story.read(two);
        story.read(story.number(open));
    }
    CHECK(story.verdict() == oracle::offset_went_back);
}

TEST_CASE("a commit that nobody heard of may come at any time, or never", "[simtest][groups]") {
    GroupStory story;
    const std::size_t open = story.send();
    const auto two = story.store();
    story.read(two);
    SECTION("late") { story.read(story.number(open)); }
    SECTION("never") { story.read(two); }
    CHECK(story.verdict() == "good");
}

TEST_CASE("commits that were under way at once may be told in either order", "[simtest][groups]") {
    GroupStory story;
    const std::size_t one = story.send();
    const std::size_t two = story.send();
    story.end(one, Outcome::stored);
    story.end(two, Outcome::stored);
    SECTION("the first last") { story.read(story.number(one)); }
    SECTION("the second last") { story.read(story.number(two)); }
    CHECK(story.verdict() == "good");
}

TEST_CASE("an offset that nobody committed, or that was refused, is invented",
          "[simtest][groups]") {
    GroupStory story;
    SECTION("of nobody") { story.read(7); }
    SECTION("not understood") { story.read(-1); }
    SECTION("refused") {
        const std::size_t one = story.send();
        story.end(one, Outcome::refused);
        story.read(story.number(one));
    }
    SECTION("not sent yet") {
        story.read(1);
        story.store();
    }
    CHECK(story.verdict() == oracle::offset_invented);
}

TEST_CASE("a commit of a generation that is over is a zombie's", "[simtest][groups]") {
    GroupStory story;
    story.join(1);
    const std::size_t open = story.send(1);
    story.join(2, "b");
    SECTION("unless it was sent before") {
        story.end(open, Outcome::stored);
        CHECK(story.verdict() == "good");
    }
    SECTION("and refused") {
        story.end(story.send(1), Outcome::refused);
        CHECK(story.verdict() == "good");
    }
    SECTION("and taken") {
        story.store(1);
        CHECK(story.verdict() == oracle::zombie_accepted);
    }
}

TEST_CASE("generations only rise", "[simtest][groups]") {
    GroupStory story;
    story.join(1);
    story.join(2);
    story.join(2, "b");
    CHECK(story.verdict() == "good");
    story.join(1);
    CHECK(story.verdict() == oracle::generation_went_back);
}

TEST_CASE("one member assigns, and a partition is one member's", "[simtest][groups]") {
    GroupStory story;
    story.join(1, "a", true);
    story.join(1, "b");
    story.join(1, "a", true);
    story.share(1, "a");
    story.share(2, "b");
    story.share(1, "a");
    CHECK(story.verdict() == "good");
    SECTION("two assign") {
        story.join(1, "b", true);
        CHECK(story.verdict() == oracle::two_assign);
    }
    SECTION("two have it") {
        story.share(1, "b");
        CHECK(story.verdict() == oracle::shared_twice);
    }
}

TEST_CASE("what a real register tells is good, and what an old copy of it tells is not",
          "[simtest][groups][model]") {
    rc::prop("a register", [](std::uint64_t seed) {
        Random random(seed);
        GroupStory story;
        std::int64_t value = 0;
        std::vector<std::int64_t> before;
        for (int i = 0; i < 40; ++i) {
            if (random.chance(1, 2)) {
                story.read(value);
                continue;
            }
            story.read(value); // Else nobody could say that it was there.
            const std::size_t commit = story.send();
            if (random.chance(1, 4)) story.read(value);
            if (random.chance(5, 6)) {
                before.push_back(value);
                value = story.number(commit);
            }
            if (random.chance(1, 4)) story.read(value);
            // It may be stored, and nobody hears of it.
            if (value == story.number(commit) && random.chance(3, 4))
                story.end(commit, Outcome::stored);
            else if (value != story.number(commit) && random.chance(1, 2))
                story.end(commit, Outcome::refused);
        }
        RC_ASSERT(story.verdict() == "good");
        story.read(value);
        if (before.empty()) return;
        story.read(before[random.below(before.size())]);
        RC_ASSERT(story.verdict() == oracle::offset_went_back);
    });
}

} // namespace pyralog::simtest
