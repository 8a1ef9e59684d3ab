// One of the fuzzers, which one is set when it is compiled. libFuzzer has the main().
#include "core/base/bug.h"
#include "fuzz/target.h"

#include <cstdint>
#include <span>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::span<const std::uint8_t> input(data, size);
    (void)pyralog::fuzz::PYRALOG_FUZZ_RUN(std::as_bytes(input));
    return 0;
}

#ifdef PYRALOG_BUGS
// Is the fuzzer any good? With -ignore_remaining_args=1 --bug=M21, a rule is broken that it must
// find.
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
    constexpr std::string_view flag = "--bug=";
    const std::string_view last = (*argv)[*argc - 1];
    if (last.starts_with(flag)) pyralog::bugs::plant(last.substr(flag.size()));
    return 0;
}
#endif
