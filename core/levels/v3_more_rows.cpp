#define SIGMAX_PART more_rows
#define SIGMAX_MORE_ROWS
#include "levels/v3.hpp"
