// sim-tests/tool/run_source.h
//
// Which run a command is about: a seed, or a file of choices.
#pragma once

#include "sim-tests/choices_file.h"
#include "sim-tests/tool/report.h"
#include "sim-tests/tool/syntax.h"

#include <optional>
#include <string>

namespace pyralog::simtest {

struct RunSource {
    std::optional<std::uint64_t> seed;
    std::string choices, bug;
};

// --seed, --choices and --bug: one of the first two is required.
void add_run(Syntax& syntax, RunSource& source);
// Nothing, with a word on stderr, if there is no such file or it is no choices file. A bug that the
// line names is planted instead of the file's.
std::optional<ChoicesFile> read_run(const RunSource& source);

// What plays it again: one command, of its file if it has one.
std::string replay_command(const RunSource& source, const ChoicesFile& file,
                           const SeedReport& report);

} // namespace pyralog::simtest
