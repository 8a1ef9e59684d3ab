// The tree itself, as a reader meets it: who includes whom, which names are banned where, how long
// lines and functions are. Conventions that nobody checks rot. Each check is a function of a path
// and a text, and is shown a text that it must refuse, so that it cannot rot either.
#include "core/testing/places.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

namespace {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

constexpr std::size_t columns_max = 100;
constexpr std::size_t function_lines_max = 70;

// Longer functions, each with a reason to be one piece. May only shrink: shorter is a failure too.
struct LongFunction {
    std::string_view path;
    std::size_t lines;
};
constexpr std::array<LongFunction, 1> long_functions{{
    {"core/env/contract.h", 134}, // Each is a list of cases, one for each promise of a device.
}};

// ---- A text, taken apart ----

// The code alone, line by line: comments and what stands in quotes are blank.
std::string code_of(std::string_view text) {
    std::string code(text);
    enum class In { code, line_comment, comment, string, character, raw } in = In::code;
    for (std::size_t i = 0; i < code.size(); ++i) {
        const std::string_view rest = text.substr(i);
        const bool was_code = in == In::code;
        if (in == In::code && rest.starts_with("R\"(")) {
            in = In::raw;
        } else if (in == In::code && rest.starts_with("//")) {
            in = In::line_comment;
        } else if (in == In::code && rest.starts_with("/*")) {
            in = In::comment;
        } else if (in == In::code && rest.front() == '"') {
            in = In::string;
        } else if (in == In::code && rest.front() == '\'' &&
                   !(i > 0 && std::isalnum(static_cast<unsigned char>(text[i - 1])))) {
            in = In::character; // And not the mark in 10'000.
        } else if ((in == In::line_comment && rest.front() == '\n') ||
                   (in == In::comment && i > 1 && text.substr(i - 2, 2) == "*/")) {
            in = In::code;
        } else if ((in == In::string || in == In::character) && rest.front() == '\\') {
            code[i] = ' ';
            ++i;
        } else if ((in == In::string && rest.front() == '"') ||
                   (in == In::character && rest.front() == '\'') ||
                   (in == In::raw && i > 0 && text.substr(i - 1, 2) == ")\"")) {
            code[i] = ' ';
            in = In::code;
            continue;
        }
        if (!(was_code && in == In::code) && code[i] != '\n') code[i] = ' ';
    }
    return code;
}

Strings lines_of(std::string_view text) {
    Strings lines;
    while (!text.empty()) {
        const auto end = text.find('\n');
        lines.emplace_back(text.substr(0, end));
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
    }
    return lines;
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// Does `name` stand in `line` as a whole word, or as the beginning or end of one where it starts
// or ends with '*'?
bool names(std::string_view line, std::string_view name) {
    const bool open_before = name.starts_with('*'), open_after = name.ends_with('*');
    if (open_before) name.remove_prefix(1);
    if (open_after) name.remove_suffix(1);
    for (auto at = line.find(name); at != std::string_view::npos; at = line.find(name, at + 1)) {
        const auto end = at + name.size();
        const bool begins = open_before || at == 0 || !is_word(line[at - 1]) || !is_word(name[0]);
        const bool ends =
            open_after || end == line.size() || !is_word(line[end]) || !is_word(name.back());
        if (begins && ends) return true;
    }
    return false;
}

bool begins_with_any(std::string_view text, const std::vector<std::string_view>& starts) {
    return std::any_of(starts.begin(), starts.end(),
                       [&](std::string_view start) { return text.starts_with(start); });
}

std::string place(std::string_view path, std::size_t line) {
    return std::string(path) + ':' + std::to_string(line + 1) + ": ";
}

// Tests, and the headers that only they include.
bool is_test(std::string_view path) {
    const std::string_view name = path.substr(path.rfind('/') + 1);
    return name.find("_test.") != std::string_view::npos || name.starts_with("test_") ||
           path == "core/env/contract.h";
}

// A program with somebody else's library, for the tests with real processes: nothing of a node.
bool is_client(std::string_view path) { return path.starts_with("server/e2e/"); }

// ---- Who may include whom ----

struct Layer {
    std::string_view folder; // Of the first that fits counts.
    std::vector<std::string_view> may_include;
};

const std::vector<Layer>& layers() {
    static const std::vector<Layer> all{
        {"core/testing/", {"core/testing/"}},
        {"core/base/", {"core/base/"}},
        {"core/wire/", {"core/base/", "core/wire/"}},
        {"core/env/", {"core/base/", "core/env/"}},
        {"core/log/", {"core/"}},
        {"raft/", {"core/", "raft/"}},
        {"server/cli/", {"core/", "raft/", "server/", "io/real/"}},
        {"server/grpc/", {"core/", "raft/", "server/", "io/real/"}},
        {"server/main.cc", {"core/", "raft/", "server/", "io/real/"}},
        {"server/", {"core/", "raft/", "server/"}},
        {"io/rocksdb/", {"core/base/", "core/env/", "io/rocksdb/"}},
        {"io/real/", {"core/base/", "core/env/", "io/rocksdb/", "io/real/"}},
        {"io/sim/rocksdb/", {"core/base/", "core/env/", "io/rocksdb/", "io/sim/"}},
        {"io/sim/", {"core/base/", "core/env/", "io/sim/"}},
        {"sim-tests/", {"core/", "raft/", "server/", "io/sim/", "sim-tests/"}},
        {"fuzz/", {"core/", "raft/", "server/", "io/sim/", "fuzz/"}},
        {"bench/", {"core/", "raft/", "server/", "io/", "sim-tests/", "bench/"}},
    };
    return all;
}

// Raft as a function: what it is made of knows no disk, no network and no fiber.
bool is_pure_raft(std::string_view path) {
    for (const std::string_view name :
         {"consensus", "election", "replication", "membership", "quorum", "progress"})
        for (const std::string_view end : {".h", ".cc"})
            if (path == "raft/" + std::string(name) + std::string(end)) return true;
    return false;
}

const std::vector<std::string_view>& pure_raft_may_include() {
    static const std::vector<std::string_view> all{
        "core/base/",        "core/wire/raft.h", "raft/config.h",  "raft/consensus",
        "raft/invariants.h", "raft/quorum.h",    "raft/progress.h"};
    return all;
}

struct Foreign {
    std::string_view header; // Its beginning.
    std::vector<std::string_view> only_in;
};

const std::vector<Foreign>& foreign_headers() {
    static const std::vector<std::string_view> system{"io/real/", "server/cli/", "bench/",
                                                      "sim-tests/tool/", "core/env/fiber.cc"};
    static const std::vector<Foreign> all{
        {"boost/context", {"core/env/fiber."}},
        {"boost/beast/http", {"server/admin/http.cc"}},
        {"boost/", {"io/real/", "bench/"}},
        {"liburing", {"io/real/", "bench/"}},
        {"rocksdb/", {"io/rocksdb/", "io/real/", "io/sim/rocksdb/", "bench/"}},
        {"spdlog/", {"io/real/"}},
        {"CLI/", {"server/cli/", "sim-tests/tool/"}},
        {"grpcpp/", {"server/grpc/"}},
        {"toml++/", {"server/cli/"}},
        {"nlohmann/", {"server/cli/", "sim-tests/tool/"}},
        {"sys/", system},
        {"linux/", system},
        {"unistd.h",
         {"io/real/", "server/cli/", "server/main.cc", "bench/", "sim-tests/tool/",
          "core/env/fiber.cc"}},
        {"fcntl.h", system},
        {"netdb.h", system},
        {"netinet/", system},
        {"arpa/", system},
        {"poll.h", system},
        {"pthread.h", {"io/real/", "io/sim/rocksdb/hooks.cc", "bench/"}},
        {"signal.h", {"io/real/", "server/cli/", "bench/", "sim-tests/tool/"}},
        {"csignal", {"io/real/", "bench/"}},
        {"thread>", {"io/real/", "bench/", "sim-tests/tool/"}},
        {"mutex>", {"io/real/", "bench/"}},
        {"atomic>", {"io/real/", "bench/"}},
        {"future>", {"io/real/", "bench/"}},
        {"condition_variable>", {"io/real/", "bench/"}},
        {"random>", {}},
        {"unordered_map>", {}},
        {"unordered_set>", {}},
    };
    return all;
}

Strings include_complaints(std::string_view path, std::string_view text) {
    Strings found;
    if (is_client(path)) return found;
    const Strings lines = lines_of(text);
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const std::string_view line = lines[i];
        if (!line.starts_with("#include ")) continue;
        const std::string_view what = line.substr(std::string_view("#include ").size());
        if (what.starts_with('"')) {
            const std::string_view header = what.substr(1, what.find('"', 1) - 1);
            const auto layer = std::find_if(layers().begin(), layers().end(), [&](const Layer& l) {
                return path.starts_with(l.folder);
            });
            const bool sim_in_test = is_test(path) && header.starts_with("io/sim/") &&
                                     begins_with_any(path, {"core/log/", "raft/", "server/"});
            const bool help_in_test = is_test(path) && header.starts_with("core/testing/");
            if (layer != layers().end() && !sim_in_test && !help_in_test &&
                !begins_with_any(header, layer->may_include))
                found.push_back(place(path, i) + std::string(header) + " is above this layer");
            if (path.starts_with("server/") && !path.starts_with("server/cli/") &&
                path != "server/main.cc" && header.starts_with("server/cli/"))
                found.push_back(place(path, i) + "server/cli is the program's alone");
            if (is_pure_raft(path) && !begins_with_any(header, pure_raft_may_include()))
                found.push_back(place(path, i) + "pure Raft must not know " + std::string(header));
        } else if (what.starts_with('<')) {
            const std::string_view header = what.substr(1);
            const auto foreign =
                std::find_if(foreign_headers().begin(), foreign_headers().end(),
                             [&](const Foreign& f) { return header.starts_with(f.header); });
            if (foreign != foreign_headers().end() && !begins_with_any(path, foreign->only_in))
                found.push_back(place(path, i) + std::string(what) + " does not belong here");
        }
    }
    return found;
}

// Where several tests are compiled as one, a header that includes Catch2 may have been read before:
// then it does nothing, and CHECK is not Catch2's.
Strings test_complaints(std::string_view path, std::string_view text) {
    const bool tests = path.ends_with(".cc") && names(code_of(text), "TEST_CASE");
    if (!tests || text.find("\n#include <catch2/catch.hpp>\n") != std::string_view::npos) return {};
    return {std::string(path) + ": does not include Catch2 itself"};
}

// ---- Banned names ----

struct Banned {
    std::string_view name;
    std::string_view why;
    std::vector<std::string_view> only_in;
};

const std::vector<Banned>& banned_names() {
    // The outer edge: the programs and the real world.
    static const std::vector<std::string_view> edge{"io/real/", "server/cli/", "server/main.cc",
                                                    "bench/", "sim-tests/tool/"};
    static const std::vector<std::string_view> simulator_program{"bench/", "sim-tests/tool/"};
    static const std::vector<Banned> all{
        {"steady_clock", "time comes from the Environment", edge},
        {"system_clock", "time comes from the Environment", edge},
        {"high_resolution_clock", "time comes from the Environment", edge},
        {"random_device", "dice come from the Environment", {"io/real/"}},
        {"*_distribution", "differs between standard libraries", {}},
        {"mt19937*", "dice come from the Environment", {}},
        {"rand", "dice come from the Environment", {}},
        {"std::thread", "a node is one thread", {"io/real/", "bench/", "sim-tests/tool/"}},
        {"std::jthread", "a node is one thread", {"io/real/", "bench/"}},
        {"std::mutex", "a node is one thread", {"io/real/", "bench/"}},
        {"std::atomic", "a node is one thread", {"io/real/", "bench/"}},
        {"thread_local", "a node is one thread", {"io/sim/rocksdb/hooks.cc"}},
        {"getenv", "settings come in the Config", {"server/cli/"}},
        {"catch (...)", "would swallow what unwinds a stack", {}},
        {"shared_ptr", "somebody owns it", {"io/rocksdb/", "io/real/", "io/sim/rocksdb/"}},
        {"unordered_map", "its order may be seen", {}},
        {"unordered_set", "its order may be seen", {}},
        {"std::hash", "differs between standard libraries", {}},
        {"htobe*", "bytes are swapped in core/wire", {"core/wire/", "bench/", "io/real/"}},
        {"ntoh*", "bytes are swapped in core/wire", {"core/wire/", "bench/", "io/real/"}},
        {"hton*", "bytes are swapped in core/wire", {"core/wire/", "bench/", "io/real/"}},
        {"__builtin_bswap*", "bytes are swapped in core/wire", {"core/wire/", "bench/"}},
        {"float", "no floating point in decisions", simulator_program},
        {"double", "no floating point in decisions", simulator_program},
    };
    return all;
}

// A variable that outlives the call, or belongs to all objects: a second node would share it.
bool has_mutable_static(std::string_view line) {
    const auto at = line.find("static ");
    if (at == std::string_view::npos || (at > 0 && is_word(line[at - 1]))) return false;
    const std::string_view rest = line.substr(at + 7);
    if (begins_with_any(rest, {"const ", "constexpr ", "inline const", "consteval "})) return false;
    const auto end = rest.find_first_of("(=;{");
    return end != std::string_view::npos && rest[end] != '(';
}

Strings name_complaints(std::string_view path, std::string_view text) {
    Strings found;
    if (path == "core/base/tidy_test.cc") return found; // It has to say them.
    if (is_client(path)) return found;
    const Strings lines = lines_of(code_of(text));
    for (std::size_t i = 0; i < lines.size(); ++i) {
        for (const Banned& banned : banned_names())
            if (names(lines[i], banned.name) && !lines[i].starts_with("#include") &&
                !(banned.name == "getenv" && is_test(path)) && // For UPDATE=1.
                !begins_with_any(path, banned.only_in))
                found.push_back(place(path, i) + std::string(banned.name) +
                                " is banned here: " + std::string(banned.why));
        if (path.ends_with(".h") && names(lines[i], "using namespace") &&
            !names(lines[i], "std::chrono_literals"))
            found.push_back(place(path, i) + "no `using namespace` in headers");
        if (path.ends_with(".h") && path != "core/base/bug.h" &&
            (names(lines[i], "BUG") || names(lines[i], "PYRALOG_BUGS")))
            found.push_back(place(path, i) + "bugs are planted in .cc files");
        if (has_mutable_static(lines[i]) &&
            !begins_with_any(path, {"io/real/", "io/sim/rocksdb/hooks.cc", "bench/"}))
            found.push_back(place(path, i) + "a mutable static is shared by all nodes");
    }
    return found;
}

// ---- What it looks like ----

std::size_t columns(std::string_view line) { // Of UTF-8, whose letters begin with other bytes.
    return static_cast<std::size_t>(std::count_if(line.begin(), line.end(), [](char c) {
        return (static_cast<unsigned char>(c) >> 6) != 2;
    }));
}

Strings look_complaints(std::string_view path, std::string_view text) {
    Strings found;
    const Strings lines = lines_of(text);
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (columns(lines[i]) > columns_max) found.push_back(place(path, i) + "is too long");
        if (lines[i].find('\t') != std::string::npos) found.push_back(place(path, i) + "has a tab");
        if (lines[i].ends_with(' ')) found.push_back(place(path, i) + "ends in a space");
        for (const std::string_view mark : {"TODO", "FIXME", "XXX"})
            if (names(lines[i], mark) && lines[i].find('#') == std::string::npos &&
                path != "core/base/tidy_test.cc")
                found.push_back(place(path, i) + std::string(mark) + " without an issue number");
    }
    if (!text.ends_with('\n')) found.push_back(std::string(path) + ": does not end its last line");
    if (!path.ends_with(".h")) return found;
    if (text.find("\n#pragma once\n") == std::string_view::npos)
        found.push_back(std::string(path) + ": has no #pragma once");
    if (!text.starts_with("// " + std::string(path)))
        found.push_back(std::string(path) + ": does not begin with a comment that names it");
    return found;
}

