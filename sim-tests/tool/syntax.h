// sim-tests/tool/syntax.h
//
// What a command of pyralog-sim understands: its options, what they mean, and what is said when one
// of them makes no sense. The values must stay where they are until the line has been read. All of
// CLI11 is behind it, in one file, because no other takes as long to compile.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace pyralog::simtest {

class Syntax {
public:
    // Takes what an option was given, and returns what is wrong with it; nothing if it can be used.
    using Reader = std::function<std::string(const std::string& text)>;

    explicit Syntax(CLI::App& command) : command_(command) {}

    void flag(const std::string& name, bool& value, const std::string& help);
    // `type` is what the help says in the place of a value.
    void option(const std::string& name, const std::string& type, Reader read,
                const std::string& help);
    void file(const std::string& name, std::string& path, const std::string& help);
    void existing_file(const std::string& name, std::string& path, const std::string& help);
    void files(const std::string& name, std::vector<std::string>& paths, const std::string& help);
    // From 1 on. Of both numbers the help tells what they are unless the line says otherwise.
    void number(const std::string& name, int& value, int most, const std::string& help);
    void seed(const std::string& name, std::uint64_t& value, const std::string& help);

    void require(const std::string& name);
    void exclude(const std::string& name, const std::string& other);
    Syntax exactly_one(const std::string& name, const std::string& help); // Of what is added there.

private:
    CLI::App& command_;
};

} // namespace pyralog::simtest
