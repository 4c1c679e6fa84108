/* The program's version, as in --version, metadata and journal. */
#pragma once

#define TOOL_VERSION "1.0.0"
