#include "sim-tests/tool/syntax.h"

#include "sim-tests/tool/commands.h"
#include "sim-tests/tool/sweep.h"

#include <CLI/CLI.hpp>

#include <iostream>
#include <utility>

namespace pyralog::simtest {

void Syntax::flag(const std::string& name, bool& value, const std::string& help) {
    command_.add_flag(name, value, help);
}

void Syntax::option(const std::string& name, const std::string& type, Reader read,
                    const std::string& help) {
    command_
        .add_option_function<std::string>(
            name,
            [name, read = std::move(read)](const std::string& text) {
                const std::string wrong = read(text);
                if (!wrong.empty()) throw CLI::ValidationError(name, wrong);
            },
            help)
        ->type_name(type);
}

void Syntax::file(const std::string& name, std::string& path, const std::string& help) {
    command_.add_option(name, path, help)->type_name("FILE")->capture_default_str();
}

void Syntax::existing_file(const std::string& name, std::string& path, const std::string& help) {
    command_.add_option(name, path, help)->check(CLI::ExistingFile)->type_name("FILE");
}

void Syntax::files(const std::string& name, std::vector<std::string>& paths,
                   const std::string& help) {
    command_.add_option(name, paths, help)->type_name("FILE");
}

void Syntax::number(const std::string& name, int& value, int most, const std::string& help) {
    command_.add_option(name, value, help)
        ->check(CLI::Range(1, most))
        ->type_name("N")
        ->capture_default_str();
}

void Syntax::seed(const std::string& name, std::uint64_t& value, const std::string& help) {
    command_.add_option(name, value, help)->type_name("SEED")->capture_default_str();
}

void Syntax::require(const std::string& name) { command_.get_option(name)->required(); }

void Syntax::exclude(const std::string& name, const std::string& other) {
    command_.get_option(name)->excludes(other);
}

Syntax Syntax::exactly_one(const std::string& name, const std::string& help) {
    CLI::App* const group = command_.add_option_group(name, help);
    group->require_option(1);
    return Syntax(*group);
}

int run_program(std::span<char*> arguments) {
    CLI::App program(
        "Runs the simulated cluster, one seed or many. TESTING.md says what it checks.",
        "pyralog-sim");
    program.require_subcommand(1);
    program.footer("Exit codes: 0 pass, 1 usage, 2 safety, 3 liveness, 4 not deterministic, "
                   "5 interrupted.");
    const std::vector<std::unique_ptr<Command>> commands = all_commands();
    std::vector<CLI::App*> added;
    for (const auto& command : commands) {
        added.push_back(program.add_subcommand(command->name, command->help));
        Syntax syntax(*added.back());
        command->add(syntax);
    }
    try {
        program.parse(static_cast<int>(arguments.size()), arguments.data());
    } catch (const CLI::Success& help) {
        return program.exit(help);
    } catch (const CLI::ParseError& error) {
        std::cerr << "pyralog-sim: " << error.what() << "\nTry --help.\n";
        return exit_usage;
    }
    for (std::size_t i = 0; i < commands.size(); ++i)
        if (added[i]->parsed()) return commands[i]->run();
    return exit_usage;
}

} // namespace pyralog::simtest
