// core/base/buggify.h
//
// Places where the code may do something allowed but unusual, and in the simulator now and then
// does:
//
//     if (BUGGIFY("journal/small-round")) limit = 1;
//
// A branch behind BUGGIFY keeps every promise of the function it stands in: a smaller batch, an
// earlier flush, a needless retry or yield, a cache dropped, "ask again later". If the rest of the
// system cannot stand it, the rest has a bug.
//
// On two levels: in each run a site is active with one chance, and an active one fires with another
// each time it is reached (sim::Faults has both; a second argument is a site's own chance, in a
// million). So runs differ in what is unusual, and not only in how often. Draws come from a stream
// for each site and node.
//
// Plain false in every build but the simulator's, and there whenever no node of a world runs.
#pragma once

#ifdef PYRALOG_SIM

#include "core/base/site.h"

namespace pyralog::sites {

template <Name name>
bool strikes(std::uint32_t per_million = 0) {
    return mood && mood->strikes(site<Kind::whim, name>, per_million);
}

} // namespace pyralog::sites

#define BUGGIFY(...) BUGGIFY_SITE(__VA_ARGS__, 0)
#define BUGGIFY_SITE(name, per_million, ...) (::pyralog::sites::strikes<name>(per_million))

#else

#define BUGGIFY(...) false

#endif
