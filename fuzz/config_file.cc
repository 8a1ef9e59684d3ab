// The text of a configuration file.
#include "fuzz/input.h"
#include "fuzz/target.h"
#include "server/cli/command_line.h"

namespace pyralog::fuzz {

bool run_config_file(std::span<const std::byte> bytes) {
    server::Config config;
    std::vector<Setting> settings = settings_of(config);
    const Bytes text = Bytes::copy_of(bytes);
    const auto read = cli::parse_config(text.text(), "fuzz.toml", settings);
    const auto* assignments = std::get_if<std::vector<server::Assignment>>(&read);
    if (assignments == nullptr) {
        CHECK(std::get<std::string>(read).starts_with("fuzz.toml"));
        return false;
    }
    const server::Applied applied = server::apply(settings, *assignments);
    (void)config.problems();
    // Whatever was taken can be said in words that are taken again, and mean the same.
    for (Setting& setting : settings) {
        const std::string value = setting.get();
        CHECK(setting.set(value).empty() && setting.get() == value);
    }
    return applied.mistakes.empty() && !assignments->empty();
}

} // namespace pyralog::fuzz
