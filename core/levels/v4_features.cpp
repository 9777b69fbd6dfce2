#define SIGMAX_PART features
#define SIGMAX_FEATURES
#include "levels/v4.hpp"
