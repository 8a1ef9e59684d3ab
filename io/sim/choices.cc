#include "io/sim/choices.h"

#include <algorithm>
#include <charconv>

namespace pyralog::sim {

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t value = 0;
    const auto end = text.data() + text.size();
    const auto [parsed, error] = std::from_chars(text.data(), end, value);
    if (text.empty() || error != std::errc{} || parsed != end) return {};
    return value;
}

namespace {

using Kind = Choice::Kind;

bool is_run(Kind kind) { return kind == Kind::missing || kind == Kind::calm; }

void append(StreamChoices& choices, Kind kind, std::uint64_t value) {
    if (is_run(kind) && !choices.empty() && choices.back().kind == kind)
        choices.back().value += value;
    else
        choices.push_back({kind, value});
}

std::uint64_t mixed(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

// One word of a stream's line.
std::optional<Choice> parse_choice(std::string_view word) {
    if (word == "!") return Choice{Kind::struck, 1};
    Kind kind = Kind::pick;
    if (word.starts_with('-')) kind = Kind::missing;
    if (word.starts_with('/')) kind = Kind::calm;
    if (kind == Kind::pick) {
        const auto value = parse_number(word);
        return value ? std::optional(Choice{kind, *value}) : std::nullopt;
    }
    word.remove_prefix(1);
    const auto count = word.empty() ? std::optional<std::uint64_t>(1) : parse_number(word);
    if (!count || *count == 0) return {};
    return Choice{kind, *count};
}

} // namespace

std::uint64_t ChoiceList::struck() const {
    std::uint64_t count = 0;
    for (const auto& [name, choices] : streams)
        for (const Choice& choice : choices) count += choice.kind == Kind::struck ? 1 : 0;
    return count;
}

std::uint64_t ChoiceList::picks() const {
    std::uint64_t count = 0;
    for (const auto& [name, choices] : streams)
        for (const Choice& choice : choices)
            count += choice.kind == Kind::pick && choice.value != 0 ? 1 : 0;
    return count;
}

std::string to_string(std::string_view name, const StreamChoices& choices) {
    std::string line = "stream " + std::string(name) + ':';
    for (const Choice& choice : choices) {
        line += ' ';
        if (choice.kind == Kind::struck) line += '!';
        if (choice.kind == Kind::missing) line += '-';
        if (choice.kind == Kind::calm) line += '/';
        if (choice.kind == Kind::pick || (is_run(choice.kind) && choice.value != 1))
            line += std::to_string(choice.value);
    }
    return line;
}

std::string parse_stream(std::string_view line, ChoiceList& list) {
    constexpr std::string_view begin = "stream ";
    const std::size_t colon = line.find(": ") == std::string_view::npos && line.ends_with(':')
                                  ? line.size() - 1
                                  : line.find(": ");
    if (!line.starts_with(begin) || colon == std::string_view::npos || colon <= begin.size())
        return "not a stream";
    const std::string name(line.substr(begin.size(), colon - begin.size()));
    if (list.streams.contains(name)) return "stream " + name + " is there twice";
    StreamChoices choices;
    std::string_view rest = line.substr(colon + 1);
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find(' '), rest.size());
        if (end > 0) {
            const auto choice = parse_choice(rest.substr(0, end));
            if (!choice)
                return "stream " + name + ": '" + std::string(rest.substr(0, end)) +
                       "' is no choice";
            append(choices, choice->kind, choice->value);
        }
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    list.streams.emplace(name, std::move(choices));
    return {};
}

// ---- The world's own ----

ChoiceStream::ChoiceStream(Choices& choices, std::string name)
    : choices_(choices), name_(std::move(name)) {}

std::uint64_t ChoiceStream::kept_pick(std::uint64_t count) {
    const std::uint64_t value = from_list_ ? listed_pick(count) : below(count);
    if (choices_.options_.recorded) {
        if (value == 0)
            append(record_, Kind::missing, 1);
        else
            append(record_, Kind::pick, value);
    }
    return value;
}

bool ChoiceStream::kept_chance(bool strikes, std::string_view what) {
    if (from_list_) strikes = listed_chance();
    if (!choices_.options_.recorded) return strikes;
    append(record_, strikes ? Kind::struck : Kind::calm, 1);
    if (strikes) choices_.faults_.push_back({choices_.now_, name_, chance_, std::string(what)});
    return strikes;
}

