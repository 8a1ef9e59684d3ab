#include "sim-tests/tool/first_difference.h"

#include "sim-tests/tool/worker.h"

#include <array>
#include <memory>

namespace pyralog::simtest {

namespace {

// Records travel as they are: both ends are the same program.
class RecordStream {
public:
    RecordStream(const RecordingRun& run, int number)
        : worker_([&](int fd, Progress&) {
              std::string block;
              run(number, [&](const sim::Record& record) {
                  block.append(reinterpret_cast<const char*>(&record), sizeof record);
                  if (block.size() < block_size) return;
                  write_all(fd, block);
                  block.clear();
              });
              write_all(fd, block);
          }) {}

    std::optional<sim::Record> next() {
        sim::Record record;
        if (!worker_.read_exactly(std::as_writable_bytes(std::span(&record, 1)))) return {};
        return record;
    }

private:
    static constexpr std::size_t block_size = 64 * sizeof(sim::Record);
    Worker worker_;
};

std::string line_of(const std::optional<sim::Record>& record) {
    return record ? to_line(*record) : std::string("(the run has ended)");
}

} // namespace

std::optional<Difference> first_difference(const RecordingRun& run) {
    RecordStream first(run, 1);
    RecordStream second(run, 2);
    Difference found;
    for (;;) {
        found.first = first.next();
        found.second = second.next();
        if (found.first != found.second) return found;
        if (!found.first) return {};
        if (found.before.size() == Difference::before_max) found.before.erase(found.before.begin());
        found.before.push_back(*found.first);
    }
}

std::optional<Difference> first_difference(std::uint64_t seed, const std::string& bug) {
    return first_difference([&](int number, const std::function<void(const sim::Record&)>& record) {
        RunOptions options;
        options.record = record;
        (void)run_here({seed, bug, {}, number == 2, {}}, nullptr, options);
    });
}

std::string summary_of(const Difference& difference) {
    const std::uint64_t index = difference.first    ? difference.first->index
                                : difference.second ? difference.second->index
                                                    : 0;
    return "first differing event " + std::to_string(index) + ": " + line_of(difference.first) +
           " and then " + line_of(difference.second);
}

std::string to_string(const Difference& difference) {
    std::string text;
    for (const sim::Record& record : difference.before)
        text += "  both:   " + to_line(record) + '\n';
    text += "  first:  " + line_of(difference.first) + '\n';
    text += "  second: " + line_of(difference.second) + '\n';
    return text;
}

void compare_with_another_run(SeedReport& report, const std::string& bug) {
    const SeedReport again = run_apart({report.seed, bug, {}, true, {}});
    if (again.exit_code == report.exit_code && again.hash == report.hash) return;
    report.exit_code = exit_not_deterministic;
    report.oracle = "determinism";
    report.detail = "hash=" + std::to_string(report.hash) + " and then " +
                    std::to_string(again.hash) + ' ' + again.oracle;
    if (const auto difference = first_difference(report.seed, bug))
        report.detail += "; " + summary_of(*difference);
    else
        report.detail += "; two more runs were the same";
}

} // namespace pyralog::simtest
