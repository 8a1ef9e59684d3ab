// io/sim/choices.h
//
// Where the choices of a simulated world come from, and where they are kept. Each is made on a
// named stream: one per component, node and purpose. A stream answers from the seed; or from a
// list, which somebody recorded and somebody may have edited. One choice more or less on one stream
// changes nothing on the others.
//
// There are two kinds of choices. A pick is a number below a count; 0 is the harmless one: the
// least delay, the first in the queue, nothing lost. A chance says whether a fault strikes; every
// one that did is a fault event, which can be taken out of the list by its number. The picks that
// follow a chance belong to it: when the list is edited so that a fault is gone, the numbers that
// shaped it are passed over, and the next chance on that stream is again what it was.
//
// A list answers for what it has. What is missing in it, or comes after its end, is harmless; what
// is out of range is taken modulo the count. The dice of the nodes themselves (Environment::random)
// have no harmless value, since timeouts that are all alike would be a fault of their own: there,
// what is missing comes from the seed.
//
// Nobody waits here, and nothing fails but parsing. Streams live as long as their Choices.
#pragma once

#include "core/base/random.h"
#include "core/base/time.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog::sim {

// What a stream has said, or is to say.
struct Choice {
    enum class Kind : std::uint8_t {
        pick,    // `value`.
        missing, // `value` picks that are left to be harmless.
        calm,    // `value` chances that did not strike.
        struck,  // One that did.
    };
    Kind kind = Kind::pick;
    std::uint64_t value = 0;
    bool operator==(const Choice&) const = default;
};
using StreamChoices = std::vector<Choice>;

// By the streams' names.
struct ChoiceList {
    std::map<std::string, StreamChoices, std::less<>> streams;
    bool operator==(const ChoiceList&) const = default;

    std::uint64_t struck() const; // Fault events.
    std::uint64_t picks() const;  // Other than 0.
};

// All of the text as a decimal number; nothing if it is none, or too large.
std::optional<std::uint64_t> parse_number(std::string_view text);

// One line for each stream: "stream NAME: 12 45 -2 /7 ! 300". A number is a pick; -N are N that are
// missing; /N are N chances that did not strike; ! is one that did. N is left out where it is 1.
std::string to_string(std::string_view name, const StreamChoices& choices);
// Adds the stream of such a line; what is wrong with it, or nothing.
std::string parse_stream(std::string_view line, ChoiceList& list);

// A fault that struck.
struct FaultEvent {
    Duration at{0};
    std::string stream;
    std::uint64_t number = 0; // Of the chance, on its stream; the first is 1.
    std::string what;         // For people; may be empty.
};

struct ChoiceOptions {
    const ChoiceList* list = nullptr; // Answers instead of the seed. Must outlive the Choices.
    bool recorded = false;
    bool reseedable = false;           // Also the nodes' own dice.
    std::optional<std::uint64_t> seed; // Of the streams, if it is not the world's.
};

class Choices;

// The draws of nodes and clients, which go through Random.
class NodeDraws final : public RandomHook {
public:
    NodeDraws(Choices& choices, std::string name);
    std::uint64_t drawn(std::uint64_t value, std::uint64_t bound) override;
    RandomHook& forked(std::string_view name) override;

private:
    friend class Choices;
    Choices& choices_;
    std::string name_;
    std::uint64_t key_ = 0;
    std::uint64_t index_ = 0;
    std::size_t next_ = 0;
    std::uint64_t used_ = 0;
    const StreamChoices* list_ = nullptr;
    StreamChoices record_;
};

// The choices of the world itself, through Dice.
class ChoiceStream {
public:
    ChoiceStream(Choices& choices, std::string name);
    ChoiceStream(const ChoiceStream&) = delete;
    ChoiceStream& operator=(const ChoiceStream&) = delete;

    // Uniform in [0, count).
    std::uint64_t pick(std::uint64_t count) {
        CHECK(count > 0);
        ++pick_;
        return plain_ ? below(count) : kept_pick(count);
    }
    // True `per_million` times in a million. `what` names the fault for people.
    bool chance(std::uint32_t per_million, std::string_view what) {
        ++chance_;
        pick_ = 0;
        const bool strikes = per_million >= million || (per_million > 0 && high(per_million));
        return plain_ ? strikes : kept_chance(strikes, what);
    }

    const std::string& name() const { return name_; }

private:
    friend class Choices;
    static constexpr std::uint32_t million = 1'000'000;

    // From the seed: a function of the number of the chance, and of the pick behind it.
    std::uint64_t below(std::uint64_t count) const {
        std::uint64_t z = key_ + chance_ * 0x9e3779b97f4a7c15u + pick_ * 0xd1342543de82ef95u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        z ^= z >> 31;
        return static_cast<std::uint64_t>((static_cast<unsigned __int128>(z) * count) >> 64);
    }
    // At the high end: the lowest pick is the harmless one here, too.
    bool high(std::uint32_t per_million) const { return below(million) >= million - per_million; }

    std::uint64_t kept_pick(std::uint64_t count);
    bool kept_chance(bool strikes, std::string_view what);
    std::uint64_t listed_pick(std::uint64_t count);
    bool listed_chance();

    Choices& choices_;
    std::string name_;
    std::uint64_t key_ = 0;
    std::uint64_t chance_ = 0, pick_ = 0; // How many there have been; and since the last chance.
    bool plain_ = true;                   // From the seed, and nobody writes it down.
    bool from_list_ = false;
    const StreamChoices* list_ = nullptr;
    std::size_t next_ = 0;   // In the list.
    std::uint64_t used_ = 0; // Of a choice there that stands for several.
    StreamChoices record_;
};

class Choices {
public:
    // `now` is asked for the times of faults.
    Choices(std::uint64_t seed, const ChoiceOptions& options, const Duration& now);
    Choices(std::uint64_t seed) : Choices(seed, {}, no_time) {} // NOLINT: a seed is all it takes.
    Choices(const Choices&) = delete;
    Choices& operator=(const Choices&) = delete;

    // One and the same for each name, which goes on where it was.
    ChoiceStream& stream(std::string_view name);
    // The dice of a node or a client.
    Random random(std::string_view name);

    // All that is drawn from now on comes from another seed, whatever the list says. What nodes
    // draw follows only if the options said so.
    void reseed(std::uint64_t seed);

    // So far. Only if they are recorded.
    ChoiceList recorded() const;
    const std::vector<FaultEvent>& faults() const { return faults_; }

private:
    friend class NodeDraws;
    friend class ChoiceStream;
    static constexpr Duration no_time{0};

    bool hooked() const { return options_.list || options_.recorded || options_.reseedable; }
    std::uint64_t key_of(std::string_view name) const;
    const StreamChoices* listed(std::string_view name) const;
    NodeDraws& node_stream(const std::string& name);

    const ChoiceOptions options_;
    const Duration& now_;
    std::uint64_t seed_;
    bool reseeded_ = false;
    Random nodes_;
    std::map<std::string, std::unique_ptr<ChoiceStream>, std::less<>> streams_;
    std::map<std::string, std::unique_ptr<NodeDraws>, std::less<>> node_streams_;
    std::vector<FaultEvent> faults_;
};

} // namespace pyralog::sim
