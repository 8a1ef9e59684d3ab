#include "bench/bench.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sys/utsname.h>
#include <thread>

namespace pyralog::bench {

namespace {

constexpr int runs = 5;
constexpr Duration run_time = 200ms;

std::string first_line_of(const char* command) {
    FILE* const pipe = popen(command, "r");
    if (pipe == nullptr) return {};
    char line[256] = {};
    const bool got = std::fgets(line, sizeof line, pipe) != nullptr;
    pclose(pipe);
    std::string text = got ? line : "";
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

std::string processor() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
    return "unknown processor";
}

} // namespace

Duration now() { return std::chrono::steady_clock::now().time_since_epoch(); }

void Samples::append(const Samples& others) {
    all_.insert(all_.end(), others.all_.begin(), others.all_.end());
}

Duration Samples::per_mille(int mille) const {
    if (all_.empty()) return {};
    std::vector<Duration> sorted = all_;
    const auto at = (sorted.size() - 1) * static_cast<std::size_t>(mille) / 1000;
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(at),
                     sorted.end());
    return sorted[at];
}

double per_second(const std::function<void(std::uint64_t)>& body) {
    std::uint64_t times = 1;
    Duration taken{};
    for (;; times *= 4) { // Also warms up.
        const Duration start = now();
        body(times);
        taken = now() - start;
        if (taken > run_time / 8) break;
    }
    times = std::max<std::uint64_t>(1, times * static_cast<std::uint64_t>(run_time.count()) /
                                           static_cast<std::uint64_t>(taken.count()));
    std::vector<double> paces;
    for (int run = 0; run < runs; ++run) {
        const Duration start = now();
        body(times);
        paces.push_back(static_cast<double>(times) * 1e9 /
                        static_cast<double>((now() - start).count()));
    }
    std::sort(paces.begin(), paces.end());
    return paces[paces.size() / 2];
}

std::string figure(double value) {
    const char* unit = "";
    for (const char* next : {"k", "M", "G"}) {
        if (value < 10'000) break;
        value /= 1000;
        unit = next;
    }
    char text[32];
    std::snprintf(text, sizeof text, "%.*f%s%s",
                  value < 10    ? 2
                  : value < 100 ? 1
                                : 0,
                  value, *unit == '\0' ? "" : " ", unit);
    return text;
}

std::string micros(Duration duration) {
    char text[32];
    std::snprintf(text, sizeof text, "%.0f", static_cast<double>(duration.count()) / 1000);
    return text;
}

void Table::print() const {
    std::vector<std::size_t> widths;
    for (const auto& row : rows_) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (const auto& row : rows_) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string padding(widths[i] - row[i].size(), ' ');
            line += i == 0 ? row[i] + padding : "  " + padding + row[i];
        }
        std::printf("%s\n", line.c_str());
    }
    std::fflush(stdout);
}

void print_heading(const std::string& name) {
    utsname system{};
    uname(&system);
    const std::string commit = first_line_of("git describe --always --dirty 2>/dev/null");
    std::printf("%s: %s, %u CPUs, Linux %s, load %s, commit %s\n", name.c_str(),
                processor().c_str(), std::thread::hardware_concurrency(), system.release,
                first_line_of("cut -d' ' -f1 /proc/loadavg").c_str(),
                commit.empty() ? "unknown" : commit.c_str());
    std::fflush(stdout);
}

std::string make_room(int argc, char** argv) {
    namespace fs = std::filesystem;
    const fs::path above = argc > 1 ? fs::path(argv[1]) : fs::read_symlink("/proc/self/exe");
    const std::string room =
        (argc > 1 ? above / "bench_data" : fs::path(above.string() + "_data")).string();
    fs::remove_all(room);
    fs::create_directories(room);
    return room;
}

void remove_room(const std::string& room) { std::filesystem::remove_all(room); }

} // namespace pyralog::bench
