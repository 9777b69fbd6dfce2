#define SIGMAX_PART rows
#define SIGMAX_ROWS
#include "levels/v3.hpp"
