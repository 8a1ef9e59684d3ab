#include "server/cli/progress.h"

#include "core/base/config.h"

#include <algorithm>
#include <cstdio>
#include <sys/ioctl.h>
#include <unistd.h>

namespace pyralog::cli {

namespace {

constexpr std::size_t cells = 30;

std::size_t terminal_columns() {
    winsize size{};
    if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
    return size.ws_col;
}

} // namespace

std::string progress_bar(const std::string& what, std::uint64_t done, std::uint64_t total,
                         Duration taken, std::size_t columns) {
    std::string text;
    if (total > 0) {
        const std::uint64_t at = std::min(done, total);
        const auto full = static_cast<std::size_t>(at * cells / total);
        text = '[' + std::string(full, '#') + std::string(cells - full, '.') + "] " +
               std::to_string(at * 100 / total) + " %  " + what;
        const std::int64_t seconds = taken / 1s;
        if (at > 0 && at < total && seconds > 0) {
            const std::uint64_t left =
                (total - at) / std::max<std::uint64_t>(at / static_cast<std::uint64_t>(seconds), 1);
            text += "  " + format_duration(std::chrono::seconds(left)) + " left";
        }
    } else {
        text = what + "  " + std::to_string(done);
    }
    return text.substr(0, columns > 0 ? columns - 1 : 0);
}

bool Progress::wanted(bool alone) {
    return ::isatty(STDERR_FILENO) == 1 && (!alone || ::isatty(STDOUT_FILENO) == 0);
}

void Progress::at(std::uint64_t done, Time now) {
    if (!shown_ || (drawn_ && now < *drawn_ + pause)) return;
    if (!begun_) begun_ = now;
    drawn_ = now;
    const std::string bar = progress_bar(what_, done, total_, now - *begun_, terminal_columns());
    std::fprintf(stderr, "\r\033[K%s", bar.c_str());
}

Progress::~Progress() {
    if (drawn_) std::fputs("\r\033[K", stderr);
}

} // namespace pyralog::cli
