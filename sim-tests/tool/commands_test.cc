#include "sim-tests/tool/commands.h"
#include "sim-tests/tool/run_source.h"
#include "sim-tests/tool/sweep.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <sstream>
#include <vector>

#include <catch2/catch.hpp>

namespace pyralog::simtest {
namespace {

int program(std::initializer_list<const char*> words) {
    std::vector<std::string> line{"pyralog-sim"};
    line.insert(line.end(), words.begin(), words.end());
    std::vector<char*> arguments;
    for (std::string& word : line) arguments.push_back(word.data());
    return run_program(arguments);
}

struct TemporaryFolder {
    TemporaryFolder() { REQUIRE(mkdtemp(path.data()) != nullptr); }
    ~TemporaryFolder() { std::filesystem::remove_all(path); }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    std::string path = std::filesystem::temp_directory_path() / "commands_test.XXXXXX";
};

} // namespace

TEST_CASE("a line that is not understood runs nothing and is exit code 1", "[simtest]") {
    CHECK(program({}) == exit_usage);
    CHECK(program({"walk"}) == exit_usage);
    CHECK(program({"plan"}) == exit_usage);
    CHECK(program({"plan", "--seed", "x"}) == exit_usage);
    CHECK(program({"plan", "--seed", "-1"}) == exit_usage);
    CHECK(program({"run", "--seed", "1", "--seeds", "1..2"}) == exit_usage);
    CHECK(program({"run", "--seed", "1", "--bug", "M99"}) == exit_usage);
    CHECK(program({"sweep", "--seeds", "2..1"}) == exit_usage);
    CHECK(program({"sweep", "--for", "soon"}) == exit_usage);
    CHECK(program({"sweep", "--jobs", "0"}) == exit_usage);
    CHECK(program({"sweep", "--shard", "3/3"}) == exit_usage);
    CHECK(program({"merge"}) == exit_usage);
    CHECK(program({"merge", "/nonexistent/report.json"}) == exit_usage);
    CHECK(program({"hashes"}) == exit_usage);
}

TEST_CASE("help and a seed's plan are exit code 0", "[simtest]") {
    CHECK(program({"--help"}) == exit_pass);
    CHECK(program({"sweep", "--help"}) == exit_pass);
    CHECK(program({"plan", "--seed", "7"}) == exit_pass);
}

TEST_CASE("a file of choices is played and traced as it is, and the page tells how", "[simtest]") {
    const TemporaryFolder folder;
    const std::string choices = folder.path + "/a.choices", page = folder.path + "/a.html";
    ChoicesFile file;
    file.seed = 3;
    file.edits.nodes = 3;
    file.edits.length = 300ms;
    file.edits.plain_clients = true;
    file.listed = true; // Nothing: all is harmless.
    REQUIRE(write_file(choices, to_string(file)));
    CHECK(program({"run", "--choices", choices.c_str()}) == exit_pass);
    CHECK(program({"trace", "--choices", choices.c_str(), "--out", page.c_str()}) == exit_pass);
    std::ostringstream text;
    text << std::ifstream(page).rdbuf();
    CHECK(text.str().find("pyralog-sim run --choices " + choices) != std::string::npos);
    CHECK(text.str().find("length_ms=300 ") != std::string::npos);

    CHECK(program({"trace", "--choices", "/nonexistent"}) == exit_usage);
    CHECK(program({"trace"}) == exit_usage);
    CHECK(program({"trace", "--seed", "3", "--choices", choices.c_str()}) == exit_usage);
    REQUIRE(write_file(choices, "no choices"));
    CHECK(program({"trace", "--choices", choices.c_str()}) == exit_usage);
}

TEST_CASE("what plays a run again is one command", "[simtest]") {
    ChoicesFile file;
    file.seed = 7;
    SeedReport report;
    report.seed = 7;
    report.exit_code = exit_safety;
    CHECK(replay_command({7, {}, {}}, file, report) == "pyralog-sim run --seed 7");
    CHECK(replay_command({{}, "a.choices", {}}, file, report) ==
          "pyralog-sim run --choices a.choices");
    file.bug = "M17";
    CHECK(replay_command({7, {}, "M17"}, file, report) ==
          "pyralog-sim-bugs run --seed 7 --bug M17");
    CHECK(replay_command({{}, "a.choices", {}}, file, report) ==
          "pyralog-sim-bugs run --choices a.choices");
    CHECK(replay_command({{}, "a.choices", "M17"}, file, report) ==
          "pyralog-sim-bugs run --choices a.choices --bug M17");
    report.exit_code = exit_not_deterministic;
    CHECK(replay_command({{}, "a.choices", {}}, file, report) ==
          "pyralog-sim-bugs run --choices a.choices --twice");
}

TEST_CASE("a range of seeds has both its ends", "[simtest]") {
    const auto seeds = parse_seeds("3..5");
    REQUIRE(seeds);
    CHECK(seeds->first == 3);
    CHECK(seeds->end == 6);
    CHECK(parse_seeds("4..4"));
    for (const char* bad : {"", "4", "4..", "..4", "5..4", "-1..4", "1...4", "1..4x"})
        CHECK(!parse_seeds(bad));
    CHECK(!parse_number("99999999999999999999"));
    REQUIRE(parse_shard("0/3"));
    CHECK(parse_shard("2/3")->number == 2);
    CHECK(parse_shard("2/3")->count == 3);
    for (const char* bad : {"", "1", "3/3", "0/0", "-1/3", "1/3/5"}) CHECK(!parse_shard(bad));
}

} // namespace pyralog::simtest
