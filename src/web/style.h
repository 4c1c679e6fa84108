/* The style sheet, built into the program: style.css as a string. */
#pragma once

extern const char style_css[];
