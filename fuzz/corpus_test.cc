// The corpora, run as plain tests: what fuzzers once found stays found.
#include "core/testing/places.h"
#include "fuzz/target.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::fuzz;

namespace {

std::filesystem::path corpus_of(const Target& target) {
    return std::filesystem::path(testing::source_dir()) / "fuzz/corpus" / target.name;
}

std::vector<std::byte> read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

} // namespace

TEST_CASE("every input of the corpora is survived", "[fuzz]") {
    for (const Target& target : targets()) {
        INFO(target.name);
        std::size_t count = 0, taken = 0;
        for (const auto& entry : std::filesystem::directory_iterator(corpus_of(target))) {
            INFO(entry.path().filename());
            ++count;
            taken += target.run(read_file(entry.path())) ? 1 : 0;
        }
        CHECK(count > 0);
        CHECK(2 * taken >= count); // Else they are of a format of long ago: see README.md.
    }
}

TEST_CASE("inputs to begin with are taken for what they are", "[fuzz]") {
    for (const Target& target : targets()) {
        INFO(target.name);
        const auto inputs = first_inputs(target);
        CHECK(inputs.size() >= 4);
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            INFO(i);
            CHECK(target.run(inputs[i]));
        }
    }
}

TEST_CASE("a target survives what is cut short, empty, or all ones", "[fuzz]") {
    for (const Target& target : targets()) {
        INFO(target.name);
        (void)target.run({});
        const std::vector<std::byte> ones(300, std::byte{0xff});
        (void)target.run(ones);
        const auto input = first_inputs(target).front();
        for (std::size_t size = input.size(); size > 0; size -= 1 + size / 16)
            (void)target.run(std::span(input).first(size - 1));
    }
}

// Not run unless it is asked for: pyralog_fuzz_test '[write]'.
TEST_CASE("the inputs to begin with are written into the tree", "[.write]") {
    for (const Target& target : targets()) {
        std::filesystem::create_directories(corpus_of(target));
        const auto inputs = first_inputs(target);
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            std::ofstream file(corpus_of(target) / ("first-" + std::to_string(i)),
                               std::ios::binary);
            file.write(reinterpret_cast<const char*>(inputs[i].data()),
                       static_cast<std::streamsize>(inputs[i].size()));
            CHECK(file.good());
        }
    }
}
