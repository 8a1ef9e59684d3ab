#include "sim-tests/tool/run_source.h"

#include "sim-tests/tool/commands.h"

#include <cstdio>
#include <fstream>
#include <sstream>

namespace pyralog::simtest {

void add_run(Syntax& syntax, RunSource& source) {
    Syntax which = syntax.exactly_one("run", "Which run");
    const auto read = [&source](const std::string& text) -> std::string {
        source.seed = parse_number(text);
        return source.seed ? "" : "not a number: " + text;
    };
    which.option("--seed", "N", read, "The seed");
    which.existing_file("--choices", source.choices, "The recorded choices of a run");
    add_bug(syntax, source.bug);
}

std::optional<ChoicesFile> read_run(const RunSource& source) {
    ChoicesFile file;
    if (source.seed) {
        file.seed = *source.seed;
    } else {
        std::ifstream in(source.choices, std::ios::binary);
        std::ostringstream text;
        text << in.rdbuf();
        const std::string problem = in ? parse(text.str(), file) : "cannot be read";
        if (!problem.empty()) {
            std::fprintf(stderr, "pyralog-sim: %s: %s\n", source.choices.c_str(), problem.c_str());
            return {};
        }
    }
    if (!source.bug.empty()) file.bug = source.bug;
#ifndef PYRALOG_BUGS
    if (!file.bug.empty()) {
        std::fprintf(stderr, "pyralog-sim: %s plants %s: play it with pyralog-sim-bugs\n",
                     source.choices.c_str(), file.bug.c_str());
        return {};
    }
#endif
    return file;
}

std::string replay_command(const RunSource& source, const ChoicesFile& file,
                           const SeedReport& report) {
    if (source.choices.empty()) return replay_command(report, file.bug);
    std::string line = file.bug.empty() ? "pyralog-sim" : "pyralog-sim-bugs";
    line += " run --choices " + source.choices;
    if (!source.bug.empty()) line += " --bug " + source.bug; // Else the file says it.
    if (report.exit_code == exit_not_deterministic) line += " --twice";
    return line;
}

} // namespace pyralog::simtest