// ---- How long functions are ----

struct Function {
    std::size_t first, lines;
};

// What stands before a '{', since the last statement, says what the braces hold.
bool opens_scope(std::string_view head) {
    for (const std::string_view word : {"namespace", "struct", "class", "union", "enum", "extern"})
        if (names(head, word) && head.find('(') == std::string_view::npos) return true;
    return false;
}

bool opens_function(std::string_view head) {
    const auto end = head.find_last_not_of(" \n");
    return head.find('(') != std::string_view::npos && end != std::string_view::npos &&
           std::string_view("=,(").find(head[end]) == std::string_view::npos;
}

std::vector<Function> functions_of(std::string_view text) {
    const std::string code = code_of(text);
    enum class Kind { scope, function, other };
    struct Open {
        Kind kind;
        std::size_t line;
    };
    std::vector<Open> open;
    std::vector<Function> found;
    std::string head;
    std::size_t line = 0;
    for (std::size_t i = 0; i < code.size(); ++i) {
        const char c = code[i];
        if (c == '\n') ++line;
        if (c == '#' && (i == 0 || code[i - 1] == '\n')) { // A macro's braces are not ours.
            while (i < code.size() && (code[i] != '\n' || code[i - 1] == '\\')) {
                i++;
                if (i < code.size() && code[i] == '\n') ++line;
            }
            continue;
        }
        if (c == '{') {
            const bool outside = std::all_of(open.begin(), open.end(),
                                             [](const Open& o) { return o.kind == Kind::scope; });
            const Kind kind = !outside               ? Kind::other
                              : opens_scope(head)    ? Kind::scope
                              : opens_function(head) ? Kind::function
                                                     : Kind::other;
            open.push_back({kind, line});
        } else if (c == '}' && !open.empty()) {
            if (open.back().kind == Kind::function)
                found.push_back(
                    {open.back().line, line > open.back().line ? line - open.back().line - 1 : 0});
            open.pop_back();
        }
        if (c == '{' || c == '}' || c == ';')
            head.clear();
        else
            head += c;
    }
    return found;
}

