#include "core/wire/golden_test.h"

#include <catch2/catch.hpp>

#include <map>

using namespace pyralog::wire;

namespace {

std::string file_text(const std::string& path) {
    std::stringstream content;
    content << std::ifstream(path).rdbuf();
    return content.str();
}

// The blocks of FORMATS.md that begin with ```hex NAME, by their names.
std::map<std::string, std::string> documented() {
    static constexpr std::string_view opening = "```hex ";
    std::istringstream text(file_text(pyralog::testing::source_dir() + "/core/wire/FORMATS.md"));
    std::map<std::string, std::string> blocks;
    std::string* block = nullptr;
    for (std::string line; std::getline(text, line);) {
        if (line.starts_with(opening)) {
            block = &blocks[line.substr(opening.size())];
        } else if (line.starts_with("```")) {
            block = nullptr;
        } else if (block != nullptr) {
            *block += line + "\n";
        }
    }
    return blocks;
}

} // namespace

TEST_CASE("the examples of FORMATS.md are the golden files", "[wire]") {
    const std::map<std::string, std::string> blocks = documented();
    CHECK(blocks.size() >= 5);
    for (const auto& [name, block] : blocks) {
        INFO(name);
        CHECK(digits_of_hex(block) == digits_of_hex(file_text(golden_path(name))));
    }
}
