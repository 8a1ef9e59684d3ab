#include "io/sim/choices.h"

#include "io/sim/toys.h"

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

using namespace pyralog;
using sim::Choice, sim::ChoiceList, sim::ChoiceOptions, sim::Choices, sim::Dice;
using Kind = sim::Choice::Kind;

namespace {

// What a run of the toys drew.
struct Recorded {
    sim::toys::Ran ran;
    ChoiceList list;
    std::vector<sim::FaultEvent> faults;
};

Recorded record(std::uint64_t seed, const ChoiceList* list = nullptr) {
    Recorded recorded;
    ChoiceOptions options;
    options.list = list;
    options.recorded = true;
    recorded.ran =
        sim::toys::run_toys(seed, sim::toys::rough(), {}, nullptr, options, [&](sim::World& world) {
            recorded.list = world.choices().recorded();
            recorded.faults = world.choices().faults();
        });
    return recorded;
}

sim::toys::Ran replay(std::uint64_t seed, const ChoiceList& list) {
    ChoiceOptions options;
    options.list = &list;
    return sim::toys::run_toys(seed, sim::toys::rough(), {}, nullptr, options);
}

ChoiceList from_text(const ChoiceList& list) {
    ChoiceList parsed;
    for (const auto& [name, choices] : list.streams) {
        const std::string line = to_string(name, choices);
        INFO(line);
        CHECK(parse_stream(line, parsed).empty());
    }
    return parsed;
}

constexpr Duration nothing{0};

} // namespace

TEST_CASE("a run is replayed from its seed, and from its record by way of text", "[sim]") {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const auto plain = sim::toys::run_toys(seed, sim::toys::rough());
        const Recorded recorded = record(seed);
        CHECK(recorded.ran == plain);
        const ChoiceList parsed = from_text(recorded.list);
        CHECK(parsed == recorded.list);
        CHECK(replay(seed, parsed) == plain);
        const Recorded again = record(seed, &parsed);
        CHECK(again.list == recorded.list);
        CHECK(again.faults.size() == recorded.faults.size());
        CHECK(recorded.faults.size() == recorded.list.struck());
    }
}

TEST_CASE("a record is replayed under another seed: it holds all that was drawn", "[sim]") {
    const Recorded recorded = record(3);
    ChoiceOptions options;
    options.list = &recorded.list;
    options.seed = 777;
    CHECK(sim::toys::run_toys(3, sim::toys::rough(), {}, nullptr, options) == recorded.ran);
    options.list = nullptr;
    CHECK_FALSE(sim::toys::run_toys(3, sim::toys::rough(), {}, nullptr, options) == recorded.ran);
}

TEST_CASE("an edited list is played as far as it goes, whatever was cut out of it", "[sim]") {
    const Recorded recorded = record(5);
    Choices choices(99);
    Dice dice(choices, "edits");
    for (int round = 0; round < 40; ++round) {
        ChoiceList edited = recorded.list;
        for (auto& [name, stream] : edited.streams) {
            if (dice.pick(8) == 0) stream.resize(dice.pick(stream.size() + 1));
            for (Choice& choice : stream) {
                const std::uint64_t what = dice.pick(50);
                if (what == 0) choice = {Kind::missing, 1};
                if (what == 1) choice = {Kind::calm, 1};
                if (what == 2) choice = {Kind::pick, dice.pick(std::uint64_t{1} << 40)};
            }
        }
        if (dice.pick(4) == 0) edited.streams.erase(edited.streams.begin());
        CHECK(replay(5, edited) == replay(5, from_text(edited)));
    }
}

TEST_CASE("what is not in a list is harmless", "[sim]") {
    const ChoiceList empty;
    const Recorded recorded = record(5, &empty);
    CHECK(recorded.faults.empty());
    CHECK(recorded.list.struck() == 0);
    for (const auto& [name, stream] : recorded.list.streams)
        if (!name.starts_with("random/"))
            for (const Choice& choice : stream) CHECK(choice.kind != Kind::pick);
}