std::uint64_t ChoiceStream::listed_pick(std::uint64_t count) {
    if (!list_ || next_ == list_->size()) return 0;
    const Choice& choice = (*list_)[next_];
    if (choice.kind == Kind::pick) {
        ++next_;
        return choice.value % count;
    }
    // A chance is next: this pick is not in the list.
    if (choice.kind == Kind::missing && ++used_ == choice.value) {
        ++next_;
        used_ = 0;
    }
    return 0;
}

bool ChoiceStream::listed_chance() {
    if (!list_) return false;
    // Picks that nobody made belonged to the chance before.
    while (next_ < list_->size() &&
           ((*list_)[next_].kind == Kind::pick || (*list_)[next_].kind == Kind::missing)) {
        ++next_;
        used_ = 0;
    }
    if (next_ == list_->size()) return false;
    const Choice& choice = (*list_)[next_];
    if (choice.kind == Kind::struck) {
        ++next_;
        return true;
    }
    if (++used_ == choice.value) {
        ++next_;
        used_ = 0;
    }
    return false;
}

// ---- The nodes' ----

NodeDraws::NodeDraws(Choices& choices, std::string name)
    : choices_(choices), name_(std::move(name)) {}

std::uint64_t NodeDraws::drawn(std::uint64_t value, std::uint64_t bound) {
    ++index_;
    if (choices_.reseeded_) {
        const std::uint64_t any = mixed(key_ + index_ * 0x9e3779b97f4a7c15u);
        value =
            bound == 0
                ? any
                : static_cast<std::uint64_t>((static_cast<unsigned __int128>(any) * bound) >> 64);
    } else if (list_ && next_ < list_->size()) {
        const Choice& choice = (*list_)[next_];
        if (choice.kind == Kind::pick) {
            value = bound == 0 ? choice.value : choice.value % bound;
            ++next_;
        } else if (++used_ == choice.value) {
            ++next_;
            used_ = 0;
        }
    }
    if (choices_.options_.recorded) append(record_, Kind::pick, value);
    return value;
}

RandomHook& NodeDraws::forked(std::string_view name) {
    return choices_.node_stream(name_ + '/' + std::string(name));
}

// ---- All of them ----

Choices::Choices(std::uint64_t seed, const ChoiceOptions& options, const Duration& now)
    : options_(options), now_(now), seed_(options.seed.value_or(seed)), nodes_(seed_) {}

std::uint64_t Choices::key_of(std::string_view name) const {
    std::uint64_t hash = mixed(seed_ + 0x9e3779b97f4a7c15u) ^ 0xcbf29ce484222325u;
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    return mixed(hash);
}

const StreamChoices* Choices::listed(std::string_view name) const {
    if (!options_.list) return nullptr;
    const auto found = options_.list->streams.find(name);
    return found == options_.list->streams.end() ? nullptr : &found->second;
}

ChoiceStream& Choices::stream(std::string_view name) {
    if (const auto found = streams_.find(name); found != streams_.end()) return *found->second;
    auto made = std::make_unique<ChoiceStream>(*this, std::string(name));
    made->key_ = key_of(name);
    made->from_list_ = options_.list && !reseeded_;
    made->plain_ = !made->from_list_ && !options_.recorded;
    made->list_ = listed(name);
    return *streams_.emplace(name, std::move(made)).first->second;
}

NodeDraws& Choices::node_stream(const std::string& name) {
    std::unique_ptr<NodeDraws>& stream = node_streams_[name];
    if (!stream) {
        stream = std::make_unique<NodeDraws>(*this, name);
        stream->key_ = key_of(name);
        stream->list_ = listed(name);
    }
    return *stream;
}

Random Choices::random(std::string_view name) {
    Random random = nodes_.fork(name);
    if (hooked()) random.set_hook(node_stream("random/" + std::string(name)));
    return random;
}

void Choices::reseed(std::uint64_t seed) {
    seed_ = seed;
    reseeded_ = true;
    for (const auto& [name, stream] : streams_) {
        stream->key_ = key_of(name);
        stream->from_list_ = false;
        stream->plain_ = !options_.recorded;
    }
    for (const auto& [name, stream] : node_streams_) stream->key_ = key_of(name);
}

ChoiceList Choices::recorded() const {
    CHECK(options_.recorded);
    ChoiceList list;
    for (const auto& [name, stream] : streams_) list.streams.emplace(name, stream->record_);
    for (const auto& [name, stream] : node_streams_) list.streams.emplace(name, stream->record_);
    return list;
}

} // namespace pyralog::sim
