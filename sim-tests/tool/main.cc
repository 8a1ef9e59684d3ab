// pyralog-sim: runs seeds, one or many. See TESTING.md.
#include "sim-tests/tool/commands.h"

int main(int argc, char** argv) {
    return pyralog::simtest::run_program({argv, static_cast<std::size_t>(argc)});
}
