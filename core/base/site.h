// core/base/site.h
//
// Named places in the code that a simulation wants to hear of: probes (probe.h), which say that
// something rare was reached, and whims (buggify.h), which do what is allowed but unusual. Nothing
// of this is in the server: there the macros of both headers are nothing, and a test of the
// binary's symbols proves it.
//
// A site exists as soon as code that names it is linked, whether or not that code ever runs: each
// name is a template's argument, and its variable is made before main() begins. So a sweep knows
// what it has not seen. The same name in two places is one site.
//
// The variables here are global and change, like those of bug.h, and for the same reason: a place
// in the code belongs to no node. A process runs one simulation at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace pyralog::sites {

enum class Kind : std::uint8_t { probe, whim };

struct Site {
    Site(Kind k, std::string_view n);
    Site(const Site&) = delete;
    Site& operator=(const Site&) = delete;

    const Kind kind;
    const std::string_view name;
    const std::size_t number; // From zero up, in no order that means anything.
    Site* const next;         // In the list of all.

    // Since begin().
    std::uint64_t hits = 0;  // A probe: how often it was true. A whim: how often it was asked.
    std::uint64_t fired = 0; // Only of whims.
    bool active = false;     // Only of whims: may fire in this run.
};

inline Site* newest = nullptr;

inline Site::Site(Kind k, std::string_view n)
    : kind(k), name(n), number(newest ? newest->number + 1 : 0), next(std::exchange(newest, this)) {
}

// All that are linked into this program: probes, then whims, by name.
inline std::vector<Site*> all() {
    std::vector<Site*> sites;
    for (Site* site = newest; site; site = site->next) sites.push_back(site);
    std::sort(sites.begin(), sites.end(), [](const Site* a, const Site* b) {
        return a->kind != b->kind ? a->kind < b->kind : a->name < b->name;
    });
    return sites;
}

// What was counted, in the order of all().
struct Count {
    Kind kind = Kind::probe;
    std::string_view name;
    std::uint64_t hits = 0, fired = 0;
    bool active = false;
};
inline std::vector<Count> counts() {
    std::vector<Count> found;
    for (const Site* site : all())
        found.push_back({site->kind, site->name, site->hits, site->fired, site->active});
    return found;
}

// Forgets what was counted.
inline void begin() {
    for (Site* site = newest; site; site = site->next) {
        site->hits = site->fired = 0;
        site->active = false;
    }
}

// A string that can be a template's argument.
template <std::size_t size>
struct Name {
    constexpr Name(const char (&from)[size]) { std::copy_n(from, size, text); }
    constexpr std::string_view view() const { return {text, size - 1}; }
    char text[size]{};
};

template <Kind kind, Name name>
inline Site site{kind, name.view()};

// Who decides about whims: the simulated world, while one of its nodes runs, and nobody else.
class Mood {
public:
    virtual ~Mood() = default;
    // `per_million`: how often this one fires if it is active; zero: as often as all.
    virtual bool strikes(Site& site, std::uint32_t per_million) = 0;
};
inline Mood* mood = nullptr;

} // namespace pyralog::sites
