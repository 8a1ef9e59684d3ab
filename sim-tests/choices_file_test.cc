#include "sim-tests/choices_file.h"

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

namespace pyralog::simtest {
namespace {

std::string round_trip(const ChoicesFile& file) {
    ChoicesFile parsed;
    const std::string problem = parse(to_string(file), parsed);
    if (!problem.empty()) return problem;
    return parsed == file ? "" : "differs:\n" + to_string(parsed);
}

} // namespace

TEST_CASE("a file of choices is written and read again", "[simtest]") {
    ChoicesFile file;
    file.seed = 33;
    CHECK(round_trip(file).empty());
    file.listed = true;
    CHECK(round_trip(file).empty());
    file.bug = "M04";
    file.dice = 17;
    file.oracle = "durable is kept";
    file.edits.without = {FaultClass::pieces, FaultClass::rot};
    file.edits.nodes = 3;
    file.edits.consumers = 0;
    file.edits.topics = file.edits.partitions = file.edits.producers = 2;
    file.edits.length = 1234us;
    file.edits.engine = false;
    file.edits.plain_clients = file.edits.plain_settings = true;
    using Kind = sim::Choice::Kind;
    file.list.streams["link/1->2/time"] = {
        {Kind::pick, 12}, {Kind::missing, 3}, {Kind::calm, 7}, {Kind::struck, 1}, {Kind::pick, 4}};
    file.list.streams["random/node/1/boot/1"] = {{Kind::pick, 0xffffffffffffffffu}};
    CHECK(round_trip(file).empty());
    ChoicesFile parsed;
    CHECK(parse(to_string(file, {{81ms, "nemesis/kills", 2, "kill"}}), parsed).empty());
    CHECK(parsed == file);
}

TEST_CASE("every class of faults can be named in a file", "[simtest]") {
    for (std::size_t i = 0; i < static_cast<std::size_t>(FaultClass::count_); ++i) {
        ChoicesFile file;
        file.edits.without = {static_cast<FaultClass>(i)};
        CHECK(round_trip(file).empty());
    }
}

TEST_CASE("what is wrong with a file of choices is told with its line", "[simtest]") {
    const auto problem = [](std::string_view text) {
        ChoicesFile file;
        return parse(text, file);
    };
    const std::string front = "pyralog-choices 1\n";
    CHECK(problem("") == "no seed");
    CHECK(problem("pyralog-choices 2\nseed 1\n") == "line 1 is not 'pyralog-choices 1'");
    CHECK(problem(front + "# nothing\n") == "no seed");
    CHECK(problem(front + "seed x\n") == "line 2: what is 'seed x'?");
    CHECK(problem(front + "seed 1\nplan without fear\n") ==
          "line 3: nothing in a plan is 'without fear'");
    CHECK(problem(front + "seed 1\nplan nodes 8\n") == "line 3: nothing in a plan is 'nodes 8'");
    CHECK(problem(front + "seed 1\nstream a: 1 z\n") == "line 3: stream a: 'z' is no choice");
    CHECK(problem(front + "seed 1\notherwise seed\nstream a: 1\n") ==
          "streams, and 'otherwise seed'");
    CHECK(problem(front + "seed 1\r\nstream a: 1\r\n").empty());
}

TEST_CASE("no text confuses the reader of choices", "[simtest][model]") {
    const std::string good = "pyralog-choices 1\nseed 1\nplan nodes 3\nstream a: 1 -2 /3 !\n";
    rc::prop("any text", [&] {
        std::string text = good;
        for (int i = *rc::gen::inRange(0, 5); i > 0; --i)
            text[*rc::gen::inRange<std::size_t>(0, text.size())] = *rc::gen::arbitrary<char>();
        ChoicesFile file, again;
        if (parse(text, file).empty()) RC_ASSERT(parse(to_string(file), again).empty());
    });
}

} // namespace pyralog::simtest
