// bench/bench.h
//
// What all benchmarks share: samples and their percentiles, a pace measured several times after a
// warm-up, and a table with the machine and the commit in front. They print figures and judge none;
// figures of two runs can be compared only if the machine had nothing else to do in both.
#pragma once

#include "core/base/time.h"

#include <functional>
#include <string>
#include <vector>

namespace pyralog::bench {

Duration now(); // Of a steady clock; its zero means nothing.

class Samples {
public:
    void add(Duration sample) { all_.push_back(sample); }
    void append(const Samples& others);
    std::size_t count() const { return all_.size(); }
    // The least sample that so many of a thousand do not exceed.
    Duration per_mille(int mille) const;
    Duration p50() const { return per_mille(500); }
    Duration p99() const { return per_mille(990); }

private:
    std::vector<Duration> all_;
};

// How often per second `body` does its thing, when it is asked to do it so many times in a row. The
// median of several runs, after one that does not count.
double per_second(const std::function<void(std::uint64_t times)>& body);

// Numbers for people: three figures that count, and then "k", "M", "G".
std::string figure(double value);
std::string micros(Duration duration); // Without the unit, which stands in the heading.

class Table {
public:
    explicit Table(std::vector<std::string> heading) : rows_{std::move(heading)} {}
    void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
    void print() const; // Columns as wide as need be; all but the first to the right.

private:
    std::vector<std::vector<std::string>> rows_;
};

// Name of the benchmark, machine and commit.
void print_heading(const std::string& name);

// A directory for files, on a disk: beside the program, unless the command line names another.
// Made, and emptied; to be removed with remove_room().
std::string make_room(int argc, char** argv);
void remove_room(const std::string& room);

} // namespace pyralog::bench
