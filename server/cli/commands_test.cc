#include "server/cli/commands.h"

#include "server/cli/program.h"

#include <algorithm>
#include <set>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::cli;

namespace {

std::variant<CommandLine, Farewell> parse(std::vector<const char*> words) {
    words.insert(words.begin(), "pyralog");
    return parse_command_line(static_cast<int>(words.size()), words.data());
}

CommandLine parsed(const std::vector<const char*>& words) {
    const auto line = parse(words);
    if (const auto* farewell = std::get_if<Farewell>(&line)) FAIL(farewell->text);
    return std::get<CommandLine>(line);
}

std::string refused(const std::vector<const char*>& words) {
    const auto line = parse(words);
    const auto* farewell = std::get_if<Farewell>(&line);
    if (!farewell || farewell->exit_code != 2) return "not refused";
    return farewell->text;
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

// What man shows of these words.
std::string in_roff(const std::string& text) {
    std::string escaped;
    for (const char c : text) escaped += c == '-' ? std::string("\\-") : std::string(1, c);
    return escaped;
}

} // namespace

TEST_CASE("every command of the table can be said, and there is no other", "[cli]") {
    std::set<CommandLine::Command> said;
    for (const Command& command : all_commands()) {
        INFO(command.name);
        const auto [first, second] = words_of(command);
        std::vector<const char*> words{first.c_str()};
        if (!second.empty()) words.push_back(second.c_str());
        for (const Option& option : command.options) {
            if (option.times.least == 0) continue;
            if (!option.stands_alone()) words.push_back(option.names);
            words.push_back("x");
        }
        CHECK(parsed(words).command == command.command);
        CHECK(said.insert(command.command).second);
    }
    CHECK(said.size() == static_cast<std::size_t>(CommandLine::Command::man) + 1);
    CHECK(has(refused({"bogus"}), "bogus"));
    CHECK(has(refused({}), "say what to do: start, stop, status"));
    CHECK(has(refused({"topic"}), "say what to do: topic list, topic describe, topic create"));
}

TEST_CASE("a group of commands is explained, and has commands", "[cli]") {
    std::set<std::string> explained, used;
    for (const CommandGroup& group : all_command_groups()) explained.insert(group.name);
    for (const Command& command : all_commands())
        if (!words_of(command).second.empty()) used.insert(words_of(command).first);
    CHECK(explained == used);
}

TEST_CASE("options go where the table says", "[cli]") {
    CommandLine line = parsed({"topic", "create", "a", "b", "--partitions", "3", "--topic-config",
                               "x=1", "--topic-config", "y=2", "--bootstrap", "h:1,[::1]:2",
                               "--set", "node.id=4", "--json"});
    CHECK(line.names == std::vector<std::string>{"a", "b"});
    CHECK(line.partitions == 3);
    CHECK_FALSE(line.replicas);
    CHECK(line.topic_configs == std::vector<std::string>{"x=1", "y=2"});
    CHECK(line.bootstrap == std::vector<Address>{{"h", 1}, {"::1", 2}});
    CHECK(line.as_json);
    REQUIRE(line.assignments.size() == 1);
    CHECK(line.assignments[0].name == "node.id");
    line = parsed({"-p", "1", "start", "--config", "f", "--admin", "h:3"});
    REQUIRE(line.assignments.size() == 1);
    CHECK(line.assignments[0].name == "kafka.port");
    CHECK(line.assignments[0].where == "--port");
    CHECK(line.config_file == "f");
    CHECK(line.admin == Address{"h", 3});
    CHECK(has(refused({"consume", "a", "--count", "x"}), "--count"));
    CHECK(has(refused({"produce"}), "TOPIC is required"));
    CHECK(has(refused({"group", "describe", "a", "b"}), "b"));
    CHECK(has(refused({"topic", "list", "--bootstrap", "h"}),
              "--bootstrap must look like HOST:PORT"));
    CHECK(has(refused({"start", "--set", "node.id"}), "must look like NAME=VALUE"));
}

TEST_CASE("the manual page has every command, every option and every setting", "[cli]") {
    const Program program;
    const std::string page = manual_page(program.settings);
    for (const Command& command : all_commands()) {
        INFO(command.name);
        CHECK(has(page, ".SS " + in_roff(command.name) + '\n'));
        for (const Option& option : command.options)
            for (const std::string& name : names_of(option)) CHECK(has(page, in_roff(name)));
    }
    for (const Option& option : global_options()) CHECK(has(page, in_roff(option.help)));
    for (const Setting& setting : program.settings)
        CHECK(has(page, "\\fB" + in_roff(setting.name) + "\\fR"));
}

TEST_CASE("each shell's completion has every command and every option", "[cli]") {
    for (const Shell shell : {Shell::bash, Shell::zsh, Shell::fish}) {
        const std::string text = completion_of(shell);
        const auto knows = [&](std::string word) {
            // fish has options without their dashes.
            if (shell == Shell::fish && word.starts_with("--")) word = "-l " + word.substr(2);
            return has(text, word);
        };
        for (const Command& command : all_commands()) {
            INFO(command.name);
            CHECK(knows(words_of(command).first));
            CHECK(knows(words_of(command).second));
            for (const Option& option : command.options)
                if (!option.stands_alone())
                    for (const std::string& name : names_of(option)) CHECK(knows(name));
        }
        for (const Option& option : global_options()) CHECK(knows(names_of(option).back()));
    }
}

TEST_CASE("the words that an option may be followed by are those in small letters", "[cli]") {
    Option option{"--to", "earliest|latest|OFFSET", "", &CommandLine::to};
    CHECK(words_meant(option) == std::vector<std::string>{"earliest", "latest"});
    option.value = "HOST:PORT";
    CHECK(words_meant(option).empty());
    option.value = "all|1|0";
    CHECK(words_meant(option) == std::vector<std::string>{"all", "1", "0"});
}

TEST_CASE("the template has every setting, and with the marks taken away sets the defaults",
          "[cli]") {
    Program program;
    std::string text = settings_template(program.settings);
    const auto nothing = parse_config(text, "template", program.settings);
    REQUIRE(std::holds_alternative<std::vector<server::Assignment>>(nothing));
    CHECK(std::get<std::vector<server::Assignment>>(nothing).empty());
    for (std::size_t at = 0; (at = text.find("\n#", at)) != std::string::npos; ++at)
        if (text[at + 2] != ' ') text.erase(at + 1, 1);
    const auto read = parse_config(text, "template", program.settings);
    if (const auto* wrong = std::get_if<std::string>(&read)) FAIL(*wrong);
    const auto& all = std::get<std::vector<server::Assignment>>(read);
    CHECK(all.size() == program.settings.size());
    CHECK(server::apply(program.settings, all).mistakes == std::vector<std::string>());
    for (const Setting& setting : program.settings) CHECK(setting.get() == setting.default_value);
    REQUIRE(find_setting(program.settings, "kafka.port")->set("1").empty());
    text = settings_template(program.settings, {{"kafka.port", {}}});
    CHECK(has(text, "\nport = \"1\"\n"));
    CHECK(has(text, "\n#port = \"9094\"\n"));
}