TEST_CASE("a fault that was taken out takes its picks with it, and no other", "[sim]") {
    const auto play = [](const ChoiceList* list, bool drawn) {
        ChoiceOptions options;
        options.list = list;
        options.recorded = true;
        Choices choices(drawn ? 1 : 2, options, nothing);
        Dice dice(choices, "disk");
        std::vector<std::uint64_t> seen;
        for (int call = 0; call < 30; ++call) {
            const bool struck = dice.chance({300'000});
            seen.push_back(struck ? 1 + dice.pick(1000) : 0);
        }
        return std::pair(seen, choices.recorded());
    };
    const auto [seen, list] = play(nullptr, true);
    auto stream = list.streams.at("disk");
    const auto struck = std::ranges::find(stream, Choice{Kind::struck, 0}.kind, &Choice::kind);
    REQUIRE(struck != stream.end());
    *struck = {Kind::calm, 1};
    ChoiceList edited;
    edited.streams.emplace("disk", stream);
    const auto [after, again] = play(&edited, false);
    bool gone = false;
    for (std::size_t i = 0; i < seen.size(); ++i) {
        if (!gone && seen[i] != 0) {
            CHECK(after[i] == 0);
            gone = true;
        } else {
            CHECK(after[i] == seen[i]);
        }
    }
    CHECK(gone);
}

TEST_CASE("one draw more on a stream leaves the others as they were", "[sim]") {
    Choices one(7), two(7);
    Dice more(two, "more");
    for (int i = 0; i < 100; ++i) {
        CHECK(Dice(one, "a").pick(1000) == Dice(two, "a").pick(1000));
        (void)more.pick(5);
        CHECK(one.random("node").fork("x").next() == two.random("node").fork("x").next());
    }
}

TEST_CASE("chances strike as often as they should, and picks are even", "[sim]") {
    Choices choices(11);
    Dice dice(choices, "dice");
    int struck = 0;
    std::array<int, 7> picked{};
    for (int i = 0; i < 70'000; ++i) {
        struck += dice.chance({10'000}) ? 1 : 0;
        CHECK_FALSE(dice.chance(sim::never));
        CHECK(dice.strike("strike"));
        ++picked[dice.pick(7)];
        const std::int64_t way = dice.either_way(3);
        CHECK((way >= -3 && way <= 3));
    }
    CHECK((struck > 600 && struck < 800));
    for (const int count : picked) CHECK((count > 9'600 && count < 10'400));
}

TEST_CASE("a strike is sure from the seed, and can be taken out of a list", "[sim]") {
    const ChoiceList empty;
    ChoiceOptions options;
    options.list = &empty;
    Choices choices(1, options, nothing);
    CHECK_FALSE(Dice(choices, "nemesis").strike("power cut"));
    CHECK_FALSE(Dice(choices, "nemesis").chance(sim::always));
    CHECK(Dice(choices, "nemesis").either_way(1000) == 0);
}

TEST_CASE("reseeding changes what is drawn from then on, for nodes too", "[sim]") {
    ChoiceOptions options;
    options.reseedable = true;
    const auto draw = [&](std::optional<std::uint64_t> seed) {
        Choices choices(1, options, nothing);
        Dice dice(choices, "dice");
        Random node = choices.random("node");
        std::vector<std::uint64_t> drawn{dice.pick(1'000'000), node.below(1'000'000)};
        if (seed) choices.reseed(*seed);
        drawn.push_back(dice.pick(1'000'000));
        drawn.push_back(node.below(1'000'000));
        return drawn;
    };
    const auto plain = draw({}), first = draw(10), second = draw(11);
    CHECK(plain[0] == first[0]);
    CHECK(plain[1] == first[1]);
    for (const std::size_t i : {2, 3}) {
        CHECK(plain[i] != first[i]);
        CHECK(first[i] != second[i]);
    }
    CHECK(draw(10) == first);
}

TEST_CASE("any stream can be written and read again", "[sim][model]") {
    rc::prop("text and back", [] {
        sim::StreamChoices stream;
        for (int i = *rc::gen::inRange(0, 30); i > 0; --i) {
            Choice choice{static_cast<Kind>(*rc::gen::inRange(0, 4)),
                          *rc::gen::arbitrary<std::uint64_t>()};
            if (choice.kind == Kind::struck) choice.value = 1;
            if (choice.kind == Kind::missing || choice.kind == Kind::calm) {
                choice.value = 1 + choice.value % 100;
                if (!stream.empty() && stream.back().kind == choice.kind) continue;
            }
            stream.push_back(choice);
        }
        ChoiceList list;
        RC_ASSERT(parse_stream(to_string("link/1->2/time", stream), list).empty());
        RC_ASSERT(list.streams.at("link/1->2/time") == stream);
    });
}

TEST_CASE("lines that are no streams are refused", "[sim]") {
    ChoiceList list;
    for (const char* line :
         {"", "stream", "stream a", "stream : 1", "stream a: x", "stream a: 1 -0", "stream a: /x",
          "stream a: !2", "stream a: 99999999999999999999", "streams a: 1"})
        CHECK_FALSE(parse_stream(line, list).empty());
    CHECK(list.streams.empty());
    CHECK(parse_stream("stream a b: 1 -  /2 !", list).empty());
    CHECK(list.streams.at("a b").size() == 4);
    CHECK_FALSE(parse_stream("stream a b: 1", list).empty());
}
