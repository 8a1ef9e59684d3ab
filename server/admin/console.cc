#include "server/admin/console.h"

#include <console_parts.h>

namespace pyralog::server {

std::string_view console_html() { return console_part_html; }
std::string_view console_css() { return console_part_style; }
std::string_view console_js() { return console_part_script; }

} // namespace pyralog::server