Strings length_complaints(std::string_view path, std::string_view text) {
    Strings found;
    std::size_t allowed = function_lines_max, longest = 0;
    for (const LongFunction& exception : long_functions)
        if (exception.path == path) allowed = exception.lines;
    for (const Function& function : functions_of(text)) {
        longest = std::max(longest, function.lines);
        if (function.lines > allowed)
            found.push_back(place(path, function.first) + "a function of " +
                            std::to_string(function.lines) + " lines");
    }
    if (allowed > function_lines_max && longest < allowed)
        found.push_back(std::string(path) + ": has become shorter: so must its exception");
    return found;
}

// ---- The tree ----

std::map<std::string, std::string> tree() {
    std::map<std::string, std::string> files;
    const fs::path root = pyralog::testing::source_dir();
    for (const char* folder : {"core", "io", "raft", "server", "sim-tests", "fuzz", "bench"}) {
        if (!fs::exists(root / folder)) continue;
        for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
            const std::string extension = entry.path().extension().string();
            if (extension != ".h" && extension != ".cc") continue;
            std::ifstream stream(entry.path(), std::ios::binary);
            std::ostringstream text;
            text << stream.rdbuf();
            files[entry.path().lexically_relative(root).generic_string()] = text.str();
        }
    }
    return files;
}

