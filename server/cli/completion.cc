// `pyralog completion`: what shells complete words with. Each script finds out which command the
// words before the current one make, and offers what the table has for it.
#include "server/cli/commands.h"
#include "server/cli/program.h"

#include <algorithm>
#include <cstdio>
#include <set>

namespace pyralog::cli {

namespace {

using Words = std::vector<std::string>;

// What can stand behind "", "topic" or "topic list".
Words words_after(const std::string& path) {
    Words words;
    if (path.empty()) words = first_words();
    for (const Command& command : all_commands()) {
        const auto [first, second] = words_of(command);
        if (first == path && !second.empty()) words.push_back(second);
        if (command.name != path) continue;
        for (const Option& option : command.options) {
            const Words meant = option.stands_alone() ? words_meant(option) : names_of(option);
            words.insert(words.end(), meant.begin(), meant.end());
        }
    }
    for (const Option& option : global_options())
        for (const std::string& name : names_of(option)) words.push_back(name);
    words.push_back("--help");
    return words;
}

// Every "topic" and "topic list", and of what stands alone in it whether it is on the disk.
std::set<std::string> paths() {
    std::set<std::string> all;
    for (const Command& command : all_commands()) {
        all.insert(words_of(command).first);
        all.insert(command.name);
    }
    return all;
}

// Each option that something follows, once: two commands that share a name mean the same kind.
std::vector<Option> options_with_values() {
    std::vector<Option> all;
    const auto add = [&](const Option& option) {
        const bool is_new = std::ranges::none_of(
            all, [&](const Option& o) { return std::string_view(o.names) == option.names; });
        if (is_new && !option.stands_alone() && !option.is_flag()) all.push_back(option);
    };
    for (const Option& option : global_options()) add(option);
    for (const Command& command : all_commands())
        for (const Option& option : command.options) add(option);
    return all;
}

bool wants_files(const Option& option) { return std::string_view(option.value) == "FILE"; }
bool wants_directories(const Option& option) {
    return std::string_view(option.value) == "DIRECTORY" ||
           std::string_view(option.names) == "DIRECTORY";
}
bool takes_directories(const Command& command) {
    return std::ranges::any_of(command.options, [](const Option& option) {
        return option.stands_alone() && wants_directories(option);
    });
}

// ---- bash ----

std::string for_bash() {
    std::string text = "# Completion of pyralog for bash, made by `pyralog completion bash`.\n"
                       "_pyralog() {\n"
                       "    local word path=\"\" words=\"\" current=${COMP_WORDS[COMP_CWORD]}\n"
                       "    COMPREPLY=()\n"
                       "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
                       "        case \"${path:+$path }$word\" in\n        ";
    const auto all = paths();
    text += [&] {
        std::string quoted;
        for (const std::string& path : all)
            quoted += (quoted.empty() ? "\"" : " | \"") + path + '"';
        return quoted;
    }();
    text += ") path=${path:+$path }$word ;;\n        esac\n    done\n"
            "    case ${COMP_WORDS[COMP_CWORD-1]} in\n";
    for (const Option& option : options_with_values()) {
        text += "    " + joined(names_of(option), " | ") + ") ";
        if (wants_files(option))
            text += "mapfile -t COMPREPLY < <(compgen -f -- \"$current\")";
        else if (wants_directories(option))
            text += "mapfile -t COMPREPLY < <(compgen -d -- \"$current\")";
        else
            text += "mapfile -t COMPREPLY < <(compgen -W \"" + joined(words_meant(option)) +
                    "\" -- \"$current\")";
        text += " && return ;;\n";
    }
    text += "    esac\n    case $path in\n    \"\") words=\"" + joined(words_after("")) + "\" ;;\n";
    for (const std::string& path : all)
        text += "    \"" + path + "\") words=\"" + joined(words_after(path)) + "\" ;;\n";
    text += "    esac\n    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
            "    case $path in\n    ";
    Words with_directories;
    for (const Command& command : all_commands())
        if (takes_directories(command))
            with_directories.push_back('"' + std::string(command.name) + '"');
    text += joined(with_directories, " | ") +
            ") mapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY < <(compgen -d -- \"$current\") ;;\n"
            "    esac\n}\ncomplete -F _pyralog pyralog\n";
    return text;
}

// ---- zsh ----

// In single quotes, for _describe and _arguments.
std::string zsh_quoted(std::string_view text) {
    std::string quoted;
    for (const char c : text) {
        if (c == ':' || c == '[' || c == ']') quoted += '\\';
        quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    }
    return quoted;
}

std::string zsh_action(const Option& option) {
    if (wants_files(option)) return "_files";
    if (wants_directories(option)) return "_files -/";
    const Words words = words_meant(option);
    return words.empty() ? " " : '(' + joined(words) + ')';
}

std::string zsh_spec(const Option& option) {
    if (option.stands_alone())
        return std::string(" '") + (option.times.most > 1 ? "*" : "") + ':' +
               zsh_quoted(option.names) + ':' + zsh_action(option) + '\'';
    std::string specs;
    for (const std::string& name : names_of(option)) {
        specs += " '" + std::string(option.times.most > 1 ? "*" : "") + name + '[' +
                 zsh_quoted(option.help) + ']';
        if (!option.is_flag()) specs += ':' + zsh_quoted(option.value) + ':' + zsh_action(option);
        specs += '\'';
    }
    return specs;
}

std::string zsh_commands(const std::string& path) {
    std::string text;
    const auto add = [&](const std::string& word, const char* help) {
        text += " '" + zsh_quoted(word) + ':' + zsh_quoted(help) + '\'';
    };
    for (const Command& command : all_commands()) {
        const auto [first, second] = words_of(command);
        if (path.empty() ? second.empty() : first == path && !second.empty())
            add(path.empty() ? first : second, command.help);
    }
    if (path.empty())
        for (const CommandGroup& group : all_command_groups()) add(group.name, group.help);
    return text;
}

std::string for_zsh() {
    std::string text = "#compdef pyralog\n"
                       "# Completion of pyralog for zsh, made by `pyralog completion zsh`.\n"
                       "_pyralog() {\n    local curcontext=$curcontext state line\n"
                       "    local -a shared list\n    shared=(";
    for (const Option& option : global_options()) text += zsh_spec(option);
    text += " '--help[Explain a command]')\n"
            "    _arguments -C $shared ':command:->first' '*::word:->rest' && return\n"
            "    case $state in\n    first)\n        list=(" +
            zsh_commands("") +
            ")\n        _describe command list ;;\n    rest)\n"
            "        case $line[1] in\n";
    for (const CommandGroup& group : all_command_groups()) {
        text += "        " + std::string(group.name) +
                ")\n            if ((CURRENT == 1)); then\n"
                "                list=(" +
                zsh_commands(group.name) +
                ")\n                _describe command list\n                return\n"
                "            fi\n            local second=$words[1]\n            case $second in\n";
        for (const Command& command : all_commands()) {
            const auto [first, second] = words_of(command);
            if (first != group.name) continue;
            text += "            " + second + ") _arguments $shared";
            for (const Option& option : command.options) text += zsh_spec(option);
            text += " ;;\n";
        }
        text += "            esac ;;\n";
    }
    for (const Command& command : all_commands()) {
        if (!words_of(command).second.empty()) continue;
        text += "        " + std::string(command.name) + ") _arguments $shared";
        for (const Option& option : command.options) text += zsh_spec(option);
        text += " ;;\n";
    }
    return text +
           "        esac ;;\n    esac\n}\n"
           "[[ $funcstack[1] == _pyralog ]] && _pyralog \"$@\" || compdef _pyralog pyralog\n";
}

// ---- fish ----

std::string fish_quoted(std::string_view text) {
    std::string quoted = "'";
    for (const char c : text) {
        if (c == '\'' || c == '\\') quoted += '\\';
        quoted += c;
    }
    return quoted + '\'';
}

std::string fish_option(const std::string& condition, const Option& option) {
    std::string line = "complete -c pyralog" + condition;
    for (const std::string& name : names_of(option))
        line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
    if (!option.is_flag()) {
        if (wants_files(option))
            line += " -r -F";
        else if (wants_directories(option))
            line += " -x -a '(__fish_complete_directories)'";
        else
            line += " -x -a " + fish_quoted(joined(words_meant(option)));
    }
    return line + " -d " + fish_quoted(option.help) + '\n';
}

// While these words, and nothing else that is a command, have been said.
std::string fish_condition(const std::string& first, const std::string& second) {
    std::string test = first.empty() ? "not __fish_seen_subcommand_from " + joined(first_words())
                                     : "__fish_seen_subcommand_from " + first;
    if (!second.empty()) test += "; and __fish_seen_subcommand_from " + second;
    return " -n '" + test + '\'';
}

std::string for_fish() {
    std::string text = "# Completion of pyralog for fish, made by `pyralog completion fish`.\n"
                       "complete -c pyralog -f\n";
    const auto add_word = [&](const std::string& condition, const std::string& word,
                              const char* help) {
        text +=
            "complete -c pyralog" + condition + " -a " + word + " -d " + fish_quoted(help) + '\n';
    };
    for (const Option& option : global_options()) text += fish_option("", option);
    text += "complete -c pyralog -l help -d 'Explain a command'\n";
    for (const CommandGroup& group : all_command_groups())
        add_word(fish_condition("", ""), group.name, group.help);
    for (const Command& command : all_commands()) {
        const auto [first, second] = words_of(command);
        if (second.empty()) {
            add_word(fish_condition("", ""), first, command.help);
        } else {
            Words others;
            for (const Command& other : all_commands())
                if (words_of(other).first == first) others.push_back(words_of(other).second);
            add_word(" -n '__fish_seen_subcommand_from " + first +
                         "; and not __fish_seen_subcommand_from " + joined(others) + '\'',
                     second, command.help);
        }
        const std::string condition = fish_condition(first, second);
        for (const Option& option : command.options) {
            if (!option.stands_alone())
                text += fish_option(condition, option);
            else if (wants_directories(option))
                text += "complete -c pyralog" + condition + " -a '(__fish_complete_directories)'\n";
            else if (const Words words = words_meant(option); !words.empty())
                text += "complete -c pyralog" + condition + " -a '" + joined(words) + "'\n";
        }
    }
    return text;
}

} // namespace

std::string completion_of(Shell shell) {
    switch (shell) {
    case Shell::bash: return for_bash();
    case Shell::zsh: return for_zsh();
    case Shell::fish: return for_fish();
    }
    check_failed("a known Shell", __FILE__, __LINE__);
}

int print_completion(const CommandLine& line) {
    std::string text;
    if (line.shell == "bash") text = completion_of(Shell::bash);
    if (line.shell == "zsh") text = completion_of(Shell::zsh);
    if (line.shell == "fish") text = completion_of(Shell::fish);
    if (text.empty()) {
        complain("completion must be for bash, zsh or fish, not \"" + line.shell + '"');
        return exit_mistake;
    }
    std::fputs(text.c_str(), stdout);
    return 0;
}

} // namespace pyralog::cli
