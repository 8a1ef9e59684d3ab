#include "sim-tests/tool/first_difference.h"

#include "sim-tests/tool/message_text.h"
#include "sim-tests/tool/worker.h"

#include <array>
#include <cstdio>
#include <deque>

namespace pyralog::simtest {

namespace {

constexpr int disorders_max = 16;

// Both ends are the same program, so what travels needs no format: a Head, and behind it a record,
// or a line of so many bytes.
struct Head {
    std::uint64_t event = 0;
    std::uint64_t line_bytes = 0; // None: a record.
};

class RecordStream {
public:
    RecordStream(const RecordingRun& run, int number)
        : worker_([&](int fd, Progress&) {
              std::string block;
              const auto put = [&](const void* what, std::size_t size) {
                  block.append(static_cast<const char*>(what), size);
              };
              const auto send_full = [&] {
                  if (block.size() < block_size) return;
                  write_all(fd, block);
                  block.clear();
              };
              Ears ears;
              ears.record = [&](const sim::Record& record) {
                  const Head head{record.event, 0};
                  put(&head, sizeof head);
                  put(&record, sizeof record);
                  send_full();
              };
              ears.line = [&](std::uint64_t event, const std::string& line) {
                  if (line.empty()) return;
                  const Head head{event, line.size()};
                  put(&head, sizeof head);
                  put(line.data(), line.size());
                  send_full();
              };
              run(number, ears);
              write_all(fd, block);
          }) {}

    // The next record.
    std::optional<sim::Record> next() {
        for (;;) {
            Head head;
            if (!worker_.read_exactly(std::as_writable_bytes(std::span(&head, 1)))) return {};
            if (!ending_)
                std::erase_if(lines_, [&](const Line& l) { return l.event + 1 < head.event; });
            if (head.line_bytes > 0) {
                Line& line = lines_.emplace_back(Line{head.event, {}});
                line.text.resize(head.line_bytes);
                if (!worker_.read_exactly(std::as_writable_bytes(std::span(line.text)))) return {};
                continue;
            }
            sim::Record record;
            if (!worker_.read_exactly(std::as_writable_bytes(std::span(&record, 1)))) return {};
            return record;
        }
    }

    // All lines of this event, which is that of the last record: what comes until the next event is
    // read up, and nothing is to be read after that.
    std::vector<std::string> lines_of(std::uint64_t event) {
        ending_ = true;
        while (const auto record = next())
            if (record->event > event) break;
        std::vector<std::string> lines;
        for (const Line& line : lines_)
            if (line.event == event && lines.size() < Difference::lines_max)
                lines.push_back(line.text);
        return lines;
    }

private:
    static constexpr std::size_t block_size = 4096;
    struct Line {
        std::uint64_t event;
        std::string text;
    };
    Worker worker_;
    std::deque<Line> lines_; // Of the last two events.
    bool ending_ = false;    // From here on, all are kept.
};

std::string line_of(const std::optional<sim::Record>& record) {
    return record ? to_line(*record) : std::string("(the run has ended)");
}

// Where they part: the record of the run that has not ended.
const sim::Record* where(const Difference& difference) {
    if (difference.first) return &*difference.first;
    return difference.second ? &*difference.second : nullptr;
}

std::string time_of(Duration time) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%lld.%09lld s", static_cast<long long>(time / 1s),
                  static_cast<long long>(time % 1s / 1ns));
    return text.data();
}

} // namespace

std::optional<Difference> first_difference(const RecordingRun& run) {
    RecordStream first(run, 1);
    RecordStream second(run, 2);
    Difference found;
    for (;;) {
        found.first = first.next();
        found.second = second.next();
        if (found.first != found.second) break;
        if (!found.first) return {};
        if (found.before.size() == Difference::before_max) found.before.erase(found.before.begin());
        found.before.push_back(*found.first);
    }
    if (found.first) found.first_did = first.lines_of(found.first->event);
    if (found.second) found.second_did = second.lines_of(found.second->event);
    return found;
}

std::optional<Difference> first_difference(std::uint64_t seed, const std::string& bug,
                                           int disorder) {
    return first_difference([&](int number, const Ears& ears) {
        SentTexts texts;
        RunOptions options;
        options.record = ears.record;
        options.listener = [&](const sim::TraceEvent& event) {
            const std::string words = texts.of(event).text;
            ears.line(event.step, to_line(event) + (words.empty() ? "" : " (" + words + ")"));
        };
        (void)run_here({seed, bug, {}, number == 2 ? disorder : 0, {}}, nullptr, options);
    });
}

std::string summary_of(const Difference& difference) {
    const sim::Record* const at = where(difference);
    if (!at) return "no difference";
    return "first differing event " + std::to_string(at->event) + " at " + time_of(at->time) +
           ": " + line_of(difference.first) + " and then " + line_of(difference.second);
}

std::string to_string(const Difference& difference) {
    const sim::Record* const at = where(difference);
    if (!at) return {};
    std::string text = "the runs part in event " + std::to_string(at->event) + " at " +
                       time_of(at->time) + ", of node " + std::to_string(at->node) + '\n';
    for (const sim::Record& record : difference.before)
        text += "  both:   " + to_line(record) + '\n';
    text += "  first:  " + line_of(difference.first) + '\n';
    text += "  second: " + line_of(difference.second) + '\n';
    const auto tell = [&](const char* whose, const std::vector<std::string>& did) {
        if (did.empty()) return;
        text += std::string(whose) + " run did in its event:\n";
        for (const std::string& line : did) text += "  " + line + '\n';
    };
    tell("the first", difference.first_did);
    tell("the second", difference.second_did);
    return text;
}

std::optional<Difference> compare_with_other_runs(SeedReport& report, const std::string& bug,
                                                  int runs) {
    const auto is_same = [&](const SeedReport& other) {
        return other.exit_code == report.exit_code && other.hash == report.hash;
    };
    SeedReport again = run_apart({report.seed, bug, {}, 1, {}});
    for (int disorder = 2; disorder <= runs && is_same(again); ++disorder)
        again = run_apart({report.seed, bug, {}, disorder, {}});
    if (is_same(again)) return {};
    report.exit_code = exit_not_deterministic;
    report.oracle = oracle::not_deterministic;
    std::array<char, 64> hashes{};
    std::snprintf(hashes.data(), hashes.size(), "hash=%016llx and then %016llx",
                  static_cast<unsigned long long>(report.hash),
                  static_cast<unsigned long long>(again.hash));
    report.detail = hashes.data() + (again.oracle.empty() ? "" : " and " + again.oracle);
    // Whoever records has another heap, in which that disorder may show nothing.
    std::optional<Difference> difference;
    for (int disorder = 1; disorder <= disorders_max && !difference; ++disorder)
        difference = first_difference(report.seed, bug, disorder);
    report.detail += "; " + (difference ? summary_of(*difference) : "later runs were the same");
    if (!difference) return {};
    report.event = where(*difference)->event;
    report.time = where(*difference)->time;
    return difference;
}

} // namespace pyralog::simtest