template <class Check>
std::string complaints_of_tree(Check check) {
    std::string all;
    for (const auto& [path, text] : tree())
        for (const std::string& complaint : check(path, text)) all += complaint + '\n';
    return all;
}

} // namespace

TEST_CASE("includes only go down the layers", "[base][tidy]") {
    CHECK(complaints_of_tree(include_complaints) == "");
}

TEST_CASE("every test includes Catch2 itself", "[base][tidy]") {
    CHECK(complaints_of_tree(test_complaints) == "");
    CHECK(test_complaints("a_test.cc", "#include \"a.h\"\nTEST_CASE(\"b\") {}\n").size() == 1);
    CHECK(test_complaints("a_test.cc", "\n#include <catch2/catch.hpp>\nTEST_CASE(\"b\") {}\n")
              .empty());
}

TEST_CASE("nothing names what only the world may have", "[base][tidy]") {
    CHECK(complaints_of_tree(name_complaints) == "");
}

TEST_CASE("lines are short, and headers say what they are", "[base][tidy]") {
    CHECK(complaints_of_tree(look_complaints) == "");
}

TEST_CASE("no function is longer than a page", "[base][tidy]") {
    CHECK(complaints_of_tree(length_complaints) == "");
}

TEST_CASE("an include of a higher layer is noticed", "[base][tidy]") {
    const auto refused = [](std::string_view path, std::string_view text) {
        return include_complaints(path, text).size() == 1;
    };
    CHECK(refused("core/base/a.cc", "#include \"core/env/fiber.h\"\n"));
    CHECK(refused("core/wire/a.h", "#include \"core/env/disk.h\"\n"));
    CHECK(refused("raft/group.h", "#include \"server/config.h\"\n"));
    CHECK(refused("raft/group.h", "#include \"io/sim/world.h\"\n"));
    CHECK(refused("raft/consensus.cc", "#include \"core/env/fiber.h\"\n"));
    CHECK(refused("server/broker.cc", "#include \"io/real/world.h\"\n"));
    CHECK(refused("server/broker.cc", "#include \"server/cli/program.h\"\n"));
    CHECK(refused("io/sim/world.cc", "#include \"core/log/log.h\"\n"));
    CHECK(refused("core/log/log.cc", "#include <unistd.h>\n"));
    CHECK(refused("server/broker.cc", "#include <boost/asio.hpp>\n"));
    CHECK(refused("core/base/logger.cc", "#include <mutex>\n"));
    CHECK(refused("core/wire/a.cc", "#include \"core/testing/places.h\"\n"));
    CHECK_FALSE(refused("core/wire/a_test.cc", "#include \"core/testing/places.h\"\n"));
    CHECK_FALSE(refused("raft/group_test.cc", "#include \"io/sim/world.h\"\n"));
    CHECK_FALSE(refused("raft/consensus.cc", "#include \"core/wire/raft.h\"\n"));
    CHECK_FALSE(refused("io/real/disk.cc", "#include <unistd.h>\n"));
}

TEST_CASE("a banned name is noticed in code, and only there", "[base][tidy]") {
    const auto refused = [](std::string_view text) {
        return !name_complaints("raft/group.cc", text).empty();
    };
    CHECK(refused("auto t = std::chrono::steady_clock::now();\n"));
    CHECK(refused("std::uniform_int_distribution<int> d;\n"));
    CHECK(refused("int x = rand() % 6;\n"));
    CHECK(refused("} catch (...) {\n"));
    CHECK(refused("std::shared_ptr<int> p;\n"));
    CHECK(refused("static int calls = 0;\n"));
    CHECK(refused("    static std::vector<int> all;\n"));
    CHECK(refused("double share = 0.5;\n"));
    CHECK(name_complaints("core/log/log.h", "#ifdef PYRALOG_BUGS\n").size() == 1);
    CHECK(name_complaints("core/log/log.cc", "#ifdef PYRALOG_BUGS\n").empty());
    CHECK_FALSE(refused("int random_number = 4; // No rand() and no steady_clock here.\n"));
    CHECK_FALSE(refused("say(\"rand() is banned\"); /* catch (...) */\n"));
    CHECK_FALSE(refused("static int twice(int x) { return 2 * x; }\n"));
    CHECK_FALSE(refused("static constexpr int limit = 3;\n"));
    CHECK_FALSE(refused("char c = '\"'; char d = '\\''; int n = 10'000; grand();\n"));
    CHECK(refused("char c = '\"'; rand();\n"));
    CHECK(name_complaints("io/real/clock.cc", "std::chrono::steady_clock::now();\n").empty());
}

TEST_CASE("a bad look is noticed", "[base][tidy]") {
    const auto complaints = [](std::string_view path, std::string_view text) {
        return look_complaints(path, text).size();
    };
    CHECK(complaints("a.cc", std::string(100, 'x') + '\n') == 0);
    CHECK(complaints("a.cc", std::string(101, 'x') + '\n') == 1);
    CHECK(complaints("a.cc", "a\tb \n") == 2);
    CHECK(complaints("a.cc", "// TODO: later\n") == 1);
    CHECK(complaints("a.cc", "no end of line") == 1);
    CHECK(complaints("a/b.h", "// a/b.h\n#pragma once\n") == 0);
    CHECK(complaints("a/b.h", "int x;\n") == 2);
}

TEST_CASE("functions are measured, whatever is around and in them", "[base][tidy]") {
    const std::vector<Function> found = functions_of("namespace a {\n"
                                                     "struct B {\n"
                                                     "    int c() { return 1; }\n"
                                                     "    std::array<int, 2> d{{1, 2}};\n"
                                                     "};\n"
                                                     "void e(int f,\n"
                                                     "       int g) {\n"
                                                     "    if (f) {\n"
                                                     "        const char* h = \"}\"; // }\n"
                                                     "    }\n"
                                                     "}\n"
                                                     "const std::vector<int> table = {\n"
                                                     "    1,\n"
                                                     "};\n"
                                                     "} // namespace a\n");
    REQUIRE(found.size() == 2);
    CHECK(found[0].lines == 0);
    CHECK(found[1].first == 6);
    CHECK(found[1].lines == 3);
    std::string page = "void f() {\n";
    for (std::size_t i = 0; i < function_lines_max; ++i) page += "    g();\n";
    CHECK(length_complaints("a.cc", page + "}\n").empty());
    CHECK(length_complaints("a.cc", page + "    g();\n}\n").size() == 1);
}
